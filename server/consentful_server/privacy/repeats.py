"""Repeats of a request: an `Idempotency-Key` lets a client send a request again and have it executed once. Pure.

    mark    HMAC(key, credential, method and route, Idempotency-Key)    finds the earlier request
    body    HMAC(key, mark, body)                                       tells whether it was the same

Both are kept with the request for 24 hours. Without the key, neither can be tested against a guess, so a client's key
that names a customer, and the customer in the body, stay unknown.

See draft-ietf-httpapi-idempotency-key-header: the same key with another body is a 422 (§2.7), and one that is being
executed a 409.
"""

import hmac
from collections.abc import Sequence
from typing import Final

import msgspec

from ..errors import KeyReused


class Repeat(msgspec.Struct, frozen=True):
    """What identifies a request that may be repeated."""

    mark: bytes
    body: bytes

    def __repr__(self) -> str:
        return "Repeat(…)"

    def check(self, body: bytes | None) -> None:
        """Compare with the body of the earlier request that has this mark.

        Raises:
            KeyReused: If it is another.
        """
        if not hmac.compare_digest(self.body, body or b""):
            raise KeyReused


class Repeats:
    """Identifies requests, with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, who: str, route: str, idempotency_key: str, body: Sequence[str]) -> Repeat:
        """Return what identifies this request of a credential."""
        mark = self._digest(["mark", who, route, idempotency_key])
        return Repeat(mark, self._digest(["body", mark, list(body)]))

    def _digest(self, parts: Sequence[object]) -> bytes:
        return hmac.digest(self._key, _encode(parts), "sha256")


_encode: Final = msgspec.msgpack.Encoder().encode
