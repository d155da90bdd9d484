"""Reading on from where the last read ended: nothing skipped, nothing twice, nothing that was erased."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, TypeVar

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from consentful_server.consent.notices import Wording
from consentful_server.testing import Served, serve
from kept import get, keep
from postgres_server import database_of, named_in, server

T = TypeVar("T")

WORDING: Final = Wording(
    id="n-2",
    language="en",
    text="May we?",
    purposes=("improve", "research"),
    controller="Shop",
    contact="privacy@shop.example",
    retention=timedelta(days=30),
)
NUMBERS: Final = st.integers(0, 7)


@dataclass
class Kept:
    """What the model knows of a dialog that is stored."""

    messages: int
    purposes: list[str]


@dataclass
class Walker:
    """A reader that keeps its cursor. What it saw is a list, so that twice is seen."""

    kind: Literal["messages", "dialogs"]
    purpose: str | None
    cursor: str | None = None
    pages: int = 0
    seen: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    async def read(self, doors: Sequence[ClientSession], limit: int) -> tuple[list[tuple[str, int]], bool]:
        """Return what one page shows, and whether there is more. Each page is another node's, in turn."""
        http = doors[self.pages % len(doors)]
        self.pages += 1
        asked = {"purpose": self.purpose, "cursor": self.cursor}
        given = {name: value for name, value in asked.items() if value is not None}
        page = await get(http, f"/v1/{self.kind}", order="stored", limit=limit, **given)
        self.cursor = page["next"]
        shown = [(row["dialog_id"], row.get("seq", 0)) for row in page["items"]]
        self.seen += shown
        return shown, page["more"]


class Reading(RuleBasedStateMachine):
    """Writers, erasers, customers who narrow their consent, and readers, against a dictionary.

    On several nodes, those who write at once are at all of them, and a cursor goes on at another one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.kept: dict[str, Kept] = {}
        self.erased: set[str] = set()
        self.walkers = [Walker(kind, purpose) for kind in ("messages", "dialogs") for purpose in (None, "improve")]
        self.nodes: list[Served] = []
        self.doors: list[ClientSession] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def start(self) -> None:
        async def starting() -> None:
            await self.open()
            self.doors = [await self.stack.enter_async_context(ClientSession(node.url)) for node in self.nodes]
            await self.nodes[0].service.offer.add([WORDING])
            for node in self.nodes:
                await node.service.offer.refresh()

        self.run(starting())

    async def open(self) -> None:
        self.nodes = [await self.stack.enter_async_context(serve())]

    @rule(numbers=st.sets(NUMBERS, min_size=1, max_size=4), messages=st.integers(1, 3), limit=st.integers(1, 3))
    def write_at_once(self, numbers: set[int], messages: int, limit: int) -> None:
        """Writers do not wait for each other, and readers not for them."""
        fresh = [name for name in map("d-{}".format, numbers) if name not in self.kept and name not in self.erased]
        known = set(self.kept) | set(fresh)

        async def writing() -> None:
            pages = [asyncio.create_task(walker.read(self.doors, limit)) for walker in self.walkers]
            await asyncio.gather(*pages, *(self.say(name, messages) for name in fresh))
            assert {name for page in pages for name, _ in page.result()[0]} <= known

        self.run(writing())
        self.kept |= {name: Kept(messages, ["improve", "research"]) for name in fresh}

    @rule(number=NUMBERS)
    def narrow(self, number: int) -> None:
        """The same dialog again, for one purpose: it keeps its place."""
        name = f"d-{number}"
        if name in self.kept:
            self.run(self.say(name, self.kept[name].messages, ["research"]))
            self.kept[name].purposes = ["research"]

    @rule(number=NUMBERS, limit=st.integers(1, 3))
    def erase(self, number: int, limit: int) -> None:
        """What is erased while readers read is shown to nobody who asks afterwards."""
        name = f"d-{number}"
        if name not in self.kept:
            return

        async def erasing() -> None:
            pages = (walker.read(self.doors, limit) for walker in self.walkers)
            await asyncio.gather(self.node(name).service.archive.erase(name, "requested"), *pages)

        self.run(erasing())
        del self.kept[name]
        self.erased.add(name)

    @rule(number=st.integers(0, 3), limit=st.integers(1, 5))
    def read_on(self, number: int, limit: int) -> None:
        self.look(self.walkers[number], limit)

    @rule(number=st.integers(0, 3), limit=st.integers(1, 5))
    def read_to_the_end(self, number: int, limit: int) -> None:
        walker = self.walkers[number]
        while self.look(walker, limit):
            pass
        expected = {
            (name, seq)
            for name, dialog in self.kept.items()
            if walker.purpose is None or walker.purpose in dialog.purposes
            for seq in (range(1, dialog.messages + 1) if walker.kind == "messages" else [0])
        }
        assert expected <= set(walker.seen), "skipped"
        assert len(walker.seen) == len(set(walker.seen)), "twice"

    def teardown(self) -> None:
        if self.doors:
            for number in range(len(self.walkers)):
                self.read_to_the_end(number, 2)
        self.run(self.stack.aclose())
        self.runner.close()

    def look(self, walker: Walker, limit: int) -> bool:
        """Read a page while nothing changes; return whether there is more."""
        shown, more = self.run(walker.read(self.doors, limit))
        assert len(shown) <= limit
        for name, _ in shown:
            assert name in self.kept, "erased, or never granted"
            assert walker.purpose is None or walker.purpose in self.kept[name].purposes
        return more

    async def say(self, name: str, messages: int, purposes: list[str] | None = None) -> None:
        await keep(self.node(name).service, name, ["Hi"] * messages, purposes=purposes)

    def node(self, name: str) -> Served:
        """Return the node that the chatbot of this dialog speaks with."""
        return self.nodes[int(name.partition("-")[2]) % len(self.nodes)]


class ReadingFromTwoNodes(Reading):
    """Two nodes on one PostgreSQL database."""

    async def open(self) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        url = await database_of(folder)
        self.stack.push_async_callback(server().run, f"DROP DATABASE {named_in(url)}")
        for node in ("one", "two"):
            serving = serve(folder=folder / node, database=url, keys_dir=folder / "keys")
            self.nodes.append(await self.stack.enter_async_context(serving))


@pytest.mark.parametrize(
    ("reading", "examples"),
    [(Reading, 15), (ReadingFromTwoNodes, 5), pytest.param(ReadingFromTwoNodes, 150, marks=pytest.mark.prove)],
)
def test_a_cursor_skips_nothing(reading: type[Reading], examples: int) -> None:
    run_state_machine_as_test(
        reading,
        settings=settings(
            max_examples=examples, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
