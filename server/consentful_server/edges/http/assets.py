"""The files that pages are made of: read when the server starts, compressed when first asked for.

A page is revalidated each time it is shown (`no-cache`, with an `ETag`). What it loads has the folder's version in its
URL, `static/<version>/page.js`: other contents have another URL, so browsers keep these files for a year, and do not
ask again. Imports between scripts are relative, hence all files of a page have one version. The same files without a
version, `static/consentful.js`, are for pages of others; they are revalidated.

The files are of the code that serves them: one that is changed on the disk is served after the next start.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aiohttp import hdrs, web

from ...exports.formats.compression import Coding, compressed
from .negotiation import coding_of

HTML: Final = ".html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    HTML: "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
MEDIA: Final = tuple(kind.partition(";")[0] for kind in _TYPES.values())
"""The media types of the files that are served; a folder's other files are not."""

_INCOMPRESSIBLE: Final = frozenset({_TYPES[".png"]})

REVALIDATED: Final = "no-cache"
_KEPT: Final = "public, max-age=31536000, immutable"
"""For a year, and without a question at a reload (RFC 8246). Only for a URL that names the content's version."""

_REFERENCE: Final = re.compile(r'((?:href|src)="(?:\.\./)*static/)')
_ENTRY: Final = re.compile(r'<script type="module" src="([^"]*/)([\w.]+)"></script>')
_IMPORT: Final = re.compile(r'^(?:import|export)\b[^;]*?"\./([\w.]+)";', re.MULTILINE)
_KEY_FORM: Final = " data-key hidden"
"""What asks for an API key, in a page. Where the server will ask for one, it is shown from the first paint on: a form
that came later would move what is below it."""

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Asset:
    """A file or document as it is sent, in each content coding."""

    __slots__ = ("_coded", "body", "content_type", "tag")

    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.content_type = content_type
        self.tag = _digest(body)
        self._coded: dict[Coding, bytes] = {}

    def in_coding(self, coding: Coding) -> bytes | None:
        """Return the body in a content coding; None if that would not be smaller."""
        if self.content_type in _INCOMPRESSIBLE:
            return None
        coded = self._coded.get(coding)
        if coded is None:
            coded = self._coded[coding] = compressed(self.body, coding)
        return coded if len(coded) < len(self.body) else None


class Assets:
    """The files of one folder, by name."""

    def __init__(self, folder: Path, *, asks_for_key: bool = False) -> None:
        """Read the folder. `asks_for_key` says that the data of the pages needs an API key.

        Raises:
            OSError: If it cannot be read.
        """
        self._asks_for_key = asks_for_key
        self._files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _TYPES}
        self._served: dict[str, Asset] = {}

    @cached_property
    def version(self) -> str:
        """Names these contents: a change of any file changes it."""
        return _digest(*(part for name, body in self._files.items() for part in (name.encode(), body)))

    def find(self, name: str) -> Asset | None:
        """Return a file as it is sent; None if there is none of this name and of a kind that pages are made of."""
        if name not in self._files:
            return None
        if name not in self._served:
            kind = Path(name).suffix
            body = self.page(name).encode() if kind == HTML else self._files[name]
            self._served[name] = Asset(body, _TYPES[kind])
        return self._served[name]

    def page(self, name: str) -> str:
        """Return a page whose references name this version, and that preloads what its scripts import.

        Without that, a browser would find each level of imports a round trip later.

        Raises:
            KeyError: If there is no page of this name.
        """
        text = _REFERENCE.sub(rf"\g<1>{self.version}/", self._files[name].decode())
        if self._asks_for_key:
            text = text.replace(_KEY_FORM, _KEY_FORM.removesuffix(" hidden"))
        return _ENTRY.sub(self._with_preloads, text)

    def _with_preloads(self, script: re.Match[str]) -> str:
        folder, entry = script.groups()
        links = [f'<link rel="modulepreload" href="{folder}{name}">' for name in self._imports(entry)]
        return "\n".join([*links, script.group()])

    def _imports(self, entry: str) -> Iterator[str]:
        """Yield the scripts that a script needs before it runs, each once."""
        found, unread = {entry}, [entry]
        while unread:
            for name in _IMPORT.findall(self._files.get(unread.pop(), b"").decode()):
                if name not in found:
                    found.add(name)
                    unread.append(name)
                    yield name


ASSETS: Final = web.AppKey("assets", Assets)
"""The bundled pages and their files."""


def send(request: web.Request, asset: Asset, headers: Mapping[str, str] = _NO_HEADERS) -> web.Response:
    """Return an asset in the content coding that the client prefers, or 304 if the client has it already.

    Raises:
        BadRequest: If `Accept-Encoding` is malformed.
    """
    coding = coding_of(request)
    coded = asset.in_coding(coding) if coding is not None else None
    tag = asset.tag if coded is None else f"{asset.tag}-{coding}"
    fields = {hdrs.CACHE_CONTROL: REVALIDATED, hdrs.ETAG: f'"{tag}"', hdrs.VARY: hdrs.ACCEPT_ENCODING, **headers}
    if _has(request, tag):
        return web.Response(status=304, headers=fields)
    fields[hdrs.CONTENT_TYPE] = asset.content_type
    if coded is not None and coding is not None:
        fields[hdrs.CONTENT_ENCODING] = coding
    return web.Response(body=asset.body if coded is None else coded, headers=fields)


def send_version(request: web.Request, asset: Asset, *, is_current: bool) -> web.Response:
    """Return an asset that was asked for by version. Only the current one is for keeping.

    A page that another node served, with older or newer files, gets this node's file rather than none.

    Raises:
        BadRequest: If `Accept-Encoding` is malformed.
    """
    return send(request, asset, {hdrs.CACHE_CONTROL: _KEPT if is_current else REVALIDATED})


def _has(request: web.Request, tag: str) -> bool:
    """Return whether the client has this representation (RFC 9110 §13.1.2)."""
    return any(each.value in ("*", tag) for each in request.if_none_match or ())


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(b"%d:" % len(part) + part)
    return found.hexdigest()[:16]
