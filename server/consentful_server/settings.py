"""All settings, read once from flags, environment variables and a file into one frozen value."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from consentful import wire

from .errors import BadSetting

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_LEAST_FRAME_BYTES = 1024
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d+)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_BASE_URL = re.compile(rf"https?://{_HOST.pattern}(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_STATIC_IN_WHEEL = Path(__file__).parent / "static"
_STATIC_IN_REPOSITORY = Path(__file__).parent.parent.parent / "static"


class _Range(NamedTuple):
    """The valid values of a number. NaN is in no range."""

    least: float
    most: float
    kind: str
    """What the number is, for people."""


_YEAR_S: Final = 366 * 86_400
_MOST: Final = 2**53
"""Settings above it would lose digits in JSON (RFC 8259 §6); no machine has as much of anything."""

_SECONDS: Final = _Range(0.001, _YEAR_S, f"a number of seconds above 0, and at most {_YEAR_S:,} (a year)")
_COUNT: Final = _Range(1, _MOST, "a whole number above 0")
_RATE: Final = _Range(0.001, _MOST, "a finite number above 0")
_DAYS: Final = _Range(1, 36_500, "a whole number of days above 0, and at most 36,500")
_BACKUPS: Final = _Range(0, 10_000, "a whole number, 0 or more, and at most 10,000")
_RANGES: Final[Mapping[str, _Range]] = {
    "port": _Range(0, 65_535, "a number from 0 to 65535"),
    "idle_timeout": _SECONDS,
    "max_duration": _SECONDS,
    "grace": _Range(0, _YEAR_S, f"a number of seconds, 0 or more, and at most {_YEAR_S:,} (a year)"),
    "max_text_bytes": _COUNT,
    "max_dialog_bytes": _COUNT,
    "max_messages": _Range(1, 2**31 - 1, "a whole number above 0, and at most 2,147,483,647"),  # int32 in exports
    "memory": _COUNT,
    "reserve": _Range(0, _MOST, "a whole number of bytes, 0 or more"),
    "dialogs_per_client": _COUNT,
    "streams_per_client": _COUNT,
    "opens_per_second": _RATE,
    "frames_per_second": _RATE,
    "bytes_per_second": _RATE,
    "due_days": _DAYS,
    "epoch_days": _DAYS,
    "backup_every": _Range(0.1, 8784, "a number of hours, at least 0.1, and at most 8,784 (a year)"),
    "backup_keep": _BACKUPS,
    "backup_keep_daily": _BACKUPS,
    "backup_keep_weekly": _BACKUPS,
    "workers": _Range(1, 1024, "a whole number above 0, and at most 1024"),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """The location of the data and the keys, for every command that opens them."""

    database: str = ""
    """The database's URL, `sqlite:///path` or `postgresql://user@host/name`; by default a file in the data folder."""
    data_dir: Path = Path("data")
    """Directory of the SQLite database."""
    keys_dir: Path = Path("keys")
    """Directory of the root keys. It must be outside the data directory; back it up separately."""
    keys_command: str = ""
    """Program or URL of a key management service that wraps the root keys on the disk; by default nothing does."""


@dataclass(frozen=True, kw_only=True)
class Settings(Place):
    """The server's settings. Each can be a flag, an environment variable or a key of `consentful.toml`."""

    read_database: str = ""
    """URL of a replica, from which pages, exports and statistics are read; by default all is read from `--database`."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8080
    """Port to listen on; 0 selects a free one."""
    auth: Literal["none", "keys", "oidc"] | None = None
    """Authentication: `none` (loopback only, the default there), `keys` (the default elsewhere) or `oidc`."""
    issuer: str = ""
    """With `oidc`: the identity provider's issuer URL, the `iss` claim of its tokens."""
    audience: str = ""
    """With `oidc`: the `aud` claim of tokens for this service."""
    scope_claim: tuple[str, ...] = ()
    """With `oidc`: claims with scopes, beside `scope` and `scp`: `roles`, or `realm_access.roles` for one within."""
    scope_map: tuple[str, ...] = ()
    """With `oidc`: what a word of your provider grants; for example `api://consentful/data:read=data:read`."""
    tls_cert: Path | None = None
    """Certificate chain in PEM, the server's certificate first. The server then speaks HTTPS only."""
    tls_key: Path | None = None
    """The certificate's private key in PEM. The server reloads both files when they change."""
    allow_origin: tuple[str, ...] = ()
    """Web origins, beside the server's own, whose pages may connect and read; for example `https://chat.example`."""
    base_url: str = ""
    """URL at which clients reach this server, with the proxy's path if it has one: `https://chat.example/consentful`."""
    trusted_proxy: tuple[str, ...] = ()
    """Addresses or networks of your reverse proxies. Their X-Forwarded-For headers give the client's address."""
    idle_timeout: float = 900
    """Seconds without a message after which a dialog is closed and discarded."""
    max_duration: float = 86_400
    """Seconds after which a dialog is closed and discarded, active or not."""
    grace: float = 30
    """Seconds that live dialogs have to finish after SIGTERM."""
    max_text_bytes: int = 32 * 1024
    """Maximum size of one message's text, in bytes of UTF-8."""
    max_dialog_bytes: int = 1024 * 1024
    """Maximum size of one dialog's texts, in bytes of UTF-8."""
    max_messages: int = 10_000
    """Maximum number of messages in one dialog."""
    memory: int = 1024 * 1024 * 1024
    """Bytes of memory for all live dialogs. When they are used up, new dialogs are refused for now."""
    reserve: int = 32 * 1024 * 1024
    """Bytes of disk space reserved for erasures when the disk is full; 0 reserves none."""
    dialogs_per_client: int = 20_000
    """Maximum number of live dialogs of one client (an address or a credential)."""
    streams_per_client: int = 8
    """Maximum number of streams (exports) of one credential at a time."""
    opens_per_second: float = 1_000
    """Average rate at which one client may open dialogs; a burst may have ten seconds' worth."""
    frames_per_second: float = 20_000
    """Average rate at which one client may send frames; a burst may have ten seconds' worth."""
    bytes_per_second: float = 16 * 1024 * 1024
    """Average rate at which one client may send bytes to dialogs; a burst may have ten seconds' worth."""
    compress: bool = False
    """Offer permessage-deflate (RFC 7692). It costs memory for each dialog."""
    receipt_issuer: str = "consentful"
    """The `iss` claim of receipts, for example this service's URL."""
    withdrawal_texts: Path | None = None
    """TOML file with texts of the withdrawal page in more languages; by default those that ship with the server."""
    due_days: int = 28
    """Days within which a privacy request is due: 28 is within a month (GDPR) in any month; 45 (CCPA), 15 (LGPD)."""
    epoch_days: int = 7
    """Days after which the master key is replaced. Earlier copies of erased keys cannot be unwrapped from then on."""
    backup_folder: Path | None = None
    """Directory of backups that the server makes by schedule; by default it makes none."""
    backup_every: float = 24
    """Hours between two backups."""
    backup_keep: int = 0
    """Number of the newest backups that are kept."""
    backup_keep_daily: int = 7
    """Number of days of which the newest backup is kept. With 0 in all three, every backup is kept."""
    backup_keep_weekly: int = 0
    """Number of weeks of which the newest backup is kept."""
    static_dir: Path | None = None
    """Directory of the web pages; by default those of the package."""
    workers: int = 1
    """Number of processes that share the port and the store. The original HTTP contract needs 1."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level of log records. No level logs message text, customer ids or tokens."""
    log_format: Literal["console", "json"] = "console"
    """Format of log lines."""
    otlp_endpoint: str = ""
    """URL of a collector that spans are sent to, by OTLP over HTTP: `http://127.0.0.1:4318`; by default nothing is."""

    def __post_init__(self) -> None:
        """Check each setting, and the settings against each other.

        Raises:
            BadSetting: If a setting is invalid. The error names the setting and says what is valid.
        """
        self._check_numbers()
        self._check_names()
        self._check_authentication()
        self._check_oidc()
        self._check_tls()
        self._check_proxies()
        self._check_origins()
        self._check_base_url()
        self._check_otlp()

    def _check_numbers(self) -> None:
        for name, (least, most, kind) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise BadSetting(name, f"must be {kind}; {value} is not")
        if self.workers > 1 and self.port == 0:
            raise BadSetting("port", f"must be a fixed port, because {self.workers} workers share it; 0 is not")
        if self.max_text_bytes > self.max_dialog_bytes:
            raise BadSetting(
                "max_text_bytes",
                f"must be at most max_dialog_bytes ({self.max_dialog_bytes}), not {self.max_text_bytes}",
            )
        if self.memory < self.max_dialog_bytes * self.workers:
            each = f", for each of {self.workers} workers" if self.workers > 1 else ""
            raise BadSetting(
                "memory", f"must be at least max_dialog_bytes ({self.max_dialog_bytes}){each}, not {self.memory}"
            )

    def _check_names(self) -> None:
        if not _is_name(self.host) or "/" in self.host:
            raise BadSetting(
                "host",
                f"must be an address or a host name, such as 127.0.0.1, or 0.0.0.0 for all; {self.host!r} is not",
            )
        if not _is_name(self.receipt_issuer) or not _is_string_or_uri(self.receipt_issuer):
            raise BadSetting(
                "receipt_issuer",
                "must be a name or a URL, which says in each receipt who issued it (RFC 7519 §4.1.1);"
                f" {self.receipt_issuer!r} is not",
            )

    def _check_authentication(self) -> None:
        if self.auth == "none" and not self.is_loopback:
            raise BadSetting(
                "auth",
                f"`none` grants full access to everyone who can reach {self.host};"
                " use `--auth keys`, or a loopback address as --host",
            )

    def _check_oidc(self) -> None:
        if self.auth != "oidc" and (self.issuer or self.audience or self.scope_claim or self.scope_map):
            raise BadSetting(
                "auth",
                "must be `oidc` when --issuer, --audience, --scope-claim or --scope-map is set"
                " (for receipts, set --receipt-issuer)",
            )
        if self.auth == "oidc" and not (is_safe(self.issuer) and _is_issuer(self.issuer)):
            raise BadSetting(
                "issuer",
                "must be the https:// URL of your identity provider (http:// on loopback only), as its tokens have it"
                f" in `iss`: without query, fragment and `/.well-known/…`; {self.issuer!r} is not",
            )
        if any(not name.strip() for name in self.scope_claim):
            raise BadSetting("scope_claim", "must be names of claims, such as roles; one is empty")
        if self.auth == "oidc" and not self.audience:
            raise BadSetting("audience", "must be the `aud` claim of your identity provider's tokens for this service")

    def _check_tls(self) -> None:
        for name, other in (("tls_cert", self.tls_key), ("tls_key", self.tls_cert)):
            if getattr(self, name) is None and other is not None:
                raise BadSetting(name, "is missing; set --tls-cert and --tls-key together")

    def _check_proxies(self) -> None:
        if any(network.prefixlen == 0 for network in self.trusted_networks):
            raise BadSetting(
                "trusted_proxy",
                "must be the networks of your proxies only; /0 would trust every client, and is among"
                f" {' '.join(self.trusted_proxy)}",
            )

    def _check_origins(self) -> None:
        for origin in self.allow_origin:
            scheme, separator, host = origin.partition("://")
            default_port = {"http": ":80", "https": ":443"}.get(scheme)
            if default_port is None or not separator or not _HOST.fullmatch(host) or host.endswith(default_port):
                raise BadSetting(
                    "allow_origin",
                    "must be an origin as browsers send it, such as https://chat.example:"
                    f" lower case, no path, no default port; {origin!r} is not",
                )

    def _check_base_url(self) -> None:
        if self.base_url and not _BASE_URL.fullmatch(self.base_url):
            raise BadSetting(
                "base_url",
                "must be the URL at which clients reach this server, such as https://chat.example/consentful:"
                f" http or https, lower case, without query and fragment; {self.base_url!r} is not",
            )

    def _check_otlp(self) -> None:
        if self.otlp_endpoint and (
            not _BASE_URL.fullmatch(self.otlp_endpoint) or self.otlp_endpoint.rstrip("/").endswith("/v1/traces")
        ):
            value = "this URL" if "@" in self.otlp_endpoint else repr(self.otlp_endpoint)  # it may carry a password
            raise BadSetting(
                "otlp_endpoint",
                "must be the URL of a collector, such as http://127.0.0.1:4318: http or https, lower case, without"
                " /v1/traces, which the server adds, and without a password: credentials go into"
                f" OTEL_EXPORTER_OTLP_HEADERS; {value} is not",
            )

    def address_of(self, path: str) -> str:
        """Return the URL of a path of this server: absolute with --base-url, else the path, on whichever host it is."""
        return self.base_url.rstrip("/") + path

    @property
    def base_origin(self) -> str:
        """The origin of --base-url."""
        return "/".join(self.base_url.split("/")[:3])

    @property
    def withdrawal_page(self) -> str | None:
        """URL of the page where customers withdraw a consent; None without --base-url."""
        return self.address_of("/withdraw") if self.base_url else None

    @cached_property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxy`, parsed.

        Raises:
            BadSetting: If an entry is not an address or a network.
        """
        try:
            return tuple(ipaddress.ip_network(network) for network in self.trusted_proxy)
        except ValueError as error:  # it quotes the value
            raise BadSetting(
                "trusted_proxy", f"must be addresses or networks, such as 127.0.0.1 or 10.0.0.0/8; {error}"
            ) from None

    @cached_property
    def is_loopback(self) -> bool:
        """Whether the server listens on a loopback address, so that only this machine can reach it."""
        return is_loopback(self.host)

    @cached_property
    def access(self) -> Literal["none", "keys", "oidc"]:
        """`auth`, or the default for this host."""
        return self.auth or ("none" if self.is_loopback else "keys")

    @property
    def due_within(self) -> timedelta:
        return timedelta(days=self.due_days)

    @property
    def static(self) -> Path:
        """The directory of the web pages: beside this file in a wheel, at the top of a checkout."""
        return self.static_dir or (_STATIC_IN_WHEEL if _STATIC_IN_WHEEL.is_dir() else _STATIC_IN_REPOSITORY)

    @property
    def limits(self) -> wire.Limits:
        """The limits that `opened` sends. A frame may hold a text of maximum size with every character escaped."""
        return wire.Limits(
            max_frame_bytes=max(_LEAST_FRAME_BYTES, 6 * self.max_text_bytes) + 64 * 1024,
            max_text_bytes=self.max_text_bytes,
            max_dialog_bytes=self.max_dialog_bytes,
            max_messages=self.max_messages,
            idle_timeout_s=self.idle_timeout,
            max_duration_s=self.max_duration,
        )


def _is_name(text: str) -> bool:
    """Whether a text identifies something: it is neither blank nor padded, and can be printed."""
    return bool(text) and text == text.strip() and text.isprintable()


def _is_string_or_uri(text: str) -> bool:
    """Whether a text is a StringOrURI (RFC 7519 §2): one with a colon must be a URI."""
    scheme, colon, rest = text.partition(":")
    return not colon or (bool(_SCHEME.fullmatch(scheme)) and bool(rest) and " " not in text)


def _is_issuer(address: str) -> bool:
    """Whether a URL can be an issuer's (OpenID Connect Discovery 1.0 §3), not the one of its discovery document."""
    parts = urlsplit(address)
    return not (parts.query or parts.fragment or "/.well-known/" in parts.path or any(map(str.isspace, address)))


def is_safe(address: str) -> bool:
    """Whether the answers of this URL cannot be altered in transit: it uses TLS, or is on this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:  # an IPv6 address with an unclosed bracket
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


@lru_cache(maxsize=16)
def is_loopback(host: str) -> bool:
    """Whether a host (without a port) is a loopback name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
