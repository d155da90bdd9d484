"""`--auth oidc`: whose tokens are taken."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consentful_server.auth.oidc import Oidc
from consentful_server.errors import TokenExpired
from consentful_server.testing import FakeClock

from .providers import AUDIENCE, EC, ED, RSA, FakeProvider, refused, signed, with_hmac


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"),
    [("rsa", RSA, "RS256"), ("rsa", RSA, "PS512"), ("ec", EC, "ES256"), ("ed", ED, "EdDSA"), ("ed", ED, "Ed25519")],
)
async def test_a_token_of_any_asymmetric_kind_is_taken(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, kid: str, key: Any, algorithm: str
) -> None:
    who = await oidc.authenticate(fake.token(clock, key, algorithm, kid))

    assert (who.id, who.scopes, who.purposes) == ("shop", {"data:read"}, None)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "openid dialogs:write data:read admin"}, {"dialogs:write", "data:read"}),
        ({"scope": None, "scp": ["privacy"]}, {"privacy"}),
        ({"scope": None, "scp": "privacy data:identify"}, {"privacy", "data:identify"}),
        ({"scope": None}, set[str]()),
        ({"scope": 7, "scp": {"privacy": True}}, set[str]()),
    ],
)
async def test_scopes_of_ours_count_however_they_are_written(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, claims: dict[str, Any], scopes: set[str]
) -> None:
    assert (await oidc.authenticate(fake.token(clock, **claims))).scopes == scopes


@pytest.mark.parametrize(
    ("claim", "purposes"),
    [(["research", "improve"], ("improve", "research")), ("improve", ("improve",)), (7, ()), ([], ())],
)
async def test_a_token_is_bound_to_the_purposes_that_it_names(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, claim: Any, purposes: tuple[str, ...]
) -> None:
    assert (await oidc.authenticate(fake.token(clock, purposes=claim))).purposes == purposes


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
async def test_a_token_without_exp_or_any_other_claim_that_must_be_there_is_refused(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, claim: str
) -> None:
    await refused(oidc, signed(RSA, "RS256", fake.claims(clock, **{claim: None}), {"kid": "rsa"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\nb"},
        {"sub": "a" * 256},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 1e304},
        {"jti": 7},
        {"aud": [AUDIENCE, 7]},
        {"iss": {}},
        {"nbf": "yesterday"},
    ],
    ids=str,
)
async def test_a_claim_that_is_not_what_it_must_be_is_refused(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, claims: dict[str, Any]
) -> None:
    await refused(oidc, fake.token(clock, **claims))


@pytest.mark.parametrize(("seconds", "is_good"), [(329, True), (330, False)])
async def test_a_token_ends_by_our_clock_with_half_a_minute_to_spare(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, seconds: int, *, is_good: bool
) -> None:
    token = fake.token(clock)
    who = await oidc.authenticate(token)
    clock.advance(seconds)

    if is_good:
        assert await oidc.authenticate(token) == who
        await oidc.recheck(who)
    else:
        await refused(oidc, token)
        with pytest.raises(TokenExpired):
            await oidc.recheck(who)


@pytest.mark.parametrize(("seconds", "is_good"), [(30, True), (31, False)])
async def test_a_token_that_is_not_valid_yet_is_refused(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, seconds: int, *, is_good: bool
) -> None:
    token = fake.token(clock, nbf=int(clock.now().timestamp()) + seconds)

    if is_good:
        assert (await oidc.authenticate(token)).id == "shop"
    else:
        await refused(oidc, token)


async def test_alg_none_and_an_hmac_with_the_public_key_are_refused(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock
) -> None:
    """The two classics of RFC 8725 §2.1."""
    claims = fake.claims(clock)
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    await refused(oidc, signed(None, "none", claims, {"kid": "rsa"}))
    await refused(oidc, with_hmac(public, claims, "rsa"))
    header, payload, _ = fake.token(clock).split(".")
    await refused(oidc, f"{header}.{payload}.")


async def test_headers_that_mean_nothing_here_are_passed_over_however_long(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock
) -> None:
    headers = {"kid": "rsa", "x5t": "AAAA", "nonce": "n" * 2000, "iss": 7}

    assert (await oidc.authenticate(signed(RSA, "RS256", fake.claims(clock), headers))).id == "shop"


async def test_a_token_for_several_audiences_may_be_from_the_future_and_have_no_nbf(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock
) -> None:
    """Each provider has a clock of its own, and `iat` bounds nothing."""
    token = fake.token(clock, aud=["another", AUDIENCE], iat=int(clock.now().timestamp()) + 10_000, nbf=None)

    assert (await oidc.authenticate(token)).id == "shop"


async def test_an_issuer_among_others_is_not_the_issuer(oidc: Oidc, fake: FakeProvider, clock: FakeClock) -> None:
    await refused(oidc, fake.token(clock, iss=[fake.issuer]))


def _of(header: str) -> str:
    return ".".join([base64.urlsafe_b64encode(header.encode()).decode().rstrip("=")] * 3)


@pytest.mark.parametrize(
    "token",
    [
        *(None, "", "x", "a.b.c", "a" * 20_000, "ä.ö.ü", ".." * 5_000),
        *map(_of, ("[]", "7", "null", '"alg"', '"alg b64"', '["alg"]', '["alg", "b64"]', "[" * 10_000)),
        *map(_of, ("{}", '{"alg": 7}', '{"alg": ["RS256"]}', '{"alg": "RS256", "kid": 7}')),
        *map(_of, ('{"alg": "RS256", "b64": false}', '{"alg": "RS256", "b64": false, "crit": ["b64"]}')),
    ],
    ids=lambda token: token and token[:24],
)
async def test_what_is_no_token_is_refused(oidc: Oidc, token: str | None) -> None:
    await refused(oidc, token)
