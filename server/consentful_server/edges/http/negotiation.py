"""Content negotiation: the media type (RFC 9110 §12.5.1) and the content coding (§12.5.3) of a response.

mimeparse finds the most specific media range that matches a media type, and its weight. It takes a malformed weight as
1, and its run time is quadratic in the length of the header; so this module checks the weights and limits the length.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, cast

import mimeparse
from aiohttp import hdrs, web

from ...errors import BadRequest, NotAcceptable
from ...exports.formats import Format, hint, offered
from ...exports.formats.compression import CODINGS, Coding
from .bodies import JSON
from .list_query import StreamQuery

MediaRange: TypeAlias = tuple[str, str, dict[str, Any]]
"""Type, subtype, and parameters with the weight, `q`, among them."""

# mimeparse has no type hints.
_parse: Final = cast("Callable[[str], MediaRange]", mimeparse.parse_mime_type)  # pyright: ignore[reportUnknownMemberType]
_quality: Final = cast("Callable[[str, Sequence[MediaRange]], float]", mimeparse.quality_parsed)  # pyright: ignore[reportUnknownMemberType]

_LONGEST: Final = 2048
"""Maximum length of each header. Browsers send about a hundred characters."""


class Offer(NamedTuple):
    """An available response format. `form` None is a page of JSON, any other a stream."""

    name: str
    media: str
    form: Format | None


def format_of(request: web.Request, query: StreamQuery) -> Format | None:
    """Return the format to stream in; None for a page of JSON, the default. `?format=` overrides `Accept`.

    Raises:
        NotAcceptable: If none of the requested formats is available.
        BadRequest: If the header is too long, or has a malformed weight.
    """
    offers = (Offer("json", JSON, None), *(Offer(name, media, name) for name, media in offered().items()))
    if query.format is not None:
        acceptable: Sequence[Offer] = [offer for offer in offers if offer.name == query.format]
    else:
        acceptable = _by_weight(offers, tuple(_elements(request, hdrs.ACCEPT)) or ("*/*",))
    if not acceptable:
        raise NotAcceptable(", ".join(offer.media for offer in offers), hint())
    return acceptable[0].form


def coding_of(request: web.Request) -> Coding | None:
    """Return the content coding of a stream; None if the client prefers `identity`.

    If the client accepts neither `identity` nor one of our codings, the header is disregarded and the stream is sent
    uncompressed (RFC 9110 §12.4.1).

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


@lru_cache(maxsize=64)
def _by_weight(offers: tuple[Offer, ...], elements: tuple[str, ...]) -> Sequence[Offer]:
    """Return the acceptable offers, highest weight first; offers of equal weight keep their order.

    Clients send the same few headers over and over, so the last ones are remembered.
    """
    ranges = _media_ranges(elements)
    weighted = [(_quality(offer.media, ranges), offer) for offer in offers]
    return tuple(offer for weight, offer in sorted(weighted, key=lambda pair: -pair[0]) if weight > 0)


def _media_ranges(elements: Iterable[str]) -> list[MediaRange]:
    """Return the media ranges among these elements, without malformed ones: no offer would match them."""
    ranges: list[MediaRange] = []
    for element in elements:
        try:
            main, sub, parameters = _parse(element)
        except mimeparse.MimeTypeParseException:
            continue
        ranges.append((main, sub, {**parameters, "q": _weight(hdrs.ACCEPT, parameters.get("q", "1"))}))
    return ranges


def _elements(request: web.Request, header: str) -> list[str]:
    """Return the elements of a list header (RFC 9110 §5.6.1), in lower case.

    Raises:
        BadRequest: If the header is too long.
    """
    text = ",".join(request.headers.getall(header, [])).lower()
    if len(text) > _LONGEST:
        raise BadRequest(header, f"must have at most {_LONGEST:,} characters")
    return [element.strip() for element in text.split(",") if element.strip()]


def _weight(header: str, text: str) -> float:
    """Return a weight (RFC 9110 §12.4.2). `.5` is accepted as well, because Java clients send it.

    Raises:
        BadRequest: If the weight is malformed.
    """
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= 1:
        raise BadRequest(header, "must have weights from 0 to 1, as in `q=0.5`")
    return weight
