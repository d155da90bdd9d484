"""`consentful export`: a stream, to a file that appears only when it is whole; one that was cut short goes on.

    connecting ──200──► writing ──the manifest confirms it──► whole
        │                │  ▲
        │                ▼  │ after a wait, for two minutes of trouble at most
        │              broken off: NDJSON and CSV go on behind their last whole row, the others begin anew
        ▼
    refused, or no answer: told at once, since the address may be wrong

The standard output takes back nothing, so a stream that breaks off there has failed.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO, Final, Literal

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from consentful import filters
from consentful.backoff import JITTER
from consentful.clock import SystemClock
from consentful.close_codes import Lost
from consentful.endpoint import http_url
from consentful.errors import ConsentfulError, Unavailable
from consentful.filters import Asked
from consentful.http_client import Altered, HttpClient, unavailable

from ...errors import BadSetting, Refusal
from ...exports.formats import MEDIA, Format
from .resume import NOTHING, RESUMABLE, WholeRows, whole_rows

_RETRY_FOR_S: Final = 120.0
_STDOUT: Final = "-"
_NO_FILTERS: Final = ("format", "partition", "shape")


class ExportFailed(Refusal):
    """The server did not answer, refused, or broke off."""

    code = "export"


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Which messages to export; all of them, unless something is named."""

    format: Format | None = None
    """How to write it; by default what the file's name ends with, or NDJSON."""
    shape: Literal["messages", "chat"] = "messages"
    """A row for each message, or for each dialog with `messages` of `role` and `content`."""
    partition: bool = False
    """Write a folder of Parquet files instead, by day and language, as DuckDB, Polars and Spark read it."""
    language: str | None = None
    """Language range, such as `en` or `pt-BR`."""
    customer: str | None = None
    """Pseudonym, `cus_…`."""
    dialog_id: str | None = None
    """One dialog."""
    role: Literal["customer", "bot", "agent"] | None = None
    """Who spoke."""
    bot: str | None = None
    """Which chatbot."""
    purpose: str | None = None
    """Granted for this purpose."""
    since: str | None = None
    """Received at or after, RFC 3339 with an offset."""
    until: str | None = None
    """Received before, RFC 3339 with an offset."""
    order: Literal["stored", "newest"] = "stored"
    """Oldest commit first, or newest message first."""

    def run(self, url: str, token: str | None, output: Path, console: Console) -> int:
        """Write the stream to `output`; until it is whole it is called `output.part`.

        NDJSON and CSV go on with an `output.part` that is there, in commit order.

        Raises:
            ExportFailed: If the server cannot be reached, refuses, or breaks off.
            BadSetting: If the URL is none, a folder is asked for where something is, or nothing can be a folder.
        """
        if self.partition:
            return self._run_partitioned(url, token, output, console)
        form = self.format or _form_of(output)
        target = Target(output, form, resumes=self.order == "stored" and form in RESUMABLE and str(output) != _STDOUT)
        rows = self._download(url, token, target, console)
        if not target.is_stdout:
            target.part.replace(output)
        console.print(f"{rows:,} rows")
        return 0

    def _run_partitioned(self, url: str, token: str | None, output: Path, console: Console) -> int:
        from .partition import partition  # noqa: PLC0415 - pyarrow is an extra

        if str(output) == _STDOUT or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
            raise BadSetting("output", "a folder that is not there yet, or empty")
        stream = Target(output.with_name(output.name + ".arrow"), "arrow", resumes=False)
        try:
            self._download(url, token, stream, console)
            partition(stream.part, output)
        finally:
            stream.part.unlink(missing_ok=True)
        console.print(f"{sum(1 for _ in output.rglob('*.parquet')):,} files")
        return 0

    def _download(self, url: str, token: str | None, target: "Target", console: Console) -> int:
        """Write the stream, or the rest of it, to the target; return how many rows it has then.

        Raises:
            ExportFailed: If the server cannot be reached, refuses, or breaks off.
            BadSetting: If the URL is none.
        """
        columns = (TextColumn("exporting"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
        client = _client(url, token)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("exporting", total=None)
            download = Download(client, self._asked(target.form), target, lambda size: progress.advance(task, size))
            try:
                return asyncio.run(client.retry(download.attempt))
            except Unavailable as error:
                goes_on = ", and it goes on where it ended" if target.whole_rows().rows else ""
                reason = f"{url}: {error.detail}{goes_on}"
            except ConsentfulError as refusal:
                reason = refusal.detail
        raise ExportFailed(reason)

    def _asked(self, form: Format) -> Asked:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _NO_FILTERS}
        return filters.messages(values).but(shape=self.shape, format=form)


@dataclass(frozen=True)
class Target:
    """Where a stream is written: the standard output, or a file that is called `….part` until it is whole."""

    output: Path
    form: Format
    resumes: bool
    """Whether a part that is there can be gone on with."""

    @property
    def is_stdout(self) -> bool:
        return str(self.output) == _STDOUT

    @property
    def part(self) -> Path:
        return self.output.with_name(self.output.name + ".part")

    def whole_rows(self) -> WholeRows:
        """Return what is there already and can be kept."""
        return whole_rows(self.part, self.form) if self.resumes else NOTHING

    @contextmanager
    def open(self, kept: WholeRows) -> Generator[BinaryIO]:
        """Open it for writing, behind what is kept; what else was in it is gone."""
        if self.is_stdout:
            yield sys.stdout.buffer
            return
        with self.part.open("r+b" if kept.size else "wb") as file:
            file.truncate(kept.size)
            file.seek(kept.size)
            yield file


class Download:
    """One export, tried until it is whole."""

    def __init__(self, client: HttpClient, asked: Asked, target: Target, on_bytes: Callable[[int], object]) -> None:
        self._client = client
        self._asked = asked
        self._target = target
        self._on_bytes = on_bytes
        self._has_begun = False

    async def attempt(self) -> int:
        """Write the stream, or what is missing of it, to the target; return how many rows it has then.

        Raises:
            Lost: If another attempt may do.
            ConsentfulError: If the service refuses, or another attempt is no use.
        """
        try:
            return await self._write(self._target.whole_rows())
        except Lost as lost:
            if isinstance(lost, Altered) and not self._target.is_stdout:
                self._target.part.unlink()  # there may be whole rows in it, but nobody knows which are right
            if self._has_begun and not self._target.is_stdout:
                raise
            reason = lost.reason
        raise unavailable(reason)

    async def _write(self, kept: WholeRows) -> int:
        async with self._client.stream(self._asked.but(after=kept.after)) as stream:
            self._has_begun = True
            repeats_head = kept.size > 0 and self._target.form == "csv"
            with self._target.open(kept) as file:
                async for chunk in _without_head(stream.chunks()) if repeats_head else stream.chunks():
                    file.write(chunk)
                    self._on_bytes(len(chunk))
            return kept.rows + stream.rows


async def _without_head(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield what comes behind the first line, which names the columns and stands in the file already."""
    is_behind = False
    async for chunk in chunks:
        if is_behind:
            yield chunk
        else:
            _, end, rest = chunk.partition(b"\n")
            is_behind = bool(end)
            yield rest


def _client(url: str, token: str | None) -> HttpClient:
    try:
        address = http_url(url)
    except ValueError as error:
        raise BadSetting("url", str(error)) from None
    return HttpClient(url=address, token=token, ssl=True, retry_for=_RETRY_FOR_S, clock=SystemClock(), random=JITTER)


def _form_of(output: Path) -> Format:
    for form in MEDIA:
        if output.suffix == f".{form}":
            return form
    return "ndjson"
