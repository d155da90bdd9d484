"""How a dialog begins."""

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import consentful
from consentful import wire

from .conftest import Opened, Opens
from .scripted import (
    NOTICE,
    FakeClock,
    ScriptedServer,
    task,
)


async def test_the_notice_and_the_limits_are_known_at_once(opened: Opened) -> None:
    limits = wire.Limits(max_messages=7)

    dialog, _ = await opened(limits)

    assert (dialog.notice, dialog.limits) == (NOTICE, limits)


async def test_the_sdk_names_the_dialog_itself(opened: Opened) -> None:
    dialog, peer = await opened(language="EN", bot="shop", metadata={"shop": "north"})

    assert peer.opening == wire.Open("c-1", dialog_id=dialog.id, language="EN", bot="shop", metadata={"shop": "north"})
    assert dialog.id[14] == "7"  # a UUIDv7


async def test_or_takes_the_name_it_is_given(opened: Opened) -> None:
    dialog, _ = await opened(dialog_id="my:dialog~1")

    assert dialog.id == "my:dialog~1"


@pytest.mark.parametrize(("encoding", "subprotocol"), [("json", wire.JSON), ("msgpack", wire.MSGPACK)])
async def test_it_speaks_the_encoding_it_is_told(opened: Opened, encoding: str, subprotocol: str) -> None:
    dialog, peer = await opened(encoding=encoding)
    await dialog.say("Grüße")

    assert peer.codec is wire.CODECS[subprotocol]
    assert [message.text for message in await peer.hear(1)] == ["Grüße"]


async def test_a_server_that_only_knows_json_is_spoken_to_in_json(server: ScriptedServer, opened: Opened) -> None:
    server.subprotocols = (wire.JSON,)

    dialog, peer = await opened(encoding="msgpack")
    await dialog.say("hi")

    assert [message.text for message in await peer.hear(1)] == ["hi"]


@pytest.mark.parametrize(
    "options",
    [
        {"customer_id": ""},
        {"customer_id": "x" * 201},
        {"dialog_id": "no spaces"},
        {"dialog_id": ".."},
        {"language": "not a tag"},
        {"metadata": {"note": "ä" * 2048}},
        {"url": "ftp://host"},
    ],
)
def test_a_mistake_in_the_arguments_is_told_before_anything_is_sent(opens: Opens, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        opens(**options)


async def test_a_cancelled_opening_leaves_nothing_behind(server: ScriptedServer, opens: Opens) -> None:
    entering = task(opens().__aenter__())
    peer = await server.accept()
    await peer.expect(wire.Open)

    entering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await entering
    await peer.until_left()


async def test_it_can_use_a_session_of_the_caller(server: ScriptedServer, opens: Opens) -> None:
    async with aiohttp.ClientSession(headers={"X-Shop": "north"}) as session:
        entering = task(_enter(opens(session=session)))
        await server.accept_open()
        await entering

        assert not session.closed
    assert server.requests[0].headers["X-Shop"] == "north"


async def test_a_certificate_that_is_not_trusted_is_refused_at_once(clock: FakeClock, certificate: Path) -> None:
    async with tls_server(certificate).serve() as server:
        with pytest.raises(consentful.Refused) as caught:
            async with consentful.open_dialog(server.url, customer_id="c-1", clock=clock):
                pass

    assert caught.value.code == "certificate"
    assert not clock.slept


async def test_one_that_is_trusted_is_not(clock: FakeClock, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))

    async with tls_server(certificate).serve() as server:
        url = server.url.replace("https", "wss")
        entering = task(_enter(consentful.open_dialog(url, customer_id="c-1", clock=clock, ssl=trusting)))
        await server.accept_open()
        await entering


def tls_server(certificate: Path) -> ScriptedServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return ScriptedServer(context)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that it signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return path


async def _enter(opening: AbstractAsyncContextManager[consentful.Dialog]) -> None:
    async with opening:
        pass
