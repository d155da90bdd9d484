"""`--auth oidc`: what its settings take and grant, and which are refused."""

from typing import Any

import pytest

from consentful_server.auth.claims import Rules, rules_of
from consentful_server.auth.oidc import Oidc
from consentful_server.auth.provider import Provider
from consentful_server.errors import BadSetting
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock

from .providers import AUDIENCE, FakeProvider, refused

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
