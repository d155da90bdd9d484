"""Ports for servers that are told where to listen, before they do.

A port that the system found free is given to the next who asks it for one, perhaps before its server listens. So these
are from below the range that it gives any of (`ip_local_port_range`), and each process of the tests has its own part.
"""

import os
import random
import socket
from itertools import cycle
from typing import Final

_FIRST, _LAST = 20_000, 32_767
"""Above what services are registered on, and below the range of Linux, which begins at 32768."""
_PARTS: Final = 8


def _own() -> list[int]:
    """Return the ports of this process in an order of its own: several test runs may share the machine."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(_FIRST + worker % _PARTS, _LAST, _PARTS))
    random.shuffle(ports)
    return ports


_ports: Final = cycle(_own())


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens; the same one comes again only after more than a thousand."""
    for port in _ports:
        with socket.socket() as found:
            # As servers do: else a port whose connections have just ended would not be free.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports never end")
