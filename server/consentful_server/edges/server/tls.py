"""The server's own certificate and key, loaded again when their files change: whoever is connected stays so."""

import asyncio
import logging
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from ...errors import BadSetting
from ...settings import Settings

_log: Final = logging.getLogger("consentful.tls")

_LOOK_S: Final = 1.0

_Stamp: TypeAlias = tuple[int, int, int] | None


class Certificate:
    """What the server shows, and the context of its handshakes: TLS 1.2 and later."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both.

        Raises:
            BadSetting: If one cannot be read, or they are no pair; it names the setting.
        """
        self._certificate = certificate
        self._key = key
        self.context = _context()
        self._seen = self._stamps()
        self._load()

    async def watch(self) -> None:
        """Look at the files every second, until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.refresh()

    def refresh(self) -> None:
        """Load what has changed. What will not do is told in the log, and the handshakes go on with what there was."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._load()
        except BadSetting as refusal:
            _log.error("certificate kept: the new one will not do", extra={"why": refusal.detail})

    def _load(self) -> None:
        expires = self._check()
        # A context that fails in the middle holds half a pair: so one that nobody uses goes first.
        for context in (_context(), self.context):
            try:
                context.load_cert_chain(self._certificate, self._key, password=_refuse_passphrase)
            except (OSError, ssl.SSLError) as error:
                raise BadSetting("tls_cert", f"what OpenSSL takes with its key ({error.strerror})") from None
        _log.info("certificate loaded", extra={"expires": expires.isoformat()})

    def _check(self) -> datetime:
        """See that it is a certificate and its key, one by one: OpenSSL would not say which of them will not do."""
        chain, secret = _read("tls_cert", self._certificate), _read("tls_key", self._key)
        try:
            certificate = load_pem_x509_certificate(chain)
            shown = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise BadSetting(
                "tls_cert", f"a certificate in PEM, its issuers below it; {self._certificate} is none"
            ) from None
        try:
            key = load_pem_private_key(secret, password=None)
        except TypeError:
            _refuse_passphrase()
        except (ValueError, UnsupportedAlgorithm):
            raise BadSetting("tls_key", f"a private key in PEM; {self._key} is none") from None
        if key.public_key() != shown:
            raise BadSetting("tls_key", f"the key of the certificate; {self._key} is that of another")
        return certificate.not_valid_after_utc

    def _stamps(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(self._certificate), _stamp(self._key)


def certificate_of(settings: Settings) -> Certificate | None:
    """Return what the server shows; None if it speaks plain HTTP.

    Raises:
        BadSetting: If it cannot be shown.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs the server more than the client
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSetting(name, f"a file that this process may read; {path}: {error.strerror}") from None


def _refuse_passphrase() -> NoReturn:
    raise BadSetting("tls_key", "a key without a passphrase: nobody is there to type it in")


def _stamp(path: Path) -> _Stamp:
    """Return what changes when a file, or the link that leads to it, is replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
