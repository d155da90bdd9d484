"""Verifying the log over REST, in steps: what an officer does without a shell on the server (GDPR art. 32)."""

from contextlib import closing
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import Served

from .entries import SCIENTIST, last, post

VERIFY = "/v1/access-log/verify"
STEP = 4


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of a few entries takes several steps."""
    monkeypatch.setattr("consentful_server.access_log.verification._STEP", STEP)
    monkeypatch.setattr("consentful_server.access_log.verification._BLOCK", STEP // 2)


async def write(service: Served, entries: int) -> None:
    """Write entries until the log has as many; the first tells of the notices. Each third has filter values."""
    for number in range((await service.service.access_log.head()).number + 1, entries + 1):
        wanted = None if number % 3 else {"language": "en", "q": f"word {number}"}
        await service.service.access_log.write(SCIENTIST, "messages.read", wanted=wanted, rows=1, dialogs=[number])


async def verified(http: ClientSession, **body: Any) -> list[dict[str, Any]]:
    """Return the answers of all steps of a verification."""
    steps = [await post(http, VERIFY, **body)]
    while steps[-1]["next"]:
        steps.append(await post(http, VERIFY, cursor=steps[-1]["next"], **body))
    return steps


def alter(service: Served, *sql: str) -> None:
    """Change the database as somebody who can write the file could."""
    # With the service's own SQLite: a second one in this process would drop the first one's locks on the file.
    with closing(connect(service.folder / "data" / "consentful.db")) as db, db:
        db.execute("DROP TRIGGER IF EXISTS access_log_stays")
        db.execute("DROP TRIGGER IF EXISTS access_log_holds")
        for statement in sql:
            db.execute(statement)


class TestSteps:
    @pytest.mark.parametrize(("entries", "counts"), [(1, [1]), (3, [3]), (4, [4]), (5, [4, 5]), (10, [4, 8, 10])])
    async def test_an_unaltered_log_is_verified_to_its_end(
        self, http: ClientSession, service: Served, entries: int, counts: list[int]
    ) -> None:
        await write(service, entries)
        head = str(await service.service.access_log.head())

        steps = await verified(http)

        assert [step["verified"] for step in steps] == counts
        assert [step["entries"] for step in steps] == [entries] * len(counts)
        assert (steps[-1]["fault"], steps[-1]["head"], steps[-1]["at"]) == (None, head, "2026-01-01T00:00:00Z")

    async def test_the_end_of_a_verification_is_logged_once(self, http: ClientSession, service: Served) -> None:
        await write(service, 10)

        await verified(http)

        entry = await last(service)
        assert (entry.number, entry.action, entry.who, entry.rows) == (11, "log.verified", "local", 10)

    async def test_entries_that_are_written_meanwhile_are_verified_too(
        self, http: ClientSession, service: Served
    ) -> None:
        await write(service, 5)
        first = await post(http, VERIFY)
        await write(service, 7)

        end = await post(http, VERIFY, cursor=first["next"])

        assert (first["entries"], end["entries"], end["verified"], end["fault"]) == (5, 7, 7, None)

    @pytest.mark.parametrize(
        ("sql", "fault", "steps"),
        [
            ("UPDATE access_log SET who = 'nobody' WHERE number = 2", "entry 2 was altered, removed or inserted", 1),
            ("DELETE FROM access_log WHERE number = 7", "entry 7 was altered, removed or inserted", 2),
            (f"UPDATE ending_values SET sealed = x'{'73' * 100}' WHERE number = 9", "values of entry 9 were", 3),
            ("DELETE FROM access_log WHERE number > 9", "should not end with entry 9", 3),
            ("DELETE FROM access_log WHERE number > 8", "should not end with entry 8", 2),
            ("UPDATE access_head SET link = zeroblob(32)", "should not end with entry 12", 3),
        ],
    )
    async def test_an_alteration_is_found_by_the_step_that_meets_it(
        self, http: ClientSession, service: Served, sql: str, fault: str, steps: int
    ) -> None:
        await write(service, 12)
        alter(service, sql)

        answers = await verified(http)

        assert fault in answers[-1]["fault"]
        assert len(answers) == steps
        assert {answer["fault"] for answer in answers[:-1]} <= {None}

    async def test_what_is_altered_between_two_steps_covers_nothing(self, http: ClientSession, service: Served) -> None:
        await write(service, 8)
        first = await post(http, VERIFY)
        alter(
            service,
            "UPDATE access_log SET link = zeroblob(32) WHERE number = 4",
            "DELETE FROM access_log WHERE number = 5",
        )

        end = await post(http, VERIFY, cursor=first["next"])

        assert end["fault"] == "entry 5 was altered, removed or inserted"


class TestAHeadThatWasSavedEarlier:
    @pytest.mark.parametrize("number", [1, 3, 4, 9, 10])
    async def test_is_a_part_of_an_unaltered_log(self, http: ClientSession, service: Served, number: int) -> None:
        await write(service, number)
        head = str(await service.service.access_log.head())
        await write(service, 10)

        assert (await verified(http, head=f" {head}\n"))[-1]["fault"] is None

    @pytest.mark.parametrize(
        ("number", "fault"), [(2, "entry 2 differs from the saved head"), (99, "the log ends before entry 99")]
    )
    async def test_of_another_log_is_told(self, http: ClientSession, service: Served, number: int, fault: str) -> None:
        await write(service, 6)

        assert (await verified(http, head=f"{number}:{'ab' * 32}"))[-1]["fault"] == fault

    async def test_an_older_copy_of_the_log_is_told_by_it_alone(self, http: ClientSession, service: Served) -> None:
        await write(service, 3)
        old = await service.service.store.access_log.head()
        await write(service, 6)
        saved = str(await service.service.access_log.head())
        alter(
            service,
            "DELETE FROM access_log WHERE number > 3",
            "DELETE FROM ending_values WHERE number > 3",
            f"UPDATE access_head SET number = 3, link = x'{old.link.hex()}', seal = x'{old.seal.hex()}'",
        )

        with_it = await verified(http, head=saved)

        assert with_it[-1]["fault"] == "the log ends before entry 6"
        assert (await verified(http))[-1]["fault"] is None


class TestRefusals:
    @pytest.mark.parametrize("head", ["", "12", "x:00", "-1:" + "00" * 32, "1:00"])
    async def test_what_is_no_head(self, http: ClientSession, head: str) -> None:
        async with http.post(VERIFY, json={"head": head}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "head")

    async def test_a_cursor_continues_the_verification_with_its_own_head_alone(
        self, http: ClientSession, service: Served
    ) -> None:
        await write(service, 9)
        cursor = (await post(http, VERIFY))["next"]

        for body in ({"cursor": cursor, "head": f"2:{'ab' * 32}"}, {"cursor": cursor[:-2]}, {"cursor": "x"}):
            async with http.post(VERIFY, json=body) as response:
                assert (response.status, (await response.json())["parameter"]) == (400, "cursor")
