"""`consentful export`: download a stream to a file, which gets its name only when it is complete.

    connecting ──200──► writing to OUTPUT.part ──the manifest confirms size and SHA-256──► renamed to OUTPUT
        │                 │  ▲
        │                 ▼  │ retry after a backoff, for at most two minutes
        │               interrupted: NDJSON and CSV resume after the last complete row, other formats start again
        ▼
    refused, or no response to the first request: fails at once, because the URL may be wrong

What was written to the standard output cannot be truncated, so a stream that is interrupted there fails.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Literal

from cyclopts import Parameter
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

from ...annotations.remark import Review
from ...errors import BadSetting, Refusal
from ...exports.formats import MEDIA, Format
from . import selection
from .resume import NOTHING, RESUMABLE, WholeRows, whole_rows

_RETRY_FOR_S: Final = 120.0
_STDOUT: Final = "-"
_EXTENSIONS: Final[Mapping[str, Format]] = {**{f".{form}": form for form in MEDIA}, ".jsonl": "ndjson"}
"""`.jsonl` is what Hugging Face and OpenAI call NDJSON."""

_NO_FILTERS: Final = ("format", "roles", "bom", "partition", "shape")


class ExportFailed(Refusal):
    """The server did not respond, refused the request, or interrupted the stream."""

    code = "export"


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """The filters and the format of an export. Without filters, all messages are exported."""

    format: Format | None = None
    """Output format; by default from the file name's extension, otherwise NDJSON."""
    shape: Literal["messages", "chat", "annotations"] = "messages"
    """One row per message; one row per dialog with `messages` of `role` and `content`; or one row per annotation."""
    roles: Literal["user/assistant", "customer/bot"] = "user/assistant"
    """The roles of `--shape chat`: those of chat templates, or those that were stored."""
    bom: bool = False
    """Begin CSV with a byte order mark, which Excel needs to read UTF-8."""
    partition: bool = False
    """Write a folder of Parquet files, partitioned by day and language, for DuckDB, Polars and Spark."""
    language: str | None = None
    """Language range, such as `en` or `pt-BR`."""
    customer: str | None = None
    """The customer's pseudonym, `cus_…`."""
    dialog_id: str | None = None
    """The id of one dialog."""
    role: Literal["customer", "bot", "agent"] | None = None
    """The speaker's role."""
    bot: str | None = None
    """The chatbot's name."""
    purpose: str | None = None
    """A purpose that consent was granted for."""
    since: str | None = None
    """Received at or after this time; RFC 3339 with an offset."""
    until: str | None = None
    """Received before this time; RFC 3339 with an offset."""
    label: str | None = None
    """A label of an annotation. One annotation must have all that is given of label, review and annotator."""
    review: Review | None = None
    """The review status of an annotation."""
    annotator: str | None = None
    """The credential that wrote an annotation."""
    metadata: tuple[str, ...] = ()
    """`KEY=VALUE`, a pair that the dialog's metadata has; repeat it for several, all of which must match."""
    dialog_ids: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None
    """A file with at most 1,000 ids of dialogs, one a line; `-` is the standard input."""
    order: Literal["stored", "newest"] = "stored"
    """By commit, oldest first; or by time of receipt, newest first."""

    def run(self, url: str, token: str | None, output: Path, console: Console) -> int:
        """Write the stream to `output.part`, and rename it to `output` when it is complete.

        In commit order, NDJSON and CSV resume an existing `output.part`, but not of annotations or filtered by them,
        because they change.

        Raises:
            ExportFailed: If the server cannot be reached, refuses the request, or interrupts the stream.
            BadSetting: If the URL, the extension or a filter is invalid, the folder of `output` does not exist, or
                `--partition` gets a folder that is not empty, `-`, or annotations, which have no language.
        """
        if self.partition:
            return self._run_partitioned(url, token, output, console)
        form = self.format or _form_of(output)
        if not output.parent.is_dir():
            raise BadSetting("output", f"{output.parent} is not a folder; create it first, or name another")
        resumes = self._is_lasting and form in RESUMABLE and str(output) != _STDOUT
        target = Target(output, form, resumes=resumes)
        rows = self._download(url, token, target, console)
        if not target.is_stdout:
            target.part.replace(output)
        console.print(f"{rows:,} rows")
        return 0

    @property
    def _is_lasting(self) -> bool:
        """Whether the rows that a first attempt wrote are the first rows of the next one as well."""
        is_by_annotation = self.shape == "annotations" or self.label or self.review or self.annotator
        return self.order == "stored" and not is_by_annotation

    def _run_partitioned(self, url: str, token: str | None, output: Path, console: Console) -> int:
        from .partition import partition  # noqa: PLC0415 - pyarrow is an extra

        if self.shape == "annotations":
            raise BadSetting("shape", "annotations have no language to partition by; export them to one file")
        if str(output) == _STDOUT or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
            raise BadSetting("output", "must be a new or an empty folder")
        stream = Target(output.with_name(output.name + ".arrow"), "arrow", resumes=False)
        try:
            self._download(url, token, stream, console)
            partition(stream.part, output)
        finally:
            stream.part.unlink(missing_ok=True)
        console.print(f"{sum(1 for _ in output.rglob('*.parquet')):,} files")
        return 0

    def _download(self, url: str, token: str | None, target: "Target", console: Console) -> int:
        """Write the stream, or its missing rest, to the target; return the target's number of rows.

        Raises:
            ExportFailed: If the server cannot be reached, refuses the request, or interrupts the stream.
            BadSetting: If the URL or a filter is invalid.
        """
        columns = (TextColumn("exporting"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
        client, asked = _client(url, token), self._asked(target.form)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("exporting", total=None)
            download = Download(client, asked, target, lambda size: progress.advance(task, size))
            try:
                return asyncio.run(client.retry(download.attempt))
            except Unavailable as error:
                resume = "; run the same command again to resume" if target.whole_rows().rows else ""
                reason = f"{url}: {error.detail}{resume}"
            except ConsentfulError as refusal:
                reason = refusal.detail
        raise ExportFailed(reason)

    def _filters(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _NO_FILTERS}
        values["metadata"] = selection.pairs(self.metadata)
        values["dialog_ids"] = None if self.dialog_ids is None else selection.dialog_ids(self.dialog_ids)
        return {name: value for name, value in values.items() if value is not None}

    def _asked(self, form: Format) -> Asked:
        values, bom = self._filters(), "true" if self.bom else None
        if self.shape == "annotations":
            if unknown := [name for name in ("metadata", "dialog_ids") if name in values]:
                raise BadSetting(unknown[0], "annotations are not filtered by it; export messages, or leave it out")
            return filters.annotations(values).but(format=form, bom=bom)
        return filters.messages(values).but(shape=self.shape, format=form, roles=self.roles, bom=bom)


@dataclass(frozen=True)
class Target:
    """Where a stream is written: the standard output, or a file that is named `….part` until it is complete."""

    output: Path
    form: Format
    resumes: bool
    """Whether an existing part can be resumed."""

    @property
    def is_stdout(self) -> bool:
        return str(self.output) == _STDOUT

    @property
    def part(self) -> Path:
        return self.output.with_name(self.output.name + ".part")

    def whole_rows(self) -> WholeRows:
        """Return the complete rows of an existing part."""
        return whole_rows(self.part, self.form) if self.resumes else NOTHING

    @contextmanager
    def open(self, kept: WholeRows) -> Generator[BinaryIO]:
        """Open the target for writing after the rows that are kept. The rest of an existing part is truncated."""
        if self.is_stdout:
            yield sys.stdout.buffer
            return
        with self.part.open("r+b" if kept.size else "wb") as file:
            file.truncate(kept.size)
            file.seek(kept.size)
            yield file


class Download:
    """One export, retried until it is complete."""

    def __init__(self, client: HttpClient, asked: Asked, target: Target, on_bytes: Callable[[int], object]) -> None:
        self._client = client
        self._asked = asked
        self._target = target
        self._on_bytes = on_bytes
        self._has_begun = False

    async def attempt(self) -> int:
        """Write the stream, or its missing rest, to the target; return the target's number of rows.

        Raises:
            Lost: If a retry may succeed.
            ConsentfulError: If the service refuses the request, or a retry cannot succeed.
        """
        try:
            return await self._write(self._target.whole_rows())
        except Lost as lost:
            if isinstance(lost, Altered) and not self._target.is_stdout:
                self._target.part.unlink()  # its SHA-256 is wrong, and nothing tells which rows are correct
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
    """Yield the chunks without the first line, the CSV header, which the resumed file has already."""
    is_past_head = False
    async for chunk in chunks:
        if is_past_head:
            yield chunk
        else:
            _, end, rest = chunk.partition(b"\n")
            is_past_head = bool(end)
            yield rest


def _client(url: str, token: str | None) -> HttpClient:
    try:
        address = http_url(url)
    except ValueError as error:
        raise BadSetting("url", str(error)) from None
    return HttpClient(url=address, token=token, ssl=True, retry_for=_RETRY_FOR_S, clock=SystemClock(), random=JITTER)


def _form_of(output: Path) -> Format:
    """Return the format of this file name; without an extension, and for the standard output, NDJSON.

    Raises:
        BadSetting: If the extension is of no known format: a file must not hold something else than its name says.
    """
    if not output.suffix:
        return "ndjson"
    form = _EXTENSIONS.get(output.suffix.lower())
    if form is None:
        raise BadSetting(
            "output", f"{output.suffix} is no known extension; use one of {', '.join(_EXTENSIONS)}, or give --format"
        )
    return form
