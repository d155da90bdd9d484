"""How long and how large the head of a request may be."""

from typing import Final

HEAD_S: Final = 10.0
"""How long a connection may take to send a request's head, from its first byte, or from the connection's beginning."""

HEAD_BYTES: Final = 32 * 1024

MAX_HEADERS: Final = 64
