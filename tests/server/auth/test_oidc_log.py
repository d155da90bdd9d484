"""`--auth oidc`: what the log says of a refused token."""

from typing import Any

import pytest

from consentful_server.auth.oidc import Oidc
from consentful_server.testing import FakeClock

from .providers import AUDIENCE, OTHER_RSA, FakeProvider, refused


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return what the log says of refused tokens."""
    names = ("reason", "expected", "found", "tokens")
    records = [vars(record) for record in caplog.records if record.name == "consentful.auth"]
    return [{name: record[name] for name in names if name in record} for record in records]


@pytest.mark.parametrize(
    ("claims", "reason", "found"),
    [
        ({"iss": "https://elsewhere.example"}, "claim iss", "https://elsewhere.example"),
        ({"iss": None}, "claim iss", "nothing"),
        ({"aud": ["another", "third"]}, "claim aud", "['another', 'third']"),
        ({"exp": 1}, "claim exp", "a time that has passed"),
        ({"exp": None}, "claim exp", "nothing"),
        ({"nbf": 2**40}, "claim nbf", "a time to come"),
        ({"sub": ""}, "claim sub", None),
        ({"jti": 7}, "claim jti", None),
        ({"iss": "a\nb" + "c" * 300}, "claim iss", "a\N{REPLACEMENT CHARACTER}b" + "c" * 197),
    ],
    ids=str,
)
async def test_the_log_names_the_claim_that_failed(
    oidc: Oidc,
    fake: FakeProvider,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    claims: dict[str, Any],
    reason: str,
    found: str | None,
) -> None:
    token = fake.token(clock, **claims)

    await refused(oidc, token)

    (entry,) = told(caplog)
    assert (entry["reason"], entry.get("found")) == (reason, found)
    if reason in ("claim iss", "claim aud"):
        assert entry["expected"] == (fake.issuer if reason == "claim iss" else AUDIENCE)
    assert token not in "".join(map(str, caplog.records))


async def test_the_log_names_both_issuers_although_the_key_of_another_is_unknown(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(oidc, fake.token(clock, OTHER_RSA, kid="theirs", iss="https://login.microsoftonline.com/1/v2.0"))

    assert told(caplog) == [
        {
            "reason": "signing key unknown",
            "expected": fake.issuer,
            "found": "https://login.microsoftonline.com/1/v2.0",
            "tokens": 1,
        }
    ]


async def test_bad_tokens_do_not_fill_the_log(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(50):
        await refused(oidc, fake.token(clock, aud=f"another-{number}"))
    await refused(oidc, "x")
    clock.advance(10)
    await refused(oidc, fake.token(clock, aud="another"))

    assert [(entry["reason"], entry["tokens"]) for entry in told(caplog)] == [
        ("claim aud", 1),
        ("no JWT with an asymmetric algorithm", 1),
        ("claim aud", 50),
    ]
