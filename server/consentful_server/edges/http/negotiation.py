"""What an answer is written in: the media type (RFC 9110 §12.5.1) and the content coding (§12.5.3)."""

from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import hdrs, web

from ...errors import BadRequest, NotAcceptable
from ...exports.formats import Format, offered
from ...exports.formats.compression import CODINGS, Coding
from .bodies import JSON
from .list_query import StreamQuery

_ANY: Final = ("*/*", "application/*", "")


def format_of(request: web.Request, query: StreamQuery) -> Format | None:
    """Return the format to stream in, `?format=` before `Accept`; None stands for a page of JSON, which is the default.

    Raises:
        NotAcceptable: If none that is offered was asked for.
    """
    formats = offered()
    if query.format is not None:
        names: dict[str, Format | None] = {"json": None}
        names |= {name: name for name in formats}
        return _first([query.format], names, formats)
    media: dict[str, Format | None] = dict.fromkeys((JSON, *_ANY))
    media |= {offer: name for name, offer in formats.items()}
    wanted = _by_weight(hdrs.ACCEPT, request.headers.getall(hdrs.ACCEPT, ["*/*"]))
    return _first(wanted, media, formats)


def coding_of(request: web.Request) -> Coding | None:
    """Return how to compress a stream, if the client takes that."""
    wanted = _by_weight(hdrs.ACCEPT_ENCODING, request.headers.getall(hdrs.ACCEPT_ENCODING, []))
    return next((coding for coding in CODINGS if coding in wanted), None)


def _first(wanted: Sequence[str], known: Mapping[str, Format | None], formats: Mapping[Format, str]) -> Format | None:
    for name in wanted:
        if name in known:
            return known[name]
    raise NotAcceptable(", ".join((JSON, *formats.values())))


def _by_weight(header: str, lines: list[str]) -> list[str]:
    """Return what a header accepts, best first, without what it refuses.

    Raises:
        BadRequest: If a weight is no number.
    """
    weighed: list[tuple[float, str]] = []
    for part in ",".join(lines).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((piece.removeprefix("q=") for piece in parameters if piece.startswith("q=")), "1")
        try:
            weighed.append((float(weight), name))
        except ValueError:
            raise BadRequest(header, "a list, with weights as in `application/json;q=0.5`") from None
    return [name for weight, name in sorted(weighed, key=lambda each: -each[0]) if weight > 0]
