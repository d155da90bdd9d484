"""The server's certificate and private key, reloaded when their files change. Open connections are not affected."""

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

_POLL_S: Final = 1.0

_Stamp: TypeAlias = tuple[int, int, int] | None


class Certificate:
    """A certificate with its private key, and the TLS context that uses them: TLS 1.2 and later."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both.

        Raises:
            BadSetting: If one cannot be read, or they do not belong together; it names the setting.
        """
        self._certificate = certificate
        self._key = key
        self.context = _context()
        self._seen = self._stamps()
        self.expires = self._load()

    async def watch(self) -> None:
        """Check the files every second, until it is cancelled."""
        while True:
            await asyncio.sleep(_POLL_S)
            self.refresh()

    def refresh(self) -> None:
        """Reload the pair if a file changed. If that fails, log why and keep the current pair."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self.expires = self._load()
        except BadSetting as refusal:
            _log.error("reload failed; keeping the current certificate", extra={"why": refusal.detail})

    def _load(self) -> datetime:
        expires = self._check()
        # A context that fails half way holds half a pair, so an unused one is tried first.
        for context in (_context(), self.context):
            try:
                context.load_cert_chain(self._certificate, self._key, password=_refuse_passphrase)
            except (OSError, ssl.SSLError) as error:
                raise BadSetting("tls_cert", f"a certificate that OpenSSL accepts ({error.strerror})") from None
        _log.info("certificate loaded", extra={"expires": expires.isoformat()})
        return expires

    def _check(self) -> datetime:
        """Check each file by itself, and return the certificate's expiry: OpenSSL would not say which file is wrong."""
        chain, secret = _read("tls_cert", self._certificate), _read("tls_key", self._key)
        try:
            certificate = load_pem_x509_certificate(chain)
            public_key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise BadSetting(
                "tls_cert", f"a certificate in PEM, followed by its issuers; {self._certificate} is not one"
            ) from None
        try:
            key = load_pem_private_key(secret, password=None)
        except TypeError:
            _refuse_passphrase()
        except (ValueError, UnsupportedAlgorithm):
            raise BadSetting("tls_key", f"a private key in PEM; {self._key} is not one") from None
        if key.public_key() != public_key:
            raise BadSetting("tls_key", f"the private key of the certificate; {self._key} belongs to another one")
        return certificate.not_valid_after_utc

    def _stamps(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(self._certificate), _stamp(self._key)


def certificate_of(settings: Settings) -> Certificate | None:
    """Return the certificate that the settings name; None for plain HTTP.

    Raises:
        BadSetting: If it cannot be loaded.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a renegotiation costs the server more than the client
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSetting(name, f"a file that this process may read; {path}: {error.strerror}") from None


def _refuse_passphrase() -> NoReturn:
    raise BadSetting("tls_key", "a private key without a passphrase, which a server cannot ask for")


def _stamp(path: Path) -> _Stamp:
    """Return a value that changes when the file, or a symbolic link to it, is replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
