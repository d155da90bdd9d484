"""A provider that a test commands, and the service's `Oidc` for its tokens."""

from collections.abc import AsyncGenerator

import pytest

from consentful_server.auth.claims import Rules
from consentful_server.auth.oidc import Oidc
from consentful_server.auth.provider import Provider
from consentful_server.testing import FakeClock

from .providers import AUDIENCE, FakeProvider, provider


@pytest.fixture
async def fake() -> AsyncGenerator[FakeProvider]:
    async with provider() as running:
        yield running


@pytest.fixture
def oidc(fake: FakeProvider, clock: FakeClock) -> Oidc:
    return Oidc(Provider(fake.issuer, clock), Rules(fake.issuer, AUDIENCE), clock)
