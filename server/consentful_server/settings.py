"""Everything that can be set, read once from flags, environment and file into one frozen value."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from consentful import wire

from .errors import BadSetting

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_LEAST_FRAME_BYTES = 1024
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d+)?")
_STATIC_IN_WHEEL = Path(__file__).parent / "static"
_STATIC_IN_REPOSITORY = Path(__file__).parent.parent.parent / "static"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the data and the keys are; every command that opens them needs to know."""

    database: str = ""
    """`sqlite:///path`; by default `consentful.db` in the data directory."""
    data_dir: Path = Path("data")
    """Where the SQLite database lives."""
    keys_dir: Path = Path("keys")
    """Where the root keys live: outside the data directory, and in a backup of their own."""


@dataclass(frozen=True, kw_only=True)
class Settings(Place):
    """The server's settings. Each is a flag, an environment variable and a key of `consentful.toml`."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8080
    """Port to listen on; 0 takes a free one."""
    auth: Literal["none", "keys", "oidc"] | None = None
    """Who may come in: `none` (loopback only, the default there), `keys` (the default elsewhere) or `oidc`."""
    issuer: str = ""
    """With `oidc`, the identity provider: the address that its tokens name as `iss`."""
    audience: str = ""
    """With `oidc`, what tokens for this service name as `aud`."""
    tls_cert: Path | None = None
    """The server's certificate in PEM, its issuers below it; with it the server speaks HTTPS alone."""
    tls_key: Path | None = None
    """The certificate's private key in PEM. Both files are read again when they change."""
    allow_origin: tuple[str, ...] = ()
    """Web origins, beside the server's own, whose pages may connect and read; for example `https://chat.example`."""
    trusted_proxy: tuple[str, ...] = ()
    """Addresses or networks of your proxies, whose X-Forwarded-For tells where a request comes from."""
    idle_timeout: float = 900
    """Seconds without a message after which a dialog is dropped."""
    max_duration: float = 86_400
    """Seconds after which a dialog is dropped, whatever is said."""
    grace: float = 30
    """Seconds that live dialogs have to end after SIGTERM."""
    max_text_bytes: int = 32 * 1024
    """Bytes of UTF-8 that one message may have."""
    max_dialog_bytes: int = 1024 * 1024
    """Bytes of UTF-8 that one dialog may have."""
    max_messages: int = 10_000
    """Messages that one dialog may have."""
    memory: int = 1024 * 1024 * 1024
    """Bytes that all live dialogs of this process may take; above it new ones are told to come back later."""
    reserve: int = 32 * 1024 * 1024
    """Bytes of the disk that are kept for erasing when it is full; 0 keeps none."""
    dialogs_per_client: int = 20_000
    """Live dialogs that one client, an address or a credential, may have in this process."""
    opens_per_second: float = 1_000
    """Dialogs that one client may open in a second, in the long run; ten seconds' worth at once."""
    frames_per_second: float = 20_000
    """Frames that one client may send in a second, in the long run; ten seconds' worth at once."""
    bytes_per_second: float = 16 * 1024 * 1024
    """Bytes that one client may send to dialogs in a second, in the long run; ten seconds' worth at once."""
    compress: bool = False
    """Whether to offer permessage-deflate; it costs memory for each dialog."""
    receipt_issuer: str = "consentful"
    """Who signs the receipts (`iss`): the address of this service, for example."""
    due_days: int = 28
    """Days within which a privacy request is due: 28 is within a month (GDPR) in any month; 45 (CCPA), 15 (LGPD)."""
    epoch_days: int = 7
    """Days after which the master key is replaced: then no earlier copy of an erased key opens anywhere."""
    static_dir: Path | None = None
    """Where the pages are; by default those that came with the package."""
    workers: int = 1
    """Processes that share the port and the store; the original HTTP contract needs one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged. Words, customer ids and tokens never are."""
    log_format: Literal["console", "json"] = "console"
    """How log lines look."""

    def __post_init__(self) -> None:
        """See that the settings can be, each for itself and together.

        Raises:
            BadSetting: If one cannot; it names the setting and what would do.
        """
        self._check_numbers()
        self._check_shares()
        self._check_access()

    def _check_numbers(self) -> None:
        if not 0 <= self.port <= 65535:
            raise BadSetting("port", "a number from 0 to 65535")
        for name in ("idle_timeout", "max_duration"):
            if getattr(self, name) <= 0:
                raise BadSetting(name, "a number of seconds above 0")
        if self.workers < 1:
            raise BadSetting("workers", "a whole number above 0")
        if self.workers > 1 and self.port == 0:
            raise BadSetting("port", "a fixed port, because several workers share it")
        if self.reserve < 0:
            raise BadSetting("reserve", "a whole number of bytes, 0 or more")
        if self.grace < 0:
            raise BadSetting("grace", "a number of seconds, 0 or more")
        for name in (
            "max_text_bytes",
            "max_dialog_bytes",
            "max_messages",
            "dialogs_per_client",
            "due_days",
            "epoch_days",
        ):
            if getattr(self, name) < 1:
                raise BadSetting(name, "a whole number above 0")
        if self.max_text_bytes > self.max_dialog_bytes:
            raise BadSetting("max_text_bytes", f"at most max_dialog_bytes ({self.max_dialog_bytes})")
        if self.memory < self.max_dialog_bytes:
            raise BadSetting("memory", f"at least max_dialog_bytes ({self.max_dialog_bytes})")

    def _check_shares(self) -> None:
        for name in ("opens_per_second", "frames_per_second", "bytes_per_second"):
            if getattr(self, name) <= 0:
                raise BadSetting(name, "a number above 0")

    def _check_access(self) -> None:
        if self.auth == "none" and not self.is_loopback:
            raise BadSetting(
                "auth", f"`none` lets everyone in who can reach {self.host}; use `--auth keys`, or a loopback --host"
            )
        self._check_oidc()
        for name, other in (("tls_cert", self.tls_key), ("tls_key", self.tls_cert)):
            if getattr(self, name) is None and other is not None:
                raise BadSetting(name, "a certificate and its key, together: --tls-cert and --tls-key")
        if any(network.prefixlen == 0 for network in self.trusted_networks):
            raise BadSetting("trusted_proxy", "networks that hold your proxies alone; in all of them is everybody")
        for origin in self.allow_origin:
            scheme, separator, host = origin.partition("://")
            usual = {"http": ":80", "https": ":443"}.get(scheme)
            if usual is None or not separator or not _HOST.fullmatch(host) or host.endswith(usual):
                raise BadSetting(
                    "allow_origin",
                    "origins as browsers send them, such as https://chat.example: lower case, no path, no usual port",
                )

    def _check_oidc(self) -> None:
        if self.auth != "oidc" and (self.issuer or self.audience):
            raise BadSetting("auth", "`oidc` where an issuer or an audience is named (receipts have --receipt-issuer)")
        if self.auth == "oidc" and not is_safe(self.issuer):
            raise BadSetting("issuer", "the https:// address of your identity provider (http:// on loopback only)")
        if self.auth == "oidc" and not self.audience:
            raise BadSetting("audience", "what your identity provider calls this service in `aud`")

    @cached_property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxy`, parsed.

        Raises:
            BadSetting: If one is no network.
        """
        try:
            return tuple(ipaddress.ip_network(network) for network in self.trusted_proxy)
        except ValueError:
            raise BadSetting("trusted_proxy", "addresses or networks such as 127.0.0.1 or 10.0.0.0/8") from None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def access(self) -> Literal["none", "keys", "oidc"]:
        """`auth`, or its default for this host."""
        return self.auth or ("none" if self.is_loopback else "keys")

    @property
    def due_within(self) -> timedelta:
        return timedelta(days=self.due_days)

    @property
    def static(self) -> Path:
        """The folder of the pages: in a wheel beside this file, in a checkout at the top."""
        return self.static_dir or (_STATIC_IN_WHEEL if _STATIC_IN_WHEEL.is_dir() else _STATIC_IN_REPOSITORY)

    @property
    def limits(self) -> wire.Limits:
        """What `opened` tells each dialog. A frame may hold a longest text with every byte escaped."""
        return wire.Limits(
            max_frame_bytes=max(_LEAST_FRAME_BYTES, 6 * self.max_text_bytes) + 64 * 1024,
            max_text_bytes=self.max_text_bytes,
            max_dialog_bytes=self.max_dialog_bytes,
            max_messages=self.max_messages,
            idle_timeout_s=self.idle_timeout,
            max_duration_s=self.max_duration,
        )


def is_safe(address: str) -> bool:
    """Whether nobody on the way can change what this address answers: over TLS, or on this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that nothing closes
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def is_loopback(host: str) -> bool:
    """Whether a host, without a port, is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
