"""Streams of everything over HTTP, opened from their seals, beside `sqlite3` writing plain rows."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from socket import create_connection

import uvloop

from . import child, corpus
from .child import Child
from .figure import Figure, Measured, compare
from .plan import SERVER_CORE, Plan, in_turn

_RATE = Figure("export: NDJSON over HTTP / sqlite3 shell, plain rows", "rows/s", 0.6, 0.9)
_FORMATS = {
    "csv": Figure("export: CSV / NDJSON", "rows/s", 0.7, 1),
    "arrow": Figure("export: Arrow / NDJSON", "rows/s", 0.7, 1.5),
    "parquet": Figure("export: Parquet / NDJSON", "rows/s", 0.6, 1.2),
}

_ROWS, _MESSAGES = 100_000, 10
_READ = 1 << 20
_WRITE = """
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(sys.argv[2])
for row in rows:
    print(json.dumps({column[0]: value for column, value in zip(rows.description, row)}))
"""


def measure(plan: Plan) -> list[Measured]:
    folder, rows = plan.new_folder("rows"), plan.size(_ROWS, least=_MESSAGES) // _MESSAGES * _MESSAGES
    uvloop.run(_fill(folder, rows))
    with child.on_folder(corpus.places(folder)) as server:
        plain = _plain_table(server, folder / "plain.db")
        others = [partial(_whole_rate, server, form, rows) for form in _FORMATS]
        ours, shell, *columns = in_turn(
            plan.rounds, [partial(_rate, server, rows), partial(_plain_rate, plain, rows), *others]
        )
    formats = [compare(figure, values, ours) for figure, values in zip(_FORMATS.values(), columns, strict=True)]
    return [compare(_RATE, ours, shell), *formats]


async def _fill(folder: Path, rows: int) -> None:
    async with corpus.opened(folder) as service:
        await corpus.fill(service, "x", rows // _MESSAGES, _MESSAGES)


@contextmanager
def _body(port: int, form: str) -> Generator[BufferedReader]:
    """Ask for the whole export and yield its body. HTTP/1.0: it ends with the connection, and is in no chunks.

    Raises:
        RuntimeError: If the server answers anything but 200.
    """
    with create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET /v1/messages?format={form} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            status = answer.readline()
            if status.split()[1:2] != [b"200"]:
                raise RuntimeError(f"no export as {form}: {status.decode().strip() or 'no answer'}")
            while answer.readline().strip():
                pass
            yield answer


def rows_of(server: Child, kept: list[bytes] | None = None) -> int:
    """Read the whole export and return its lines."""
    lines = 0
    with _body(server.port, "ndjson") as body:
        while data := body.read1(_READ):
            lines += data.count(b"\n")
            if kept is not None:
                kept.append(data)
    return lines


def _rate(server: Child, rows: int) -> float:
    began = time.perf_counter()
    if (lines := rows_of(server)) != rows:
        raise RuntimeError(f"{lines} rows instead of {rows}")
    return rows / (time.perf_counter() - began)


def _whole_rate(server: Child, form: str, rows: int) -> float:
    """Return the rows a second of a format whose rows are not told apart on the way."""
    began = time.perf_counter()
    stream(server.port, form)
    return rows / (time.perf_counter() - began)


def stream(port: int, form: str) -> int:
    """Read the whole export in this format and return its bytes.

    Raises:
        RuntimeError: If the server refuses.
    """
    size = 0
    with _body(port, form) as body:
        while data := body.read1(_READ):
            size += len(data)
    return size


def _plain_table(server: Child, path: Path) -> Path:
    """Write the exported rows into a plain table."""
    kept: list[bytes] = []
    rows_of(server, kept)
    rows = [json.loads(line) for line in b"".join(kept).splitlines()]
    names = list(rows[0])
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE messages ({', '.join(names)})")
        db.executemany(
            f"INSERT INTO messages VALUES ({', '.join('?' for _ in names)})", [tuple(row.values()) for row in rows]
        )
    db.close()
    return path


def _plain_rate(path: Path, rows: int) -> float:
    """Let the sqlite3 shell, or where there is none Python's sqlite3, write the table as JSON into a pipe."""
    shell = shutil.which("sqlite3")
    command = [shell, "-json"] if shell else [sys.executable, "-c", _WRITE]
    pinned = ["taskset", "-c", str(SERVER_CORE)] if shutil.which("taskset") else []
    began = time.perf_counter()
    with subprocess.Popen([*pinned, *command, str(path), "SELECT * FROM messages"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        while os.read(process.stdout.fileno(), _READ):
            pass
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return rows / (time.perf_counter() - began)
