"""`consentful verify --jwks`: whoever holds a receipt verifies it with the published keys alone."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from consentful_server import cli, testing
from consentful_server.access_log.chain import OPERATOR
from consentful_server.keys.deployment import replace_signing_key
from kept import get, keep
from live import connect

from .refusals import Output


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "60")


@pytest.fixture
async def served() -> AsyncGenerator[testing.Served]:
    async with testing.serve() as service:
        yield service


@pytest.fixture
async def receipt(served: testing.Served, somewhere: Path) -> str:
    """Save a receipt and the published keys."""
    async with ClientSession() as http, connect(http, served.url) as live:
        await live.open("alice", dialog_id="d-1", bot="shop")
        await live.say("contraband-4711")
        stored = await live.grant()
    async with ClientSession(served.url) as http:
        published = await get(http, "/.well-known/jwks.json")
    (somewhere / "receipt.jws").write_text(stored.receipt + "\n")
    (somewhere / "jwks.json").write_text(json.dumps(published))
    return stored.receipt


async def verify(*arguments: str) -> int:
    return await asyncio.to_thread(cli.run, ["verify", *arguments])


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def test_a_receipt_is_verified_with_the_published_keys_alone(
    receipt: str, somewhere: Path, capsys: Output
) -> None:
    assert receipt
    assert await verify("receipt.jws", "--jwks", "jwks.json") == 0

    said = capsys.readouterr().out
    assert said.startswith("Valid: this consent receipt was signed")
    for label, text in (
        ("Dialog:", "d-1"),
        ("Issued by:", "consentful"),
        ("Customer (pseudonym):", "cus_"),
        ("Messages:", "1"),
        ("Chatbot:", "shop"),
        ("Purposes:", "improve-chatbot"),
        ("Notice:", "default-1"),
        ("Given by:", "self"),
        ("Special categories (art. 9):", "no"),
        ("Kept until:", " UTC"),
        ("To withdraw:", ""),
    ):
        assert any(line.startswith(label) and text in line for line in said.splitlines()), label
    assert sorted(path.name for path in somewhere.iterdir()) == ["jwks.json", "receipt.jws"], "nothing is created"


@pytest.mark.parametrize("path", ["", "/", "/.well-known/jwks.json"])
async def test_the_keys_may_be_at_the_services_url(
    receipt: str, served: testing.Served, capsys: Output, path: str
) -> None:
    assert receipt
    assert await verify("receipt.jws", "--jwks", served.url + path) == 0

    assert "Valid" in capsys.readouterr().out


async def test_where_to_withdraw_is_told_where_the_receipt_says_it(
    served: testing.Served, receipt: str, somewhere: Path, capsys: Output
) -> None:
    assert receipt
    address = "https://shop.example/withdraw"
    (somewhere / "receipt.jws").write_text(served.service.signer.sign({"iss": "x", "withdraw_url": address}))

    assert await verify("receipt.jws", "--jwks", "jwks.json") == 0

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Withdraw at:")]
    assert line.endswith(f" {address}")


async def test_a_receipt_of_a_replaced_key_still_verifies(served: testing.Served, receipt: str, capsys: Output) -> None:
    assert receipt
    service = served.service
    await replace_signing_key(service.store.facts, service.settings.keys_dir, service.deployment, service.signer)

    assert await verify("receipt.jws", "--jwks", served.url) == 0
    assert "Valid" in capsys.readouterr().out


async def test_art_17_a_report_of_an_erasure_is_told_in_its_own_words(
    served: testing.Served, receipt: str, somewhere: Path, capsys: Output
) -> None:
    assert receipt
    await keep(served.service, "d-2")
    report = (await served.service.privacy_requests.erase_dialog("d-2", by=OPERATOR)).report
    (somewhere / "report.jws").write_text(report or "")

    assert await verify("report.jws", "--jwks", "jwks.json") == 0

    said = capsys.readouterr().out
    assert "report of an erasure" in said
    assert any(line.startswith("Erased dialogs:") and "d-2" in line for line in said.splitlines())


async def test_line_breaks_and_quotes_of_a_mail_do_not_matter(receipt: str, somewhere: Path) -> None:
    wrapped = "\r\n".join(receipt[start : start + 60] for start in range(0, len(receipt), 60))
    (somewhere / "receipt.jws").write_bytes(b"\xef\xbb\xbf" + f'"{wrapped}"\r\n'.encode())

    assert await verify("receipt.jws", "--jwks", "jwks.json") == 0


WHOLE = "{header}.{payload}.{signature}"


@pytest.mark.parametrize(
    ("forged", "header", "why"),
    [
        ("this is no receipt", None, "not a compact JWS"),
        ("{header}.{payload}", None, "not a compact JWS"),
        ("x.{payload}.{signature}", None, "header cannot be read"),
        ("{header}.{payload}.", None, "signature does not match"),
        ("{header}.{payload}.AAAA", None, "signature does not match"),
        ("{header}.e30.{signature}", None, "signature does not match"),
        (WHOLE, {"alg": "none"}, "not EdDSA"),
        (WHOLE, {"alg": "HS256"}, "not EdDSA"),
        (WHOLE, {"kid": "k"}, "cannot be read"),
        (WHOLE, {"alg": "EdDSA"}, "does not have the key"),
        (WHOLE, {"alg": "EdDSA", "kid": "k-1"}, "does not have the key k-1; another service signed"),
        (WHOLE, {"alg": "EdDSA", "kid": "\x1b"}, "does not have the key that the header names"),
        (WHOLE, {"alg": "EdDSA", "kid": ["k"]}, "Not valid"),
    ],
)
async def test_a_forgery_is_told_by_what_is_wrong_with_it(
    receipt: str, somewhere: Path, capsys: Output, forged: str, header: Mapping[str, Any] | None, why: str
) -> None:
    parts = dict(zip(("header", "payload", "signature"), receipt.split("."), strict=True))
    parts |= {} if header is None else {"header": encoded(header)}
    (somewhere / "receipt.jws").write_text(forged.format(**parts))

    assert await verify("receipt.jws", "--jwks", "jwks.json") == 1

    said = capsys.readouterr()
    assert said.err.startswith("Not valid: ")
    assert why in said.err
    assert said.out == ""


async def test_a_receipt_of_another_service_is_not_valid(receipt: str, capsys: Output) -> None:
    assert receipt
    async with testing.serve() as other:
        assert await verify("receipt.jws", "--jwks", other.url) == 1

    assert "another service signed the receipt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "must be a JWK set"),
        (b"<html>", "must be a JWK set"),
        (b"[]", "must be a JWK set"),
        (b'{"keys": 1}', "must be a JWK set"),
        (b'{"keys": [1]}', "must be a JWK set"),
        (b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA"}]}', "must be a JWK set"),
        (b'{"keys": []}', "must have an Ed25519 key"),
        (b'{"keys": [{"kty": "RSA", "kid": "k"}]}', "must have an Ed25519 key"),
        (b"\xff\xfe", "must be a JWK set"),
    ],
)
async def test_what_is_no_jwk_set_is_refused(
    receipt: str, somewhere: Path, capsys: Output, content: bytes, why: str
) -> None:
    assert receipt
    (somewhere / "jwks.json").write_bytes(content)

    assert await verify("receipt.jws", "--jwks", "jwks.json") == 2

    assert f"jwks: {why}" in capsys.readouterr().err


async def test_keys_that_cannot_be_had_are_told_with_their_place(
    receipt: str, capsys: Output, unused_tcp_port: int
) -> None:
    assert receipt

    async def moved(_: web.Request) -> web.Response:
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", moved)
    async with TestServer(app) as server:
        for place, why in (
            ("nowhere.json", "cannot be read (No such file"),
            (f"http://127.0.0.1:{unused_tcp_port}", "cannot be reached (ClientConnectorError)"),
            ("http://shop.example/jwks.json", "must be an https:// URL"),
            ("ftp://127.0.0.1/jwks.json", "must be an https:// URL"),
            (str(server.make_url("/jwks.json")), "answered with HTTP 404"),
        ):
            assert await verify("receipt.jws", "--jwks", place) == 2
            said = capsys.readouterr().err
            assert place in said
            assert why in said


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe\x00"])
async def test_a_file_that_holds_no_receipt_is_named(somewhere: Path, capsys: Output, content: bytes | None) -> None:
    if content is not None:
        (somewhere / "my.jws").write_bytes(content)

    assert await verify("my.jws", "--jwks", "jwks.json") == 2

    assert "my.jws" in capsys.readouterr().err


async def test_keys_without_a_receipt_verify_nothing(capsys: Output) -> None:
    assert await verify("--log", "--jwks", "jwks.json") == 2

    assert "give its file as well" in capsys.readouterr().err
