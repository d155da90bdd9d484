"""What our nginx file does with two nodes: one dialog of the original contract has one node, and an upgrade that a node
refuses goes to the other.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from consentful_server.testing import FakeClock, Served, serve
from front import front
from live import connect

_DIALOGS = [f"d-{number}" for number in range(24)]


@dataclass
class Nodes:
    """Two nodes with a store each, so that nothing of one can be found at the other."""

    served: list[Served]
    first: AsyncExitStack
    """Ends the first node when it is closed."""
    url: str
    http: ClientSession

    async def push(self, dialog_id: str, customer: str = "c-1") -> int:
        async with self.http.post(f"/data/{customer}/{dialog_id}", json={"text": "Hi", "language": "en"}) as response:
            return response.status

    async def consent(self, dialog_id: str) -> tuple[int, int | None]:
        """Return the status and how many messages were stored."""
        async with self.http.post(f"/consents/{dialog_id}", json=True) as response:
            return response.status, (await response.json()).get("messages")

    def live(self) -> list[int]:
        """Return how many dialogs each node holds."""
        return [len(node.service.registry) for node in self.served]


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncGenerator[Nodes]:
    async with AsyncExitStack() as stack:
        ends = [await stack.enter_async_context(AsyncExitStack()) for _ in range(2)]
        served = [await end.enter_async_context(serve(trusted_proxy=("127.0.0.1",), clock=FakeClock())) for end in ends]
        nginx = await stack.enter_async_context(front(tmp_path, [node.url for node in served]))
        http = ClientSession(nginx.url, connector=TCPConnector(ssl=nginx.pair.trusted()))
        yield Nodes(served, ends[0], nginx.url, await stack.enter_async_context(http))


async def test_what_is_pushed_for_one_dialog_reaches_one_node(nodes: Nodes) -> None:
    for _ in range(3):
        assert {await nodes.push(dialog_id) for dialog_id in _DIALOGS} == {201}

    held = nodes.live()
    assert sum(held) == len(_DIALOGS)
    assert min(held) > 0
    assert {await nodes.consent(dialog_id) for dialog_id in _DIALOGS} == {(200, 3)}
    assert {await nodes.consent(dialog_id) for dialog_id in _DIALOGS} == {(200, 3)}  # the same answer again


async def test_a_customer_id_with_a_slash_does_not_change_the_node(nodes: Nodes) -> None:
    for _ in range(2):
        assert {await nodes.push(dialog_id, "shop%2Fcustomer%201") for dialog_id in _DIALOGS} == {201}

    assert {await nodes.consent(dialog_id) for dialog_id in _DIALOGS} == {(200, 2)}


async def test_a_dialog_never_goes_on_at_another_node(nodes: Nodes) -> None:
    """Its beginning would be missing there."""
    before = {await nodes.push(dialog_id) for dialog_id in _DIALOGS}
    held = nodes.live()
    await nodes.first.aclose()

    after = [await nodes.push(dialog_id) for dialog_id in _DIALOGS]

    assert before == {201}
    assert (after.count(503), after.count(201)) == (held[0], held[1])


async def test_an_upgrade_that_a_node_refuses_while_it_drains_goes_to_the_other(nodes: Nodes) -> None:
    nodes.served[0].service.is_draining = True

    for _ in range(6):
        async with connect(nodes.http, nodes.url) as live:
            await live.open()
            assert nodes.live()[0] == 0


async def test_all_nodes_take_live_dialogs(nodes: Nodes) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(6):
            await (await stack.enter_async_context(connect(nodes.http, nodes.url))).open()

        assert nodes.live() == [3, 3]
