"""The whole service: nginx with our file in front of two nodes, on one PostgreSQL, with one folder of keys.

chatbots ──► nginx ──front──► node ──back──► PostgreSQL
                   ──front──► node ──back──►
"""

import signal
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from front import Front, front

from .chatbots import Chatbots
from .database import DatabaseServer, database_server, url_of
from .network import Network, network
from .node import Node
from .release import Release
from .verdict import Verdict, judge

NODES: Final = 2


@dataclass(frozen=True)
class House:
    """A running service, and what can fail in it."""

    network: Network
    database: DatabaseServer
    standby: DatabaseServer | None
    nodes: list[Node]
    front: Front
    token: str

    @property
    def trusted(self) -> ssl.SSLContext:
        return self.front.pair.trusted()

    def chatbots(self, dialogs: int, seed: int) -> Chatbots:
        return Chatbots(self.front.url, self.token, self.trusted, dialogs=dialogs, seed=seed)

    async def judge(self, chatbots: Chatbots) -> Verdict:
        return await judge(self.front.url, self.token, self.trusted, chatbots.chats)


@asynccontextmanager
async def house(
    folder: Path, *, waits_for_standby: bool | None = None, release: Release | None = None
) -> AsyncGenerator[House]:
    """Start everything; the nodes run this release, or this tree.

    Unless `waits_for_standby` is None, there is a standby, whose name the nodes know as well. A primary that waits for
    it confirms a COMMIT once the standby has it, too.
    """
    async with AsyncExitStack() as stack:
        wires = stack.enter_context(network(NODES))
        host = wires.host("back")
        settings = {"synchronous_standby_names": "standby"} if waits_for_standby else {}
        database = await stack.enter_async_context(database_server(host, settings))
        standby = None if waits_for_standby is None else await stack.enter_async_context(database_server(host))
        await database.create(standby)
        places = ",".join(server.place for server in (database, standby) if server is not None)
        url = f"{url_of(places)}?target_session_attrs=read-write"
        nodes = [_node(folder, wires, room, url, release) for room in wires.rooms]
        for node in nodes:  # one after the other: the first makes the keys
            await node.start()
            stack.push_async_callback(node.end, signal.SIGKILL)
        nginx = await stack.enter_async_context(front(_made(folder / "nginx"), [node.url for node in nodes]))
        yield House(wires, database, standby, nodes, nginx, nodes[0].first_key())


def _node(folder: Path, wires: Network, room: str, database: str, release: Release | None) -> Node:
    settings: dict[str, object] = {
        "database": database,
        "keys-dir": folder / "keys",
        "data-dir": folder / "data",
        "trusted-proxy": wires.host("front"),
        "log-format": "json",
    }
    return Node(folder, room, wires.address(room), settings, release)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
