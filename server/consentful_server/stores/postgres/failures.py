"""What the errors of a server or a connection mean to whoever runs the service, and which of them pass by themselves.

Only classes and codes are told: the text of an error may quote values, or the address with its password.
"""

import socket
import ssl
from collections.abc import Sequence
from typing import Final

import asyncpg
from asyncpg.exceptions import (
    CannotConnectNowError,
    DiskFullError,
    DuplicateTableError,
    InsufficientPrivilegeError,
    InvalidAuthorizationSpecificationError,
    InvalidCatalogNameError,
    InvalidParameterValueError,
    InvalidPasswordError,
    InvalidSchemaNameError,
    ProtocolViolationError,
    ReadOnlySQLTransactionError,
    TooManyConnectionsError,
    UndefinedColumnError,
    UndefinedObjectError,
)

_PASSING: Final = (OSError, CannotConnectNowError, TooManyConnectionsError, asyncpg.TargetServerAttributeNotMatched)
_LASTING: Final = (ssl.SSLError,)
_IN_USE: Final = "has tables of another program with the names of ours; name an empty database, or a `search_path`"

REMEDIES: Final[Sequence[tuple[type[BaseException], str]]] = (
    (InvalidCatalogNameError, "does not exist; create it with `createdb`, or correct its name in --database"),
    (
        InvalidPasswordError,
        "refuses this user or password; correct the user in --database, or the password in ~/.pgpass or PGPASSWORD",
    ),
    (
        InvalidAuthorizationSpecificationError,
        "does not let this user in; correct the user, `sslmode` or `sslcert` in --database, or the server's pg_hba.conf"
        " or role (LOGIN): its log names the reason",
    ),
    (
        InsufficientPrivilegeError,
        "does not let this user create tables; grant CREATE on its schema, or make the user its owner",
    ),
    (
        TooManyConnectionsError,
        "has no connection left for this user; raise max_connections or the user's limit, or lower --workers",
    ),
    (InvalidSchemaNameError, "has no schema of the `search_path`; create the schema, or correct `search_path`"),
    (UndefinedObjectError, "knows no setting of the name that a parameter of --database has; correct or remove it"),
    (InvalidParameterValueError, "refuses the value of a parameter of --database; correct or remove it"),
    (CannotConnectNowError, "is starting up, or shutting down; try again once it accepts connections"),
    (
        ReadOnlySQLTransactionError,
        "is read-only; set default_transaction_read_only = off, or name the primary server in --database",
    ),
    (
        ProtocolViolationError,
        "refuses how connections are opened, as PgBouncer does; connect to PostgreSQL directly, not through a pooler",
    ),
    (DuplicateTableError, _IN_USE),
    (UndefinedColumnError, _IN_USE),  # `schema_migrations` is what other programs call their tables, too
    (DiskFullError, "has no disk space left; free some, and the service goes on by itself"),
    (
        asyncpg.TargetServerAttributeNotMatched,
        "has no host of the role that `target_session_attrs` asks for; promote a standby, or correct --database",
    ),
    (ssl.SSLError, "cannot be reached: the TLS handshake failed; check `sslmode` and `sslrootcert` in --database"),
    (socket.gaierror, "cannot be reached: its host name is unknown; correct it in --database, or wait for the DNS"),
    (OSError, "cannot be reached; check that it runs, and the host and port in --database"),
)
"""What is wrong with a database, after its name, and what to do; the first that fits counts."""


def is_passing(error: BaseException) -> bool:
    """Return whether the same may succeed later without a change of settings: a server starts, or fails over."""
    return isinstance(error, _PASSING) and not isinstance(error, _LASTING)


def remedy_of(error: BaseException) -> str | None:
    """Return what is wrong with the database and what to do, after its name; None if that is not known."""
    return next((remedy for kind, remedy in REMEDIES if isinstance(error, kind)), None)


def name_of(error: BaseException | None) -> str:
    """Return the error's class and SQLSTATE; its text could quote a value, so it is not logged."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__


def told(error: BaseException | None) -> dict[str, object]:
    """Return what is logged of an error: its name, and what to do if that is known."""
    told: dict[str, object] = {"error": name_of(error)}
    if error is not None and (remedy := remedy_of(error)):
        told["remedy"] = f"the database {remedy}"
    return told
