"""`--auth oidc`: the provider's keys, also while it is down, hangs or turns against us."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from consentful_server.auth.claims import Rules
from consentful_server.auth.oidc import Oidc
from consentful_server.auth.provider import Provider, ProviderKey
from consentful_server.errors import ProviderDown, Unauthenticated
from consentful_server.testing import FakeClock

from .providers import (
    AUDIENCE,
    EC,
    ED,
    OTHER_RSA,
    RSA,
    SMALL_RSA,
    FakeProvider,
    jwk,
    refused,
    signed,
)


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"),
    [
        ("ec", RSA, "RS256"),
        ("rsa", EC, "ES256"),
        ("rsa", OTHER_RSA, "RS256"),
        ("small", SMALL_RSA, "RS256"),
        ("no", RSA, "RS256"),
    ],
)
async def test_a_key_of_another_kind_owner_or_strength_is_refused(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, kid: str, key: Any, algorithm: str
) -> None:
    await refused(oidc, fake.token(clock, key, algorithm, kid))


async def test_a_key_that_is_for_one_algorithm_is_used_for_no_other(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock
) -> None:
    fake.keys = [jwk("rsa", RSA, alg="RS512")]

    await refused(oidc, fake.token(clock, algorithm="RS256"))
    assert (await oidc.authenticate(fake.token(clock, algorithm="RS512"))).id == "shop"


@pytest.mark.parametrize(("algorithm", "is_good"), [("ES384", True), ("ES256", False), ("ES512", False)])
async def test_a_key_is_used_with_the_algorithm_of_its_curve_only(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, algorithm: str, *, is_good: bool
) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    fake.keys = [jwk("p-384", key)]
    token = fake.token(clock, key, algorithm, "p-384")

    if is_good:
        assert (await oidc.authenticate(token)).id == "shop"
    else:
        await refused(oidc, token)


_SKIPPED: dict[str, dict[str, Any]] = {
    "no members": {"kty": "RSA"},
    "no text": {"kty": "RSA", "n": 7, "e": "AQAB"},
    "no base64url": {"kty": "RSA", "n": "ä", "e": "AQAB"},
    "no type": {},
    "a type that is no text": {"kty": ["RSA"]},
    "an unknown type": {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"},
    "a secret": {"kty": "oct", "k": "AAAA"},
    "an unknown curve": jwk("ec", EC) | {"crv": "P-192"},
    "a point beside the curve": jwk("ec", EC) | {"x": jwk("ec", EC)["y"]},
    "an unknown Edwards curve": jwk("ed", ED) | {"crv": "Ed1"},
    "a curve that only agrees on keys": jwk("x", x25519.X25519PrivateKey.generate()),
    "for encryption": jwk("rsa", OTHER_RSA) | {"use": "enc"},
    "not to verify with": jwk("rsa", OTHER_RSA) | {"alg": "RSA-OAEP"},
    "weak": jwk("small", SMALL_RSA),
    "a private half": jwk("ed", ED) | {"d": "AAAA"},
}


@pytest.mark.parametrize("other", _SKIPPED.values(), ids=_SKIPPED)
async def test_what_no_token_may_be_signed_with_is_skipped_and_the_keys_beside_it_are_used(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, other: dict[str, Any]
) -> None:
    fake.keys = [other, jwk("rsa", RSA), other, jwk("ec", EC), jwk("ed", ED), other]

    for key, algorithm in ((RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")):
        assert (await oidc.authenticate(fake.token(clock, key, algorithm, kid=None))).id == "shop"


async def test_a_certificate_beside_a_key_is_not_read(oidc: Oidc, fake: FakeProvider, clock: FakeClock) -> None:
    fake.keys = [jwk("rsa", RSA, x5c="no list", x5u="no address", x5t=7)]

    assert (await oidc.authenticate(fake.token(clock))).id == "shop"


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c", "crit"])
async def test_no_token_names_the_key_that_it_is_verified_with(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, header: str
) -> None:
    own = {"jku": fake.issuer + "/elsewhere", "x5u": fake.issuer + "/elsewhere", "jwk": jwk("rsa", OTHER_RSA)}
    headers = {"kid": "rsa", header: own.get(header, ["exp"])}

    await refused(oidc, signed(OTHER_RSA, "RS256", fake.claims(clock), headers))
    await refused(oidc, signed(RSA, "RS256", fake.claims(clock), headers))
    assert fake.elsewhere == 0


async def test_keys_change_without_a_refusal_and_go_with_the_old_one(fake: FakeProvider, clock: FakeClock) -> None:
    provider = Provider(fake.issuer, clock)
    oidc = Oidc(provider, Rules(fake.issuer, AUDIENCE), clock)
    old = fake.token(clock, exp=int(clock.now().timestamp()) + 10_000)
    await oidc.authenticate(old)
    clock.advance(10)

    fake.keys = [jwk("rsa", RSA), jwk("next", OTHER_RSA)]
    assert (await oidc.authenticate(fake.token(clock, OTHER_RSA, kid="next"))).id == "shop"
    await oidc.authenticate(old)

    fake.keys = [jwk("next", OTHER_RSA)]
    clock.advance(300)
    await provider.refresh()
    await refused(oidc, old)


async def test_tokens_that_name_unknown_keys_do_not_make_it_ask_and_ask(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock
) -> None:
    for number in range(20):
        await refused(oidc, fake.token(clock, kid=f"unknown-{number}"))
    assert fake.asked == 1

    clock.advance(10)
    await asyncio.gather(*(refused(oidc, fake.token(clock, kid=f"more-{number}")) for number in range(20)))
    assert fake.asked == 2


async def test_while_the_provider_hangs_a_known_key_is_used_at_once(
    fake: FakeProvider, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider(fake.issuer, clock)
    oidc = Oidc(provider, Rules(fake.issuer, AUDIENCE), clock)
    token = fake.token(clock, exp=int(clock.now().timestamp()) + 10_000)
    await oidc.authenticate(token)
    asked, answers = asyncio.Event(), asyncio.Event()

    async def hangs() -> list[ProviderKey]:
        asked.set()
        await answers.wait()
        return []

    monkeypatch.setattr(provider, "_fetch", hangs)
    clock.advance(600)

    assert (await oidc.authenticate(token)).id == "shop"
    await asked.wait()  # for the new keys, which nobody waits for
    assert [(await oidc.authenticate(token)).id for _ in range(3)] == ["shop"] * 3
    unknown = asyncio.create_task(oidc.authenticate(fake.token(clock, kid="unknown")))
    assert (await oidc.authenticate(token)).id == "shop"
    answers.set()
    with pytest.raises(Unauthenticated):
        await unknown
    await refused(oidc, token)


async def test_while_the_provider_is_down_known_keys_go_on_for_a_day(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock
) -> None:
    token = fake.token(clock, exp=int(clock.now().timestamp()) + 200_000)
    await oidc.authenticate(token)
    fake.discovery = {"issuer": "https://broken.example"}

    clock.advance(86_000)
    assert (await oidc.authenticate(token)).id == "shop"
    clock.advance(401)
    with pytest.raises(ProviderDown):
        await oidc.authenticate(token)

    fake.discovery = {}
    clock.advance(10)
    assert (await oidc.authenticate(token)).id == "shop"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://127.0.0.1:1/jwks",
        "http://[::1",
        "",
        7,
        None,
    ],
)
async def test_discovery_sends_the_server_to_no_address_inside(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, address: Any
) -> None:
    fake.discovery = {"jwks_uri": address}

    with pytest.raises(ProviderDown):
        await oidc.authenticate(fake.token(clock))


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
        lambda: web.Response(status=500),
        lambda: web.Response(text="not JSON"),
        lambda: web.Response(text="[]"),
        lambda: web.Response(body=b"[" + b" " * 300_000 + b"]"),
        lambda: web.json_response({"issuer": "https://another.example", "jwks_uri": "https://another.example/jwks"}),
    ],
)
async def test_an_answer_that_cannot_be_used_lets_nobody_in_and_a_redirect_is_not_followed(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, answer: Any
) -> None:
    fake.answer = answer()

    with pytest.raises(ProviderDown):
        await oidc.authenticate(fake.token(clock))
    assert fake.elsewhere == 0

    clock.advance(10)
    assert (await oidc.authenticate(fake.token(clock))).id == "shop"
