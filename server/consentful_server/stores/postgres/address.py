"""The address of a PostgreSQL database: the URL of `--database`, and its name without the password."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from ...errors import BadSetting

_SCHEMES: Final = ("postgresql", "postgres")
_SSL_MODES: Final = ("prefer", "allow", "disable", "require", "verify-ca", "verify-full")
_SSL_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_PLACE: Final = ("host", "port", "dbname")
"""Parameters of the URL that say where the database is; others may be secret."""


class Address(msgspec.Struct, frozen=True):
    """A database's URL. It may hold a password, so it is shown nowhere; `name` is for people."""

    url: str
    name: str

    def __repr__(self) -> str:
        return f"Address({self.name!r})"


def address_of(url: str) -> Address:
    """Return the address of a URL such as `postgresql://user@host:5432/database`.

    Raises:
        BadSetting: If it is not such a URL, or names a file that cannot be read.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port if "," not in parts.netloc else None  # of a list of hosts, asyncpg reads the ports
    except ValueError:
        raise bad_url() from None
    if parts.scheme not in _SCHEMES:
        raise bad_url()
    _check_tls(dict(parse_qsl(parts.query)))
    user, _, hosts = parts.netloc.rpartition("@")
    user = user.partition(":")[0]
    where = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key in _PLACE], safe="/")
    name = f"{parts.scheme}://{f'{user}@' if user else ''}{hosts}{parts.path}{f'?{where}' if where else ''}"
    return Address(url, name)


def _check_tls(given: Mapping[str, str]) -> None:
    """Check what the URL says of TLS: the driver reports a missing file as a server that cannot be reached."""
    mode = given.get("sslmode", _SSL_MODES[0])
    if mode not in _SSL_MODES:
        raise BadSetting("database", f"`sslmode` must be one of {', '.join(_SSL_MODES)}, not {mode}")
    for name in _SSL_FILES:
        path = Path(given.get(name, "."))
        if not os.access(path, os.R_OK):
            raise BadSetting("database", f"`{name}` must be a file that this user can read; {path} is not")


def host_by_host(url: str) -> list[str]:
    """Return the URL once for each host that it lists, with that host alone, in order."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," in hosts:
        return [urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) for host in hosts.split(",")]
    given = dict(parse_qsl(parts.query))
    listed, ports = given.get("host", "").split(","), given.get("port", "").split(",")
    if len(listed) == 1:
        return [url]
    if len(ports) == 1:
        ports *= len(listed)  # one for all
    places = [{"host": host} | ({"port": port} if port else {}) for host, port in zip(listed, ports, strict=False)]
    return [f"{url.partition('?')[0]}?{urlencode(given | place)}" for place in places]


def bad_url() -> BadSetting:
    """Return the refusal of a URL, without its value: that may hold a password."""
    return BadSetting("database", "must be postgresql://user@host:5432/database; this URL is not")
