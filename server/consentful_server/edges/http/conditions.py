"""Preconditions of a change: `If-Match` and `If-None-Match` (RFC 9110 §13.1)."""

import re
from typing import Final

from aiohttp import hdrs, web

from ...annotations.store import Condition
from ...errors import BadRequest

_ONE: Final = r'(W/)?"[!#-~]*"'
TAGS: Final = rf"^(\*|{_ONE}([ \t]*,[ \t]*{_ONE})*)$"
"""The regular expression of `If-Match`: `*`, or entity tags with their quotes."""

_LIST: Final = re.compile(TAGS)
_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')


def condition_of(request: web.Request) -> Condition:
    """Return what the request demands.

    Raises:
        BadRequest: If a header is malformed, or `If-None-Match` is not `*`: tags there would mean nothing for a change.
    """
    if request.headers.get(hdrs.IF_NONE_MATCH, "*").strip() != "*":
        raise BadRequest(hdrs.IF_NONE_MATCH, "must be `*`: there is no annotation yet")
    is_new = hdrs.IF_NONE_MATCH in request.headers
    if hdrs.IF_MATCH not in request.headers:
        return Condition(is_new=is_new)
    text = ",".join(request.headers.getall(hdrs.IF_MATCH)).strip()
    if text == "*":
        return Condition(is_new, ("*",))
    if not _LIST.fullmatch(text):
        raise BadRequest(hdrs.IF_MATCH, "must be the `etag` that you read, with its quotes, or `*`")
    # Weak tags are kept as they are: a strong comparison never matches one (RFC 9110 §8.8.3.2).
    return Condition(is_new, tuple(_TAG.findall(text)))
