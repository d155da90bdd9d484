"""What the other workers say counts, and is told as if it were this one's."""

import pytest

from consentful_server import testing
from consentful_server.errors import ChoresFailing, OutcomeUnknown, Overloaded, Refusal, StorageFailed
from consentful_server.operations.readiness import Readiness
from consentful_server.workers.parts import Parts


def nothing_fails() -> None:
    """Be the check of background work that succeeds."""


@pytest.mark.parametrize(
    "refusal", [Overloaded(), ChoresFailing(["rotation", "retention"]), StorageFailed(), OutcomeUnknown()]
)
async def test_a_refusal_goes_from_worker_to_worker_as_it_is(refusal: Refusal) -> None:
    def fails() -> None:
        raise refusal

    async with testing.serve() as served:
        told = await Readiness(served.service, fails).parts()

        async def others() -> Parts:
            return told

        served.service.joined_parts = others
        with pytest.raises(type(refusal)) as raised:
            await Readiness(served.service, nothing_fails).check()

    assert str(raised.value) == str(refusal)


async def test_the_others_are_not_asked_where_the_answer_is_known() -> None:
    async def others() -> Parts:
        raise AssertionError

    async with testing.serve() as served:
        served.service.joined_parts = others
        served.service.is_draining = True

        assert isinstance((await Readiness(served.service, nothing_fails).look_at_all())["serving"], Overloaded)
