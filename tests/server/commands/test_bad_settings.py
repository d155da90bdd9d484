"""Settings that cannot be: each is refused at the start, in a sentence that names setting, value and what would do."""

import asyncio
import dataclasses
import os
import resource
import socket
import sys
from collections.abc import Coroutine, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consentful_server import cli
from consentful_server.errors import BadSetting
from consentful_server.settings import Settings

from .refusals import Output, refused


def briefly(main: Coroutine[Any, Any, None]) -> None:
    """Run a start that should fail. One that does not fail is stopped."""
    asyncio.run(asyncio.wait_for(main, 5))


NO_NUMBERS = ("nan", "-nan", "inf", "-inf", "1e400")
BAD: dict[str, tuple[str, ...]] = {
    "backup_folder": (".", "data", "data/copies", "keys", "/dev/null"),
    "backup_every": (*NO_NUMBERS, "0", "-1"),
    "backup_keep": (*NO_NUMBERS, "-1"),
    "backup_keep_daily": (*NO_NUMBERS, "-1"),
    "backup_keep_weekly": (*NO_NUMBERS, "-1"),
    "withdrawal_texts": ("missing.json", "/dev/null/texts.json"),
    "database": ("mysql://x", "sqlite://x", "sqlite:///", "x.db"),
    "data_dir": ("/dev/null", "/dev/null/data", "/proc/data"),
    "keys_dir": ("data/keys", "data", "/dev/null", "/dev/null/keys", "/proc/keys"),
    "keys_command": ("http://kms.example/keys", "cat 'unclosed", "/nope/kms", " "),
    "read_database": ("postgresql://replica.example/x", "x.db"),
    "host": ("", " ", "http://127.0.0.1", "no-such-host.invalid", "127.0.0.1 ", "192.0.2.1"),
    "port": ("-1", "65536", "x", "1e400", "nan"),
    "auth": ("open", "", "NONE "),
    "base_url": (
        "chat.example",
        "/consentful",
        "ftp://chat.example",
        "https://chat.example?a",
        "https://u:p@chat.example",
    ),
    "issuer": ("https://id.example",),
    "audience": ("shop",),
    "scope_claim": ("roles",),
    "scope_map": ("Analyst=data:read",),
    "tls_cert": ("server.crt",),
    "tls_key": ("server.key",),
    "allow_origin": ("*", "null", "chat.example", "https://chat.example/", ""),
    "trusted_proxy": ("0.0.0.0/0", "::/0", "proxy", "10.0.0.1/8", ""),
    "idle_timeout": ("0", "-1", "31622401", *NO_NUMBERS),
    "max_duration": ("0", "-1", "1e300", *NO_NUMBERS),
    "grace": ("-1", "-0.001", "1e12", *NO_NUMBERS),
    "max_text_bytes": ("0", "-1", "2000000", "nan"),
    "max_dialog_bytes": ("0", "-1", "100", "1e400"),
    "max_messages": ("0", "-1", "2147483648"),
    "memory": ("0", "-1", "1000", "9999999999999999999"),
    "reserve": ("-1", "nan", "9999999999999999999"),
    "dialogs_per_client": ("0", "-1"),
    "streams_per_client": ("0", "-1"),
    "opens_per_second": ("0", "-1", *NO_NUMBERS),
    "frames_per_second": ("0", "-1", *NO_NUMBERS),
    "bytes_per_second": ("0", "-1", *NO_NUMBERS),
    "compress": ("maybe",),
    "receipt_issuer": ("", " ", " x", "a\nb", "https:", "my: shop", ":x"),
    "due_days": ("0", "-1", "99999999999"),
    "epoch_days": ("0", "-1", "99999999999"),
    "static_dir": ("/nope", "/dev/null", "."),
    "workers": ("0", "-1", "1025"),
    "log_level": ("loud", ""),
    "log_format": ("xml", ""),
    "otlp_endpoint": ("collector:4318", "grpc://collector:4317", "http://collector:4318/v1/traces", "http://c:1?a=b"),
}
"""Values that each setting refuses."""


NOT_QUOTED = {
    "database",
    "issuer",
    "audience",
    "scope_claim",
    "scope_map",
    "tls_cert",
    "tls_key",
    "keys_command",
    "read_database",
}
"""A database's URL may carry a password, and a command too; the others are refused for what is missing beside them."""


def spellings(value: str) -> set[str]:
    """Return the forms in which a sentence may quote this value."""
    try:
        return {value, str(float(value))}
    except ValueError:
        return {value, repr(value)} if value.strip() else {repr(value), '""', f'"{value}"'}


def test_every_setting_has_bad_values_here() -> None:
    """Held to `Settings`: a new setting is refused something."""
    assert set(BAD) == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_refused_at_the_start_and_creates_nothing(
    capsys: Output, somewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr("consentful_server.process.uvloop.run", briefly)
    flag = f"--{name.replace('_', '-')}"

    said = refused(capsys, "serve", *(() if name == "port" else ("--port", "0")), f"{flag}={value}")

    assert name in said or flag in said
    assert name in NOT_QUOTED or any(form in said for form in spellings(value)), said
    assert not list(somewhere.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1.0])
@pytest.mark.parametrize(
    "name",
    [field.name for field in dataclasses.fields(Settings) if field.type in (int, float)],
)
def test_no_number_may_be_negative_or_none(name: str, value: float) -> None:
    given = {name: value}

    with pytest.raises(BadSetting, match=name):
        Settings(**given)  # pyright: ignore[reportArgumentType]


WHOLE = sorted(field.name for field in dataclasses.fields(Settings) if field.type is int)


@pytest.mark.parametrize("source", ["flag", "variable", "file"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_number_with_a_fraction_is_refused_where_a_whole_one_is_wanted_and_not_rounded(
    capsys: Output, somewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str
) -> None:
    if source == "variable":
        monkeypatch.setenv(f"CONSENTFUL_{name.upper()}", "1.5")
    elif source == "file":
        (somewhere / cli.FILE).write_text(f"{name} = 1.5\n")
    flags = [f"--{name.replace('_', '-')}", "1.5"] if source == "flag" else []

    assert "must be a whole number, not 1.5" in refused(capsys, "serve", *flags)


def test_so_it_is_with_every_command(capsys: Output) -> None:
    assert "not 1.5" in refused(capsys, "keys", "create", "--name", "n", "--scope", "data:read", "--days", "1.5")
    assert "not 1.5" in refused(capsys, "demo", "--dialogs=1.5")


@pytest.mark.parametrize("content", ["idle_timeout = nan", "max_duration = inf", "grace = -inf"])
def test_toml_knows_such_numbers_too(capsys: Output, somewhere: Path, content: str) -> None:
    (somewhere / cli.FILE).write_text(content + "\n")

    assert content.partition(" ")[0] in refused(capsys, "serve", "--port", "0")


@pytest.fixture
def nobody(somewhere: Path) -> Generator[None]:
    """Run as a user that may not write the folder; root may write everywhere."""
    somewhere.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        for path in somewhere.parents:
            if not path.stat().st_mode & 0o001:
                path.chmod(0o755)
        os.seteuid(65534)
    yield
    if user == 0:
        os.seteuid(0)
    somewhere.chmod(0o755)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(("arguments", "name"), [([], "data_dir"), (["--database", "sqlite:///x/y.db"], "database")])
def test_a_folder_that_cannot_be_written_is_named(capsys: Output, arguments: list[str], name: str) -> None:
    said = refused(capsys, "serve", "--port", "0", *arguments)

    assert f"{name}: must be a folder that this user can write" in said


def test_a_file_system_that_is_read_only_is_told_as_one(
    capsys: Output, somewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_path: object, _mode: int, **_how: object) -> bool:
        return False

    def read_only(_path: object) -> SimpleNamespace:
        return SimpleNamespace(f_flag=os.ST_RDONLY)

    monkeypatch.setattr(os, "access", refuses)
    monkeypatch.setattr(os, "statvfs", read_only)

    said = refused(capsys, "serve", "--port", "0")

    assert "data is not: its file system is read-only" in said
    assert not list(somewhere.iterdir())


@pytest.mark.parametrize(("files", "workers"), [(256, "1"), (64, "2")])
def test_so_few_open_files_that_no_connection_could_be_accepted_are_refused(
    capsys: Output, somewhere: Path, monkeypatch: pytest.MonkeyPatch, files: int, workers: str
) -> None:
    def limits(_of: int) -> tuple[int, int]:
        return files, files

    monkeypatch.setattr(resource, "getrlimit", limits)

    said = refused(capsys, "serve", "--workers", workers)

    assert f"ulimit -n: must be more than 256, which the server needs besides its connections; it is {files}" in said
    assert not list(somewhere.iterdir())


@pytest.fixture
def keys_of_another(somewhere: Path) -> Generator[None]:
    """Run as a user that may not read the keys."""
    assert cli.run(["migrate"]) == 0
    keys, user = somewhere / "keys", os.geteuid()
    if user:
        keys.chmod(0o000)
    else:
        for path in keys.parents:
            path.chmod(path.stat().st_mode | 0o055)
        os.seteuid(65534)
    yield
    os.seteuid(user)
    keys.chmod(0o700)


@pytest.mark.usefixtures("keys_of_another")
@pytest.mark.parametrize("arguments", [["keys", "list"], ["backup", "copies"], ["doctor"]], ids=" ".join)
def test_keys_of_another_user_are_told_as_such(capsys: Output, arguments: list[str]) -> None:
    assert "must be a folder that this user can read; run this as the owner of keys" in refused(capsys, *arguments)


async def test_the_first_key_is_not_printed_by_a_start_that_cannot_listen(somewhere: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for workers in ("1", "2"):
            arguments = ("serve", "--auth", "keys", "--port", str(taken.getsockname()[1]), "--workers", workers)
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "consentful_server",
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            said = b"".join(await child.communicate()).decode()

            assert child.returncode == 2
            assert "cannot listen on 127.0.0.1" in said
            assert "cfl_" not in said
            assert not list(somewhere.iterdir()), "the next start creates the database, and prints its key"


def test_a_file_in_the_way_of_a_command_is_named(capsys: Output, somewhere: Path) -> None:
    assert cli.run(["migrate"]) == 0
    (somewhere / "copies").write_text("")

    assert "copies" in refused(capsys, "backup", "copies")
