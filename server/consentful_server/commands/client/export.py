"""`consentful export`: a stream, to a file that appears only when it is whole; one that was cut short goes on."""

import asyncio
import hashlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from ...errors import BadSetting, Refusal
from ...exports.formats import MEDIA, Format
from .resume import NOTHING, RESUMABLE, Kept, whole_rows

_CHUNK_BYTES: Final = 256 * 1024
_SILENT_S: Final = 60
_STDOUT: Final = "-"
_OURS: Final = ("format", "partition")


class ExportFailed(Refusal):
    """The server did not answer, or broke off."""

    code = "export"


@dataclass(frozen=True, kw_only=True)
class Export:
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
            BadSetting: If a folder is asked for where something is, or nothing can be a folder.
        """
        if self.partition:
            return self._run_partitioned(url, token, output, console)
        form = self.format or _form_of(output)
        kept = whole_rows(_part(output), form) if self._can_go_on(output, form) else NOTHING
        rows = asyncio.run(self._fetch(url, token, output, form, kept, console))
        if str(output) != _STDOUT:
            _part(output).replace(output)
        console.print(f"{rows:,} rows")
        return 0

    def _run_partitioned(self, url: str, token: str | None, output: Path, console: Console) -> int:
        from .partition import partition  # noqa: PLC0415 - pyarrow is an extra

        if str(output) == _STDOUT or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
            raise BadSetting("output", "a folder that is not there yet, or empty")
        stream = output.with_name(output.name + ".arrow")
        try:
            asyncio.run(self._fetch(url, token, stream, "arrow", NOTHING, console))
            partition(_part(stream), output)
        finally:
            _part(stream).unlink(missing_ok=True)
        console.print(f"{sum(1 for _ in output.rglob('*.parquet')):,} files")
        return 0

    def _can_go_on(self, output: Path, form: Format) -> bool:
        return self.order == "stored" and form in RESUMABLE and str(output) != _STDOUT

    async def _fetch(
        self, url: str, token: str | None, output: Path, form: Format, kept: Kept, console: Console
    ) -> int:
        """Write the stream, or the rest of it, to the part; return how many rows it has then."""
        query = self._query() | ({} if kept.after is None else {"after": kept.after})
        headers = {"Accept": MEDIA[form]} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            async with (
                aiohttp.ClientSession(
                    url.rstrip("/") + "/",
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENT_S),
                ) as http,
                http.get("v1/messages", params=query) as response,
            ):
                if response.status != 200:
                    raise ExportFailed(await _why(response))
                digest = await _save(response, output, kept, console)
                return kept.rows + await _confirmed(http, response.headers.get("Export-Id"), digest)
        except (aiohttp.ClientError, TimeoutError) as error:
            again = "try again, and it goes on" if self._can_go_on(output, form) else "try again"
            raise ExportFailed(f"{url} broke off ({type(error).__name__}); {again}") from None

    def _query(self) -> dict[str, str]:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _OURS}
        return {name: str(value) for name, value in values.items() if value is not None}


def _form_of(output: Path) -> Format:
    for form in MEDIA:
        if output.suffix == f".{form}":
            return form
    return "ndjson"


def _part(output: Path) -> Path:
    return output.with_name(output.name + ".part")


async def _why(response: aiohttp.ClientResponse) -> str:
    if "json" not in response.content_type:
        return f"{response.status}: the server refused"
    problem: dict[str, str] = await response.json(content_type=None)
    return f"{response.status}: {problem.get('detail', 'the server refused')}"


async def _confirmed(http: aiohttp.ClientSession, export_id: str | None, digest: str) -> int:
    """Return how many rows the server says that it sent, having seen that all of them arrived.

    Raises:
        ExportFailed: If something is missing, or altered on its way.
    """
    async with http.get(f"v1/exports/{export_id}", headers={"Accept": "application/json"}) as response:
        manifest: dict[str, Any] = await response.json() if response.status == 200 else {}
    if not manifest.get("complete") or manifest["sha256"] != digest:
        raise ExportFailed("what arrived is not what the server sent; try again")
    return manifest["rows"]


async def _save(response: aiohttp.ClientResponse, output: Path, kept: Kept, console: Console) -> str:
    """Write what arrives behind what was kept; return the SHA-256 of what arrived."""
    columns = (TextColumn("exporting"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    digest = hashlib.sha256()
    skips_head = kept.size > 0 and response.content_type == MEDIA["csv"]
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("exporting", total=None)
        with _open(output, kept) as file:
            if skips_head:
                digest.update(await response.content.readline())
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                progress.update(task, advance=len(chunk))
    return digest.hexdigest()


@contextmanager
def _open(output: Path, kept: Kept) -> Generator[BinaryIO]:
    """Open the part behind what was kept of it."""
    if str(output) == _STDOUT:
        yield sys.stdout.buffer
        return
    part = _part(output)
    with part.open("r+b" if kept.size else "wb") as file:
        file.truncate(kept.size)
        file.seek(kept.size)
        yield file
