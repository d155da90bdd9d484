"""Objects that name a key twice. Pure.

JSON leaves it open which of the two values counts (RFC 8259 §4), and parsers differ; so does MessagePack. msgspec takes
the last one. Where a decision or an identity depends on it, two programs would read two things in the same bytes: such
an object is refused. All functions take bytes that msgspec has decoded already, so they are well-formed.
"""

import json
from typing import Any, Final

import msgspec

_FIX_MAP: Final = 0x80
_MAP_16: Final = 0xDE
_MAP_32: Final = 0xDF

_decode_map: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode


class _Repeated(Exception):  # noqa: N818 - it never leaves this module
    pass


def in_json(data: bytes) -> bool:
    """Return whether any object of the JSON document repeats a key, however the key is escaped."""
    try:
        _read(data.decode())
    except _Repeated:
        return True
    return False


def in_msgpack(data: bytes) -> bool:
    """Return whether the map, or a map that is a value in it, repeats a key. Lists in it hold no maps."""
    try:
        fields = _decode_map(data)
    except msgspec.MsgspecError:
        return False  # no map
    return len(fields) != _length_of_map(data) or any(in_msgpack(bytes(value)) for value in fields.values())


def _check(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Repeated


def _length_of_map(data: bytes) -> int | None:
    """Return how many keys the map's header announces; None if it is no map."""
    first = data[0]
    if _FIX_MAP <= first < _FIX_MAP + 16:
        return first - _FIX_MAP
    if first == _MAP_16:
        return int.from_bytes(data[1:3], "big")
    return int.from_bytes(data[1:5], "big") if first == _MAP_32 else None


_read: Final = json.JSONDecoder(object_pairs_hook=_check).decode
