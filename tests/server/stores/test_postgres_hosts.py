"""Several hosts in one address, and servers that say nothing."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from consentful_server.errors import BadDatabase
from consentful_server.stores.postgres import connection
from consentful_server.stores.postgres.address import address_of, host_by_host
from postgres_server import USER, database_of, named_in, server


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://ann@db/kept", ["postgresql://ann@db/kept"]),
        (
            "postgresql://ann:s%40cret@one:5433,two/kept?target_session_attrs=read-write",
            [
                "postgresql://ann:s%40cret@one:5433/kept?target_session_attrs=read-write",
                "postgresql://ann:s%40cret@two/kept?target_session_attrs=read-write",
            ],
        ),
        ("postgresql://[::1]:5433,db/kept", ["postgresql://[::1]:5433/kept", "postgresql://db/kept"]),
        ("postgresql:///kept?host=a,b&port=1,2", [f"postgresql:///kept?host={it}" for it in ("a&port=1", "b&port=2")]),
        ("postgresql:///kept?host=a,b&port=1", [f"postgresql:///kept?host={it}&port=1" for it in ("a", "b")]),
        ("postgresql:///kept?host=a,b", [f"postgresql:///kept?host={it}" for it in ("a", "b")]),
        ("postgresql://ann@/kept?host=/run", ["postgresql://ann@/kept?host=/run"]),
    ],
)
def test_each_host_has_an_address_of_its_own(url: str, hosts: list[str]) -> None:
    assert host_by_host(url) == hosts


@pytest.fixture
async def silent() -> AsyncGenerator[str]:
    """A host that lets clients in and says nothing, as one whose machine hangs."""
    said_nothing = asyncio.Event()

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said_nothing.wait()
        writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    said_nothing.set()
    listening.close()
    await listening.wait_closed()


async def test_a_silent_host_leaves_time_for_the_next(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 2.0)  # the silent one takes as long, and the other one may need some
    name = named_in(await database_of(tmp_path))
    host, port = silent.split(":")
    url = f"postgresql://{USER}@/{name}?host={host},{server().folder}&port={port},5432"

    db = await connection.connect(address_of(url))

    assert await db.fetchval("SELECT current_database()") == name
    await db.close()


async def test_hosts_of_another_role_are_told_at_a_start(tmp_path: Path) -> None:
    url = f"{await database_of(tmp_path)}&target_session_attrs=standby"

    with pytest.raises(BadDatabase, match="no host of the role") as refused:
        await connection.reach(address_of(url))
    assert not isinstance(refused.value.__context__, asyncpg.PostgresError)


async def test_the_kernel_gives_up_a_server_that_acknowledges_nothing(silent: str) -> None:
    _, writer = await asyncio.open_connection(*silent.split(":"))
    made = SimpleNamespace(_transport=writer.transport)

    connection._give_up_when_silent(made)  # pyright: ignore[reportPrivateUsage]

    options: socket.socket = writer.get_extra_info("socket")
    assert options.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for name, value in connection._TCP.items():  # pyright: ignore[reportPrivateUsage]
        assert options.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
    writer.close()
    await writer.wait_closed()


async def test_the_server_gives_up_a_node_that_acknowledges_nothing(tmp_path: Path) -> None:
    db = await connection.connect(address_of(await database_of(tmp_path)))

    settings = await db.fetch(
        "SELECT name, reset_val FROM pg_settings WHERE name LIKE 'tcp_%' AND source = 'client' ORDER BY name"
    )

    assert {name for name, _ in settings} == {"tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout"}
    await db.close()
