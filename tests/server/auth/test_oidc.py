"""`--auth oidc`: whose tokens are taken, against a provider that turns against us, and against two real ones."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import consentful
from consentful_server import testing
from consentful_server.auth.claims import Rules, rules_of
from consentful_server.auth.oidc import Oidc
from consentful_server.auth.provider import Provider, ProviderKey
from consentful_server.errors import BadSetting, ProviderDown, TokenExpired, Unauthenticated
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock
from needs import install_from_npm, need
from receipts import header_of

from .providers import AUDIENCE, EC, ED, OTHER_RSA, RSA, SMALL_RSA, FakeProvider, jwk, provider, signed, with_hmac


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def fake() -> AsyncGenerator[FakeProvider]:
    async with provider() as running:
        yield running


@pytest.fixture
def oidc(fake: FakeProvider, clock: FakeClock) -> Oidc:
    return Oidc(Provider(fake.issuer, clock), Rules(fake.issuer, AUDIENCE), clock)


async def refused(oidc: Oidc, token: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await oidc.authenticate(token)


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


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c", "crit"])
async def test_no_token_names_the_key_that_it_is_verified_with(
    oidc: Oidc, fake: FakeProvider, clock: FakeClock, header: str
) -> None:
    own = {"jku": fake.issuer + "/elsewhere", "x5u": fake.issuer + "/elsewhere", "jwk": jwk("rsa", OTHER_RSA)}
    headers = {"kid": "rsa", header: own.get(header, ["exp"])}

    await refused(oidc, signed(OTHER_RSA, "RS256", fake.claims(clock), headers))
    await refused(oidc, signed(RSA, "RS256", fake.claims(clock), headers))
    assert fake.elsewhere == 0


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


SPELT = [("", ""), ("/", ""), ("", "/"), ("/", "/")]


@pytest.mark.parametrize(("configured", "found"), SPELT)
@pytest.mark.parametrize("claimed", ["", "/"])
async def test_an_issuer_is_the_same_with_a_final_slash(
    fake: FakeProvider, clock: FakeClock, configured: str, found: str, claimed: str
) -> None:
    issuer = fake.issuer + configured
    fake.discovery = {"issuer": fake.issuer + found}
    oidc = Oidc(Provider(issuer, clock), Rules(issuer, AUDIENCE), clock)

    assert (await oidc.authenticate(fake.token(clock, iss=fake.issuer + claimed))).id == "shop"
    await refused(oidc, fake.token(clock, iss=fake.issuer + "/x"))


GRANTED: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({"scope_claim": ("roles",)}, {"scope": None, "roles": ["data:read", "admin"]}, {"data:read"}),
    ({"scope_claim": ("permissions",)}, {"permissions": ["data:identify"]}, {"data:read", "data:identify"}),
    ({"scope_claim": ("realm_access.roles",)}, {"realm_access": {"roles": ["privacy"]}}, {"data:read", "privacy"}),
    (
        {"scope_claim": ("https://us.example/roles",)},
        {"https://us.example/roles": ["privacy"]},
        {"data:read", "privacy"},
    ),
    ({"scope_claim": ("a.b",)}, {"a": ["privacy"]}, {"data:read"}),
    ({"scope_claim": ("a.b",)}, {"a": {"b": {"privacy": True}}}, {"data:read"}),
    ({"scope_map": ("api://us/data:read=data:read",)}, {"scope": "api://us/data:read openid"}, {"data:read"}),
    ({"scope_map": ("us/data:read=data:read",)}, {"scope": "us/data:read them/privacy"}, {"data:read"}),
    (
        {"scope_claim": ("roles",), "scope_map": ("Analyst=data:read", "Analyst=data:identify", "a=b=privacy")},
        {"scope": None, "roles": ["Analyst", "a=b"]},
        {"data:read", "data:identify", "privacy"},
    ),
    ({}, {"scope": "api://us/data:read", "roles": ["privacy"]}, set()),
]


@pytest.mark.parametrize(("settings", "claims", "scopes"), GRANTED)
async def test_a_providers_own_words_grant_what_the_settings_say(
    fake: FakeProvider, clock: FakeClock, settings: dict[str, Any], claims: dict[str, Any], scopes: set[str]
) -> None:
    rules = rules_of(Settings(auth="oidc", issuer=fake.issuer, audience=AUDIENCE, **settings))
    oidc = Oidc(Provider(fake.issuer, clock), rules, clock)

    assert (await oidc.authenticate(fake.token(clock, **claims))).scopes == scopes


@pytest.mark.parametrize("pair", ["data:read", "=data:read", " =data:read", "x=admin", "x=", ""])
def test_a_word_that_grants_no_scope_of_ours_is_refused_at_the_start(pair: str) -> None:
    with pytest.raises(BadSetting, match="scope_map: must be a word of your provider, = and one of"):
        rules_of(Settings(auth="oidc", issuer="https://login.example", audience="us", scope_map=(pair,)))


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


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"auth": "oidc"}, "issuer"),
        ({"auth": "oidc", "issuer": "http://login.example", "audience": "us"}, "issuer"),
        ({"auth": "oidc", "issuer": "https://[login", "audience": "us"}, "issuer"),
        ({"auth": "oidc", "issuer": "https://login.example"}, "audience"),
        ({"auth": "oidc", "issuer": "https://a/.well-known/openid-configuration", "audience": "us"}, "issuer"),
        ({"auth": "oidc", "issuer": "https://login.example?x", "audience": "us"}, "issuer"),
        ({"auth": "oidc", "issuer": "https://login.example ", "audience": "us"}, "issuer"),
        ({"auth": "oidc", "issuer": "https://a", "audience": "us", "scope_claim": ("",)}, "scope_claim"),
        ({"auth": "keys", "scope_map": ("x=privacy",)}, "auth"),
        ({"issuer": "https://login.example"}, "auth"),
        ({"auth": "keys", "audience": "us"}, "auth"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings: dict[str, Any], names: str) -> None:
    with pytest.raises(BadSetting, match=names):
        Settings(**settings)


async def test_a_service_takes_tokens_and_says_what_is_wrong(fake: FakeProvider, clock: FakeClock) -> None:
    settings: dict[str, Any] = {"auth": "oidc", "issuer": fake.issuer, "audience": AUDIENCE}
    async with testing.serve(clock=clock, **settings) as service, ClientSession(service.url) as http:

        async def status(**claims: Any) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {fake.token(clock, **claims)}"}
            async with http.get("/v1/messages", headers=headers) as response:
                return response.status, (await response.json()).get("code", "")

        fake.discovery = {"issuer": "https://down.example"}
        assert await status() == (503, "provider")
        fake.discovery = {}
        clock.advance(10)
        assert await status() == (200, "")
        assert await status(scope="dialogs:write") == (403, "forbidden")
        assert await status(aud="another") == (401, "unauthenticated")
        for headers in ({}, {"Authorization": "Bearer x"}):
            async with http.get("/v1/messages", headers=headers) as response:
                detail = (await response.json())["detail"]
            assert detail.startswith(f"send an access token of {fake.issuer} for the audience {AUDIENCE} as `Auth")
            assert "keys create" not in detail


async def test_a_token_that_ends_in_the_middle_is_replaced_and_the_dialog_is_kept(
    fake: FakeProvider, clock: FakeClock
) -> None:
    settings: dict[str, Any] = {"auth": "oidc", "issuer": fake.issuer, "audience": AUDIENCE}
    async with testing.serve(clock=clock, **settings) as service:
        asked: list[str] = []

        def token() -> str:
            asked.append(fake.token(clock, scope="dialogs:write"))
            return asked[-1]

        async with consentful.open_dialog(service.url, customer_id="c-1", token=token) as dialog:
            await dialog.say("Where is my parcel?")
            clock.advance(400)
            stored = await dialog.grant()

    assert (stored.messages, len(asked)) == (1, 2)


@asynccontextmanager
async def running(*command: str, folder: Path | None = None) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a provider until the block ends; what it says is read from `stdout`."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        process.kill()
        await process.communicate()


async def lines(process: asyncio.subprocess.Process, last: str) -> list[str]:
    """Return what it says, up to a line with this in it."""
    assert process.stdout
    said: list[str] = []
    while line := (await process.stdout.readline()).decode():
        if last in line:
            return said
        said.append(line.strip())
    raise AssertionError(said)


async def test_a_real_provider_in_python(unused_tcp_port: int) -> None:
    """The authorization code flow of `oidc-provider-mock`, whose ID tokens carry what a user is given."""
    issuer, user = f"http://127.0.0.1:{unused_tcp_port}", {"sub": "alice", "scp": ["data:read"]}
    told = ["-p", str(unused_tcp_port), "--user-claims", json.dumps(user)]
    async with running(sys.executable, "-m", "oidc_provider_mock", *told) as process:
        await lines(process, "running on")
        async with ClientSession(issuer) as http:
            asked = {"client_id": "us", "redirect_uri": "http://app.test/", "response_type": "code", "scope": "openid"}
            signed_in = http.post("/oauth2/authorize", params=asked, data={"sub": "alice"}, allow_redirects=False)
            async with signed_in as page:
                code = parse_qs(urlsplit(page.headers["Location"]).query)["code"][0]
            given = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"]}
            async with http.post("/oauth2/token", data=given | {"client_id": "us", "client_secret": "any"}) as answer:
                token = (await answer.json())["id_token"]

        async with testing.serve(auth="oidc", issuer=issuer, audience="us") as service:
            who = await service.service.access.authenticate(token)
            assert (who.id, who.scopes) == ("alice", {"data:read"})
            with pytest.raises(Unauthenticated):
                await service.service.access.authenticate(token[:-6] + "AAAAAA")


_SCRIPT = """
import { OAuth2Server } from "oauth2-mock-server";
const server = new OAuth2Server();
for (const algorithm of ["RS256", "ES256", "EdDSA", "PS384"]) await server.issuer.keys.generate(algorithm);
await server.start(0, "localhost");
const grant = (_, payload) => { payload.aud = "us"; payload.sub = "shop"; payload.scope = "dialogs:write"; };
for (const { kid } of server.issuer.keys.toJSON()) {
  console.log(server.issuer.url, await server.issuer.buildToken({ kid, scopesOrTransform: grant }));
}
console.log("done");
"""


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`oauth2-mock-server`, installed into a folder that is gone afterwards."""
    folder = tmp_path_factory.mktemp("provider")
    install_from_npm("oauth2-mock-server@9.3.0", folder)
    (folder / "provider.mjs").write_text(_SCRIPT)
    return folder


async def test_a_real_provider_with_keys_of_every_type(node_modules: Path) -> None:
    async with running(need("node"), "provider.mjs", folder=node_modules) as process:
        told = [line.split() for line in await lines(process, "done")]
        async with testing.serve(auth="oidc", issuer=told[0][0], audience="us") as service:
            for _, token in told:
                who = await service.service.access.authenticate(token)
                assert (who.id, who.scopes) == ("shop", {"dialogs:write"})

    assert {header_of(token)["alg"] for _, token in told} == {"RS256", "ES256", "EdDSA", "PS384"}
