"""HTTPS without a proxy: what is shown, what is refused, and a certificate that is replaced while dialogs go on."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession, TCPConnector

import consentful
from certificates import Pair, make_pair
from consentful_server.edges.server import site, tls
from consentful_server.edges.server.tls import Certificate
from consentful_server.errors import BadSetting
from consentful_server.settings import Settings
from consentful_server.testing import Served, serve
from kept import get
from live import connect
from logs import logged


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path)


@asynccontextmanager
async def client(service: Served, trusted: ssl.SSLContext) -> AsyncGenerator[ClientSession]:
    async with ClientSession(service.url, connector=TCPConnector(ssl=trusted)) as session:
        yield session


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Let both agree, without a socket in between; raise what either complains of."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for end in (here, there, here, there):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()


async def test_a_dialog_is_held_and_read_back_over_https(pair: Pair) -> None:
    async with serve(**pair.settings) as service:
        assert service.url.startswith("https://")
        async with consentful.open_dialog(service.url, customer_id="c-1", ssl=pair.trusted()) as dialog:
            await dialog.say("Hi")
            await dialog.grant()
        async with client(service, pair.trusted()) as http:
            assert (await get(http, "/v1/messages"))["items"][0]["text"] == "Hi"


async def test_whoever_does_not_trust_the_certificate_is_told(pair: Pair) -> None:
    async with serve(**pair.settings) as service:
        with pytest.raises(consentful.ConsentfulError, match="certificate is not trusted"):
            async with consentful.open_dialog(service.url, customer_id="c-1", reconnect_for=5):
                pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(pair: Pair, version: ssl.TLSVersion) -> None:
    trusted = pair.trusted()
    trusted.set_ciphers("ALL:@SECLEVEL=0")  # or the client would not dare
    trusted.minimum_version = trusted.maximum_version = version

    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake_hands(Certificate(*pair).context, trusted)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are(pair: Pair, version: ssl.TLSVersion) -> None:
    trusted = pair.trusted()
    trusted.minimum_version = trusted.maximum_version = version

    shake_hands(Certificate(*pair).context, trusted)


async def test_over_https_a_browser_is_told_to_stay_there(pair: Pair) -> None:
    async with serve(auth="keys", **pair.settings) as service, client(service, pair.trusted()) as http:
        for path, status in (("/", 200), ("/v1/messages", 401), ("/nowhere", 404)):
            async with http.get(path, headers={"Host": "chat.example"}) as response:
                assert response.status == status
                assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
            async with http.get(path) as response:  # 127.0.0.1 has other programs, which do not speak it
                assert "Strict-Transport-Security" not in response.headers


async def test_over_plain_http_it_is_not(http: ClientSession) -> None:
    async with http.get("/", headers={"Host": "chat.example"}) as response:
        assert "Strict-Transport-Security" not in response.headers


def spoilt(path: Path) -> None:
    path.write_bytes(b"no PEM")


class TestReplacing:
    async def test_newcomers_are_shown_the_new_one_and_no_dialog_is_dropped(
        self, pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls, "_POLL_S", 0.01)
        old = pair.trusted()
        async with serve(**pair.settings) as service:
            async with client(service, old) as http, connect(http, "") as live:
                await live.open()
                await live.say("before")

                with logged("consentful.tls", "certificate loaded") as loaded:
                    new = make_pair(pair.key.parent)
                    async with asyncio.timeout(10):
                        await loaded.wait()

                await live.say("after")
                assert (await live.grant()).messages == 2
            with pytest.raises(ClientConnectorCertificateError):
                async with client(service, old) as http:
                    await http.get("/healthz")
            async with client(service, new.trusted()) as http:
                assert len((await get(http, "/v1/messages"))["items"]) == 2

    def test_while_only_one_file_is_replaced_the_old_pair_is_shown(self, pair: Pair, tmp_path: Path) -> None:
        certificate, old = Certificate(*pair), pair.trusted()
        (tmp_path / "new").mkdir()
        new = make_pair(tmp_path / "new")

        shutil.copy(new.certificate, pair.certificate)
        certificate.refresh()
        shake_hands(certificate.context, old)

        shutil.copy(new.key, pair.key)
        certificate.refresh()
        shake_hands(certificate.context, new.trusted())
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(certificate.context, old)

    @pytest.mark.parametrize("spoil", [Path.unlink, spoilt], ids=["gone", "none"])
    def test_what_will_not_do_is_told_once_and_the_old_one_goes_on(
        self, pair: Pair, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
    ) -> None:
        certificate, old = Certificate(*pair), pair.trusted()
        spoil(pair.certificate)

        certificate.refresh()
        certificate.refresh()

        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert record.message == "reload failed; keeping the current certificate"
        assert str(pair.certificate) in vars(record)["why"]
        shake_hands(certificate.context, old)


class TestRefusals:
    @pytest.mark.parametrize(("given", "missing"), [("tls_cert", "tls_key"), ("tls_key", "tls_cert")])
    def test_one_without_the_other(self, pair: Pair, given: str, missing: str) -> None:
        with pytest.raises(BadSetting, match=f"{missing}: .*together"):
            Settings(**{given: pair.settings[given]})

    def refused(self, certificate: Path, key: Path) -> str:
        with pytest.raises(BadSetting) as refusal:
            Certificate(certificate, key)
        return str(refusal.value)

    def test_a_file_that_is_not_there(self, pair: Pair, tmp_path: Path) -> None:
        missing = tmp_path / "missing.pem"

        assert self.refused(missing, pair.key) == (
            f"tls_cert: a file that this process may read; {missing}: No such file or directory"
        )
        assert self.refused(pair.certificate, missing).startswith("tls_key: a file that this process may read")
        assert "Is a directory" in self.refused(tmp_path, pair.key)

    def test_what_is_no_certificate_or_no_key(self, pair: Pair) -> None:
        assert self.refused(pair.key, pair.key).startswith("tls_cert: a certificate in PEM")
        assert self.refused(pair.certificate, pair.certificate).startswith("tls_key: a private key in PEM")

    def test_a_key_of_another_certificate(self, pair: Pair, tmp_path: Path) -> None:
        other = make_pair(tmp_path, "other")

        assert self.refused(pair.certificate, other.key) == (
            f"tls_key: the private key of the certificate; {other.key} belongs to another one"
        )

    def test_a_key_with_a_passphrase_asks_nobody(self, tmp_path: Path) -> None:
        locked = make_pair(tmp_path, passphrase=b"secret")

        assert "without a passphrase" in self.refused(*locked)


async def test_who_begins_a_handshake_and_says_no_more_is_hung_up_on(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "_TLS_HANDSHAKE_S", 0.1)
    async with serve(**pair.settings) as service:
        reader, writer = await asyncio.open_connection(*service.url.removeprefix("https://").split(":"))
        writer.write(b"\x16\x03\x01\x02\x00")  # the first bytes of a ClientHello
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
