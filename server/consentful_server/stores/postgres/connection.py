"""Connections to PostgreSQL: how each of them is set, and which servers are trusted with data.

Every time-out is set twice: the server ends what takes too long, and the client gives up a little later, because a
server that cannot be reached ends nothing. A parameter of the URL replaces a setting here, such as
`?statement_timeout=60000`.

A cut network is not a slow statement, and both ends find it out from TCP: who gets no acknowledgement for `SILENT_S`
gives the connection up. Without this a node that is cut off would hold the lock for writing, and all others would wait.
"""

import asyncio
import logging
import os
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from ...errors import BadDatabase, Unreachable
from .address import Address, bad_url, host_by_host
from .failures import is_passing, name_of, remedy_of

Row: TypeAlias = Sequence[Any]

CONNECT_S: Final = 5.0
"""How long one host has to let the client in."""

SILENT_S: Final = 5
"""How long the other end may acknowledge nothing, neither data nor a probe."""

_PROBE_EACH_S: Final = 2
COMMAND_S: Final = 40.0
"""How long the client waits for a command: longer than the server lets one run."""

_AGAIN_S: Final = 0.5

_log: Final = logging.getLogger("consentful.store")

_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "consentful",
    "statement_timeout": "30000",  # ms
    "lock_timeout": "10000",  # ms; a process that cannot write for so long refuses, and the chatbot tries again
    "idle_in_transaction_session_timeout": "60000",  # ms; a process that was suspended must not hold the write lock
    "default_transaction_isolation": "read committed",  # each statement after the write lock sees what was committed
    "tcp_user_timeout": str(SILENT_S * 1000),  # ms
    "tcp_keepalives_idle": str(SILENT_S),
    "tcp_keepalives_interval": str(_PROBE_EACH_S),
    "timezone": "UTC",
    "jit": "off",  # compiling takes longer than the short statements here
}

LOST: Final = (
    ConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the server said last, while it went away, was no answer to what was asked
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,  # its server is the primary no more
)
"""What says that a connection was lost: on another one, the same may succeed at once."""

FAILED: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""What says that a statement failed, or a connection cannot be made. The text may quote values, so it is logged
nowhere. Time-outs are OSErrors.
"""

_NEXT_HOST: Final = (
    OSError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.CannotConnectNowError,
)
"""What says that another host may let the client in: this one is gone, starts, or has another role."""

_TCP: Final[Mapping[str, int]] = {
    "TCP_USER_TIMEOUT": SILENT_S * 1000,  # ms
    "TCP_KEEPIDLE": SILENT_S,
    "TCP_KEEPINTVL": _PROBE_EACH_S,
}

OLDEST: Final = 150_000
"""PostgreSQL 15."""


class Connection(Protocol):
    """The part of an asyncpg connection that the store uses, with types."""

    async def execute(self, query: str, *args: Any) -> str: ...

    async def executemany(self, command: str, args: Sequence[Row]) -> None: ...

    async def fetch(self, query: str, *args: Any) -> list[Row]: ...

    async def fetchrow(self, query: str, *args: Any) -> Row | None: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Sequence[Row], columns: Sequence[str]
    ) -> str: ...

    def add_log_listener(self, callback: Callable[[Any, Any], None]) -> None: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...

    def is_closed(self) -> bool: ...


def options(address: Address, **more: str) -> dict[str, Any]:
    """Return what every connection is made with. `more` are settings for this one."""
    given = dict(parse_qsl(urlsplit(address.url).query))
    settings = {name: value for name, value in (_SETTINGS | more).items() if name not in given}
    return {"dsn": address.url, "timeout": CONNECT_S, "command_timeout": COMMAND_S, "server_settings": settings}


async def connect(address: Address, *, is_patient: bool = False, **settings: str) -> Connection:
    """Return a connection with these settings. With `is_patient`, its statements may take as long as they need.

    Raises:
        BadSetting: If the URL is none that asyncpg understands.
        OSError, asyncpg.PostgresError: If the server does not let it in.
    """
    patience = {"statement_timeout": "0", "lock_timeout": "60000"} if is_patient else {}
    given = options(address, **patience, **settings)
    if is_patient:
        given["command_timeout"] = None
    try:
        return cast("Connection", await open_connection(**given))
    except ssl.SSLError:  # a certificate that does not fit is a ValueError as well
        raise
    except (asyncpg.exceptions.ClientConfigurationError, ValueError):
        raise bad_url() from None


async def open_connection(dsn: str, **given: Any) -> Any:
    """Return asyncpg's connection to the first host that lets the client in, and has the role that is asked for.

    `given` are arguments of `asyncpg.connect`. It would give `timeout` to all hosts together, so that a first one that
    is silent leaves nothing for the others (MagicStack/asyncpg#1155); here each has as long.
    """
    hosts = host_by_host(dsn)
    for number, url in enumerate(hosts, 1):
        try:
            made = cast("Any", await asyncpg.connect(url, **given))  # pyright: ignore[reportUnknownMemberType]
        except _NEXT_HOST:
            if number == len(hosts):
                raise
        else:
            _give_up_when_silent(made)
            return made
    raise AssertionError(hosts)


def _give_up_when_silent(made: Any) -> None:
    """Have the kernel end the connection when the server acknowledges nothing (RFC 5482; tcp(7))."""
    found: socket.socket = made._transport.get_extra_info("socket")  # asyncpg has no public way to it
    if found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with socket.socket(fileno=os.dup(found.fileno())) as same:  # uvloop's own takes no options
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP.items():
            if hasattr(socket, name):  # not everywhere
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def first_connection(address: Address, patience_s: float = 0) -> Connection:
    """Return a connection to a server that can be trusted with data. It is waited for so long, while that may help.

    Raises:
        Unreachable: If it cannot be reached for now. The sentence says what to do.
        BadDatabase: If it does not exist, or must not be trusted. The sentence says what to do.
    """
    db = await reach(address, patience_s)
    try:
        await _check(db, address)
    except BaseException:
        await db.close()
        raise
    return db


async def reach(address: Address, patience_s: float = 0) -> Connection:
    """Return a connection that is patient.

    Raises:
        Unreachable, BadDatabase: If it cannot be made. The sentence says what to do.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return await connect(address, is_patient=True)
        except FAILED as error:
            if not is_passing(error) or time.monotonic() >= until:
                raise _refusal(address, error) from None
            _log.warning(f"waiting for {address.name}, which {_what(error)}")
        await asyncio.sleep(_AGAIN_S)


@contextmanager
def explained(address: Address) -> Generator[None]:
    """Let what fails at a start tell the operator what to do.

    Raises:
        BadDatabase: Instead of any error of the server or the connection.
    """
    try:
        yield
    except FAILED as error:
        raise _refusal(address, error) from None


def _refusal(address: Address, error: BaseException) -> BadDatabase:
    kind = Unreachable if is_passing(error) else BadDatabase
    return kind(f"{address.name} {_what(error)}")


def _what(error: BaseException) -> str:
    return remedy_of(error) or f"cannot be used ({name_of(error)}); the server's log says why"


async def _check(db: Connection, address: Address) -> None:
    row = await db.fetchrow(
        "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('server_encoding'),"
        " current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),"
        " current_setting('default_transaction_read_only'), current_setting('idle_in_transaction_session_timeout')"
    )
    assert row is not None
    for what in wrong_with(ServerFacts(*row)):
        raise BadDatabase(f"{address.name} {what}")


class ServerFacts(NamedTuple):
    """What a server says of itself, by the names of its settings."""

    version: int
    is_replica: bool
    encoding: str
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    read_only: str
    idle_timeout: str


def wrong_with(server: ServerFacts) -> Iterator[str]:
    """Yield why a server must not be trusted with data, and what to do."""
    if server.version < OLDEST:
        yield f"is PostgreSQL {server.version // 10_000}, and {OLDEST // 10_000} or later is needed; upgrade the server"
    if server.is_replica:
        yield "is a replica, which cannot be written; name the primary server in --database"
    elif server.read_only == "on":
        yield "is read-only for this user; set default_transaction_read_only = off"
    if server.encoding != "UTF8":
        yield f"has the encoding {server.encoding}; create the database with `createdb --encoding UTF8`"
    if server.fsync != "on":
        yield "has fsync off, so a power cut loses or damages what was stored; set fsync = on"
    if server.full_page_writes != "on":
        yield "has full_page_writes off, so a power cut can damage it; set full_page_writes = on"
    if server.synchronous_commit == "off":
        yield "has synchronous_commit off for this user, so a crash loses what was stored; set it to on"
    if server.idle_timeout == "0":  # every connection asks for one
        yield (
            "has no idle_in_transaction_session_timeout, as behind a pooler that ignores what connections ask for;"
            " connect to PostgreSQL directly, or set a time in --database"
        )
