"""What is refused takes the same steps, whatever was wrong with it: how long it takes tells nothing.

Two figures say so. The steady one is counted work: every call that the service's code makes between the request and the
refusal, in order, and the sizes of what is hashed or compared. It is the same on every machine, and a return one line
earlier, a comparison that is left out or a look-up more changes it. What it cannot see is one call that takes longer
for some arguments; so the other figure is time: the medians of interleaved samples, which whatever slows the machine
down slows alike. They are held to a wide margin, and must miss it several times in a row, for a small machine is noisy.
"""

import asyncio
import hmac
import re
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from statistics import median
from types import FrameType
from typing import Any, Final, TypeAlias, cast

import pytest
from aiohttp import ClientSession

from consentful_server.errors import NotFound, Unauthenticated
from consentful_server.testing import FakeClock, Served, serve
from kept import bearer, keep

Refuse: TypeAlias = Callable[[], Awaitable[object]]
"""Asks for what is refused."""
Step: TypeAlias = tuple[str, tuple[int, ...]]
"""What was called, and the lengths of the bytes that it was given."""

_ROUNDS: Final = 4
_MARGIN: Final = 1.15
"""Measured: medians of the same work are within 1 % of each other; without a hash an unknown key takes 30 % less."""
_MARGIN_OF_THREADS: Final = 1.5
"""Measured: within 10 %, where each refusal has crossed to the store's thread and back."""
_FORGET_S: Final = 6.0
"""After which a key is looked up again, rather than remembered."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def service(clock: FakeClock) -> AsyncGenerator[Served]:
    async with serve(auth="keys", clock=clock) as served:
        yield served


@pytest.fixture
async def keys(service: Served) -> Mapping[str, str]:
    """Keys that are refused, each for a reason of its own."""
    one, another = await service.create_key(name="one"), await service.create_key(name="another")
    prefix, key_id, secret = one.split("_", 2)
    return {
        "unknown key": f"{prefix}_{key_id[::-1]}_{secret}",
        "wrong secret": f"{prefix}_{key_id}_{secret[::-1]}",
        "wrong at its end": one[:-1] + ("A" if one[-1] != "A" else "B"),
        "another key's secret": f"{prefix}_{key_id}_{another.split('_', 2)[2]}",
    }


@pytest.fixture
async def codes(service: Served) -> Mapping[str, str]:
    """Withdrawal codes that are refused, from one that is nearly a customer's to one that is nobody's.

    An I and an L are read as each other, which takes work; but only what was typed says how much. So all have as many.
    """
    code = (await keep(service.service, "d-1")).withdrawal_code
    first, *_, last = [place for place, letter in enumerate(code) if letter not in "IL-"]
    return {
        "wrong at its end": changed(code, last),
        "wrong at its beginning": changed(code, first),
        "unknown": "".join(letter if letter in "IL-" else "A" for letter in code),
    }


def changed(code: str, place: int) -> str:
    """Return the code with another letter at one place."""
    return code[:place] + ("A" if code[place] != "A" else "B") + code[place + 1 :]


@pytest.fixture
def steps(service: Served, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """What was done, from now on: secrets that were hashed or compared, and questions to the store."""
    done: list[Step] = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            if is_for_a_request():
                done.append((name, lengths(arguments)))
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, watched)

    for name in ("digest", "compare_digest"):
        watch(hmac, name)
    watch(service.service.store.credentials, "find")
    for name in ("find", "erase", "withdraw"):
        watch(service.service.store.dialogs, name)
    return done


def answer_of(body: bytes) -> bytes:
    """Return the answer without the request's id, which is another one each time."""
    return re.sub(rb'"request_id":"[^"]*"', b"", body)


def lengths(arguments: Iterable[object]) -> tuple[int, ...]:
    """Return the lengths of the bytes among the arguments, and in the lists among them."""
    found: list[int] = []
    for argument in arguments:
        if isinstance(argument, bytes):
            found.append(len(argument))
        elif isinstance(argument, list):
            found += lengths(cast("list[object]", argument))
    return tuple(found)


def is_for_a_request() -> bool:
    """Whether what runs is on the event loop's thread, and in no task that the service started to keep house."""
    if threading.current_thread() is not threading.main_thread():
        return False
    task = asyncio.current_task()
    return task is not None and not task.get_name().startswith("consentful-")


@contextmanager
def counted() -> Generator[list[str]]:
    """Collect every call by, or of, a function of the service in this task, until the block ends."""
    calls: list[str] = []
    counting = asyncio.current_task()

    def see(frame: FrameType, event: str, called: Any) -> None:
        if asyncio.current_task() is not counting:
            return
        if event == "call":
            caller, name = frame.f_back, frame.f_code.co_qualname
        elif event == "c_call":
            caller, name = frame, called.__qualname__
        else:
            return
        if any(it is not None and it.f_globals["__name__"].startswith("consentful_server.") for it in (caller, frame)):
            calls.append(f"{caller.f_code.co_qualname if caller else ''} → {name}")

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield calls
    finally:
        sys.setprofile(before)


async def work(refuse: Refuse) -> list[str]:
    """Return the calls that a refusal takes, once whatever is loaded only the first time is there."""
    await refuse()
    with counted() as calls:
        await refuse()
    return calls


async def medians(refusals: Mapping[str, Refuse], samples: int) -> dict[str, float]:
    """Return each refusal's median time in seconds; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in refusals}
    for _ in range(samples):
        for name, refuse in refusals.items():
            began = time.perf_counter()
            await refuse()
            took[name].append(time.perf_counter() - began)
    return {name: median(times) for name, times in took.items()}


async def told_apart(refusals: Mapping[str, Refuse], samples: int, margin: float) -> list[dict[str, float]]:
    """Return the medians of each round if they are apart in all of them, else nothing."""
    rounds: list[dict[str, float]] = []
    for _ in range(_ROUNDS):
        rounds.append(await medians(refusals, samples))
        if max(rounds[-1].values()) < margin * min(rounds[-1].values()):
            return []
    return rounds


def refused_keys(service: Served, keys: Mapping[str, str]) -> dict[str, Refuse]:
    def refusal(token: str) -> Refuse:
        async def refuse() -> None:
            try:
                await service.service.api_keys.authenticate(token)
            except Unauthenticated:
                return
            pytest.fail("it was let in")

        return refuse

    return {name: refusal(token) for name, token in keys.items()}


def refused_codes(service: Served, codes: Mapping[str, str]) -> dict[str, Refuse]:
    def refusal(code: str) -> Refuse:
        async def refuse() -> None:
            try:
                await service.service.archive.withdraw(code)
            except NotFound:
                return
            pytest.fail("it was taken")

        return refuse

    return {name: refusal(code) for name, code in codes.items()}


class TestKeys:
    async def test_an_unknown_key_and_a_wrong_secret(
        self, service: Served, clock: FakeClock, steps: list[Step], keys: Mapping[str, str]
    ) -> None:
        taken: list[tuple[int, bytes, list[Step]]] = []
        async with ClientSession(service.url) as http:
            for token in keys.values():
                clock.advance(_FORGET_S)
                steps.clear()
                async with http.get("/v1/messages", headers=bearer(token)) as response:
                    taken.append((response.status, answer_of(await response.read()), steps.copy()))

        assert taken[0][0] == 401
        assert [name for name, _ in taken[0][2]] == ["find", "digest", "compare_digest"]
        assert taken == [taken[0]] * len(keys)

    @pytest.mark.parametrize("passed_s", [0.0, _FORGET_S], ids=["remembered", "looked up"])
    async def test_they_are_the_same_work(
        self, service: Served, clock: FakeClock, keys: Mapping[str, str], passed_s: float
    ) -> None:
        def later(refuse: Refuse) -> Refuse:
            async def refuse_later() -> None:
                clock.advance(passed_s)
                await refuse()

            return refuse_later

        done = {name: await work(later(refuse)) for name, refuse in refused_keys(service, keys).items()}

        assert "ApiKeys._principal → compare_digest" in done["unknown key"]
        assert ("ApiKeys._look_up → SQLiteCredentials.find" in done["unknown key"]) == (passed_s > 0)
        for calls in done.values():
            assert calls == done["unknown key"]

    async def test_they_take_as_long(self, service: Served, keys: Mapping[str, str]) -> None:
        assert await told_apart(refused_keys(service, keys), samples=1000, margin=_MARGIN) == []


class TestCodes:
    @pytest.mark.parametrize(("path", "field"), [("/v1/withdrawals", "json"), ("/withdraw", "data")])
    async def test_a_code_that_is_nearly_right_and_one_that_is_none(
        self, service: Served, steps: list[Step], codes: Mapping[str, str], path: str, field: str
    ) -> None:
        taken: list[tuple[int, bytes, list[Step]]] = []
        async with ClientSession(service.url) as http:
            for code in codes.values():
                steps.clear()
                async with http.post(path, **{field: {"code": code}}) as response:  # pyright: ignore[reportArgumentType]
                    body = (await response.read()).replace(code.encode(), b"")  # the page keeps it in its field
                    taken.append((response.status, answer_of(body), steps.copy()))

        assert taken[0][0] == 404
        ((asked, sizes),) = taken[0][2]
        assert asked == "withdraw"
        assert set(sizes) == {32}, "the store is asked for hashes: no part of a code finds its row"
        assert taken == [taken[0]] * len(codes)

    async def test_they_are_the_same_work(self, service: Served, codes: Mapping[str, str]) -> None:
        done = {name: await work(refuse) for name, refuse in refused_codes(service, codes).items()}

        assert any(call.endswith("→ withdrawal_hash") for call in done["unknown"])
        for calls in done.values():
            assert calls == done["unknown"]

    async def test_they_take_as_long(self, service: Served, codes: Mapping[str, str]) -> None:
        assert await told_apart(refused_codes(service, codes), samples=60, margin=_MARGIN_OF_THREADS) == []

    async def test_what_is_no_code_asks_nobody(self, service: Served, steps: list[Step]) -> None:
        for code in ("?", "", "A" * 25):
            with pytest.raises(NotFound):
                await service.service.archive.withdraw(code)

        assert steps == []


async def test_another_chatbots_dialog_and_none(service: Served, steps: list[Step]) -> None:
    key = await service.create_key("dialogs:write", name="mine")
    await keep(service.service, "theirs", owner="another")
    taken: list[tuple[int, bytes, list[Step]]] = []
    async with ClientSession(service.url) as http:
        for dialog_id in ("theirs", "nobody"):
            await http.delete("/v1/dialogs/first", headers=bearer(key))
            steps.clear()
            async with http.delete(f"/v1/dialogs/{dialog_id}", headers=bearer(key)) as response:
                taken.append((response.status, answer_of(await response.read()), steps.copy()))

    assert taken[0][0] == 404
    assert taken[0][2]
    assert taken[0] == taken[1]
