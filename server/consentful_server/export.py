"""`consentful export`: the stream of messages, to a file that appears only when it is whole."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from .errors import Refusal

_NDJSON: Final = "application/x-ndjson"
_CHUNK_BYTES: Final = 256 * 1024
_SILENT_S: Final = 60


class ExportFailed(Refusal):
    """The server did not answer, or broke off."""

    code = "export"


@dataclass(frozen=True, kw_only=True)
class Export:
    """Which messages to export; all of them, unless something is named."""

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

    async def run(self, url: str, token: str | None, output: Path, console: Console) -> int:
        """Write the stream to `output`; until it is whole it is called `output.part`.

        Raises:
            ExportFailed: If the server cannot be reached, refuses, or breaks off.
        """
        query = {name: str(value) for name, value in asdict(self).items() if value is not None}
        headers = {"Accept": _NDJSON} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENT_S)) as http,
                http.get(f"{url.rstrip('/')}/v1/messages", params=query, headers=headers) as response,
            ):
                if response.status != 200:
                    raise ExportFailed(await _why(response))
                rows = await _save(response, output, console)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExportFailed(
                f"{url} broke off ({type(error).__name__}); nothing whole was written; try again"
            ) from None
        console.print(f"{rows:,} messages")
        return 0


async def _why(response: aiohttp.ClientResponse) -> str:
    if "json" not in response.content_type:
        return f"{response.status}: the server refused"
    problem: dict[str, str] = await response.json(content_type=None)
    return f"{response.status}: {problem.get('detail', 'the server refused')}"


async def _save(response: aiohttp.ClientResponse, output: Path, console: Console) -> int:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    rows = 0
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("exporting", total=None)
        with _whole(output) as file:
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                file.write(chunk)
                rows += chunk.count(b"\n")
                progress.update(task, advance=len(chunk), description=f"{rows:,} messages")
    return rows


@contextmanager
def _whole(output: Path) -> Generator[BinaryIO]:
    """Open a file that takes its name only when everything is in it; `-` is the standard output."""
    if str(output) == "-":
        yield sys.stdout.buffer
        return
    part = output.with_name(output.name + ".part")
    with part.open("wb") as file:
        yield file
    part.replace(output)
