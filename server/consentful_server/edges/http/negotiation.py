"""What an answer is written in: the media type (RFC 9110 §12.5.1) and the content coding (§12.5.3).

mimeparse finds the most specific media range that a media type fits, and with it the weight. It reads a malformed
weight as 1, and its time grows with the square of the header's length: so weights are checked here, and the length.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

import mimeparse
from aiohttp import hdrs, web

from ...errors import BadRequest, NotAcceptable
from ...exports.formats import Format, offered
from ...exports.formats.compression import CODINGS, Coding
from .bodies import JSON
from .list_query import StreamQuery

MediaRange: TypeAlias = tuple[str, str, dict[str, Any]]
"""Type, subtype, and parameters with the weight, `q`, among them."""

# mimeparse has no type hints.
_parse: Final = cast("Callable[[str], MediaRange]", mimeparse.parse_mime_type)  # pyright: ignore[reportUnknownMemberType]
_quality: Final = cast("Callable[[str, Sequence[MediaRange]], float]", mimeparse.quality_parsed)  # pyright: ignore[reportUnknownMemberType]

_LONGEST: Final = 2048
"""Of one of these headers; a browser sends about a hundred characters."""


class Offer(NamedTuple):
    """One way to answer: a stream in a format, or None for pages of JSON."""

    name: str
    media: str
    form: Format | None


def format_of(request: web.Request, query: StreamQuery) -> Format | None:
    """Return the format to stream in, `?format=` before `Accept`; None stands for a page of JSON, which is the default.

    Raises:
        NotAcceptable: If none that is offered was asked for.
        BadRequest: If the header is too long, or has a malformed weight.
    """
    offers = [Offer("json", JSON, None), *(Offer(name, media, name) for name, media in offered().items())]
    if query.format is not None:
        fitting = [offer for offer in offers if offer.name == query.format]
    else:
        fitting = _by_weight(offers, _media_ranges(_elements(request, hdrs.ACCEPT) or ["*/*"]))
    if not fitting:
        raise NotAcceptable(", ".join(offer.media for offer in offers))
    return fitting[0].form


def coding_of(request: web.Request) -> Coding | None:
    """Return how to compress a stream, unless the client would rather have it as it is (`identity`).

    It also gets it as it is if it refuses that and takes none of our codings: then the header is disregarded (§12.4.1).

    Raises:
        BadRequest: If the header is too long, or has a malformed weight.
    """
    weights = {"identity": 0.0}
    for element in _elements(request, hdrs.ACCEPT_ENCODING):
        name, *parameters = (part.strip() for part in element.split(";"))
        given = next((part.removeprefix("q=") for part in parameters if part.startswith("q=")), "1")
        weights[name] = _weight(hdrs.ACCEPT_ENCODING, given)
    best: Coding = max(CODINGS, key=lambda coding: weights.get(coding, 0.0))
    return best if 0 < weights.get(best, 0.0) >= weights["identity"] else None


def _by_weight(offers: Iterable[Offer], ranges: Sequence[MediaRange]) -> list[Offer]:
    """Return the offers that are accepted, the greatest weight first, equal ones in the order that we prefer."""
    weighed = [(_quality(offer.media, ranges), offer) for offer in offers]
    return [offer for weight, offer in sorted(weighed, key=lambda pair: -pair[0]) if weight > 0]


def _media_ranges(elements: Iterable[str]) -> list[MediaRange]:
    """Return the media ranges among these elements. What is none is passed over: nothing that is offered fits it."""
    ranges: list[MediaRange] = []
    for element in elements:
        try:
            main, sub, parameters = _parse(element)
        except mimeparse.MimeTypeParseException:
            continue
        ranges.append((main, sub, {**parameters, "q": _weight(hdrs.ACCEPT, parameters.get("q", "1"))}))
    return ranges


def _elements(request: web.Request, header: str) -> list[str]:
    """Return the elements of a list (RFC 9110 §5.6.1), in lower case.

    Raises:
        BadRequest: If it is too long.
    """
    text = ",".join(request.headers.getall(header, [])).lower()
    if len(text) > _LONGEST:
        raise BadRequest(header, f"at most {_LONGEST:,} characters")
    return [element.strip() for element in text.split(",") if element.strip()]


def _weight(header: str, text: str) -> float:
    """Return a weight (RFC 9110 §12.4.2); `.5` is one too, since Java writes it so.

    Raises:
        BadRequest: If it is none.
    """
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= 1:
        raise BadRequest(header, "a list whose weights are numbers from 0 to 1, as in `q=0.5`")
    return weight
