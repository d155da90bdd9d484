"""`--auth oidc`: a whole service, and two real providers."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession

import consentful
from consentful_server import testing
from consentful_server.errors import Unauthenticated
from consentful_server.testing import FakeClock
from needs import install_from_npm, need
from receipts import header_of

from .providers import (
    AUDIENCE,
    FakeProvider,
)


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
