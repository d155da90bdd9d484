"""The reader for data scientists: stored messages and dialogs as rows, as tables, and as a local copy."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Unpack

from . import arguments, tables
from . import filters as queries
from .backoff import JITTER
from .clock import Clock, SystemClock
from .endpoint import TLS, Token, http_url
from .filters import AnnotationFilters, Asked, DialogFilters, MessageFilters, Shape
from .http_client import HttpClient
from .mirror import Mirror, Synced
from .pages import Pages
from .rows import KeptAnnotation, KeptDialog, KeptMessage

T = TypeVar("T")


class Reader:
    """Reads stored data from one service. `token` is an API key with scope `data:read`, or a callback that returns one.

    Temporary failures are retried for `retry_for` seconds, and a walk continues where it was. No connection stays open
    between two calls, so there is nothing to close; `async with` is for habit.

    Every method raises, when it begins to read:
        Unavailable: If no complete answer arrived within `retry_for` seconds.
        Unauthorised, Forbidden: If the token is refused, or lacks a scope.
        Refused: If a filter is malformed; it is named.
        TypeError, ValueError: If a filter does not exist or has another type, or a time has no offset.
    """

    def __init__(
        self,
        url: str,
        token: Token | None = None,
        *,
        ssl: TLS | None = None,
        retry_for: float = 120.0,
        clock: Clock | None = None,
        random: Callable[[], float] = JITTER,
    ) -> None:
        self._client = HttpClient(
            url=http_url(url),
            token=token,
            ssl=True if ssl is None else ssl,
            retry_for=retry_for,
            clock=clock or SystemClock(),
            random=random,
        )

    def __repr__(self) -> str:
        return f"Reader({str(self._client.url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: no connection is open."""

    def messages(self, *, limit: int | None = None, **filters: Unpack[MessageFilters]) -> AsyncIterator[KeptMessage]:
        """Iterate over messages, newest first, or in commit order with `order="stored"`; see `MessageFilters`.

        With a `limit`, over the first ones alone.
        """
        return _rows(self.message_pages(**filters), queries.at_most(limit))

    def dialogs(self, *, limit: int | None = None, **filters: Unpack[DialogFilters]) -> AsyncIterator[KeptDialog]:
        """Iterate over dialogs, without their messages; see `DialogFilters`. With a `limit`, over the first ones."""
        return _rows(self.dialog_pages(**filters), queries.at_most(limit))

    def annotations(
        self, *, limit: int | None = None, **filters: Unpack[AnnotationFilters]
    ) -> AsyncIterator[KeptAnnotation]:
        """Iterate over annotations, dialog by dialog; see `AnnotationFilters`. With a `limit`, over the first ones."""
        return _rows(self.annotation_pages(**filters), queries.at_most(limit))

    async def annotate(
        self,
        dialog_id: str,
        seq: int | None = None,
        *,
        labels: Iterable[str] = (),
        note: str | None = None,
        review: Literal["pending", "accepted", "rejected"] | None = None,
        if_match: str | None = None,
    ) -> KeptAnnotation:
        """Say this of a message, or of the whole dialog, in place of what you said before; needs `data:annotate`.

        With `if_match`, the `etag` of an annotation of yours, it replaces that one alone; otherwise it is refused, with
        the code `stale`. Repeating it changes nothing.
        """
        said = {"labels": arguments.texts_or_none("labels", labels), "note": note, "review": review}
        values = {name: value for name, value in said.items() if value is not None}
        headers = {} if if_match is None else {"If-Match": arguments.text("if_match", if_match)}
        asked = Asked(queries.annotation(dialog_id, seq), values, in_body=True, method="PUT", headers=headers)
        return await self._client.ask(asked, KeptAnnotation)

    async def remove_annotation(self, dialog_id: str, seq: int | None = None) -> None:
        """Delete your annotation of a message, or of the whole dialog, if there is one."""
        await self._client.change(Asked(queries.annotation(dialog_id, seq), method="DELETE"))

    def message_pages(self, **filters: Unpack[MessageFilters]) -> Pages[KeptMessage]:
        """Return the messages as pages, whose cursor can be kept."""
        return Pages(self._client, queries.messages(filters), KeptMessage)

    def dialog_pages(self, **filters: Unpack[DialogFilters]) -> Pages[KeptDialog]:
        """Return the dialogs as pages, whose cursor can be kept."""
        return Pages(self._client, queries.dialogs(filters), KeptDialog)

    def annotation_pages(self, **filters: Unpack[AnnotationFilters]) -> Pages[KeptAnnotation]:
        """Return the annotations as pages, whose cursor can be kept. A page can be longer than it was asked to be."""
        return Pages(self._client, queries.annotations(filters), KeptAnnotation)

    @staticmethod
    def schema(shape: Literal["messages", "chat"] = "messages") -> Any:
        """Return the `pyarrow.Schema` of an NDJSON export, for programs that would infer types from its first rows.

        A field that is null there would be of no type; `docs/data-scientists.md` shows how to give them the schema.
        """
        return tables.plain(tables.schema(shape))

    async def to_arrow(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `pyarrow.Table`; `docs/exports.md` lists its columns.

        It is complete according to the service's manifest; a stream that was cut short is requested again. With a
        `limit`, it has the first messages alone, and only they are read.
        """
        asked, most = queries.table(shape, filters), queries.at_most(limit)
        tables.needed("pyarrow")
        if most is not None:
            if shape != "messages":
                raise ValueError('limit is for shape="messages"; narrow the others with since and until')
            return tables.of([message async for message in self.messages(limit=most, **filters)])
        with tables.Progress("B", scale=True) as progress:
            return tables.read(await self._client.download(asked, progress.add))

    async def to_pandas(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `pandas.DataFrame`; role, language and bot are categories."""
        tables.needed("pandas")
        return (await self.to_arrow(shape, limit=limit, **filters)).to_pandas()

    async def to_polars(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `polars.DataFrame`; role, language and bot are categories."""
        polars = tables.needed("polars")
        return polars.from_arrow(await self.to_arrow(shape, limit=limit, **filters))

    async def to_dataset(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a Hugging Face `datasets.Dataset`; TRL trains on `shape="chat"`."""
        tables.needed("datasets")
        return tables.to_dataset(await self.to_arrow(shape, limit=limit, **filters))

    async def sync(self, path: str | Path, **filters: Unpack[MessageFilters]) -> Synced:
        """Bring a folder of Parquet files up to date: new messages are added, and erased dialogs are removed.

        The first call reads everything, later calls only changes. A call may be stopped at any point; the next one
        continues. A folder belongs to one service and one set of filters. If the service was restored from a backup,
        the copy is deleted and made again: `is_anew` tells.

        Raises:
            ValueError: If the folder holds a copy with other filters, or one of them is of annotations, which change.
            BlockingIOError: If another process syncs this folder.
        """
        queries.lasting(filters)
        return await Mirror(self._client, Path(path), filters).sync()


async def _rows(pages: Pages[T], limit: int | None) -> AsyncIterator[T]:
    left = sys.maxsize if limit is None else limit
    while (page := await pages.take(left)) is not None:
        for row in page[:left]:
            yield row
        left -= len(page)
