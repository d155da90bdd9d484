"""One store of each kind, and its clock."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from kinds import KINDS
from sealed import START


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + timedelta(days=1))


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Store]:
    opened = await KINDS[request.param](tmp_path, clock)
    yield opened
    await opened.close()
