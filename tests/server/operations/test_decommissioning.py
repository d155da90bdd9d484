"""The end of a deployment: nothing of it can be read, whenever the program was killed, and everything says so."""

import asyncio
import io
import shutil
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consentful_server import cli
from consentful_server.keys import files
from consentful_server.keys.decommissioned import ENDING, PUBLISHED, REPORT
from consentful_server.operations import backup, decommissioning
from consentful_server.operations.copies import Copies
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite import destruction
from kept import keep
from postgres_server import database_of

Output = pytest.CaptureFixture[str]
NAMES = ("customer-marzipan", "dialog-zinnober", "bot-quasten")


@pytest.fixture(params=["sqlite", "postgres"])
async def arguments(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make a deployment with two dialogs, one erased, and a backup; return how its commands are called."""
    monkeypatch.chdir(tmp_path)
    database = await database_of(tmp_path) if request.param == "postgres" else ""
    async with open_service(Settings(database=database)) as service:
        customer, dialog, bot = NAMES
        await keep(service, dialog, ("The words",), customer_id=customer, bot=bot)
        await keep(service, f"{dialog}-2", customer_id=customer)
        await service.archive.erase(f"{dialog}-2", "requested")
        await backup.back_up(service, tmp_path / "copies", service.clock.now())
    return ["--database", database] if database else []


@pytest.fixture
def secrets(arguments: list[str], tmp_path: Path) -> list[bytes]:
    """Return what no file may hold afterwards: names, and every key."""
    held = [path.read_bytes().splitlines()[-2 if path.suffix == ".pem" else 0] for path in _secret_files(tmp_path)]
    assert len(held) >= 8  # with those of the backup
    return [*map(str.encode, NAMES), *held]


def _secret_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in (".key", ".pem"))


def found(folder: Path, secrets: list[bytes]) -> list[tuple[Path, bytes]]:
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [(path, secret) for path, content in contents.items() for secret in secrets if secret in content]


def answer(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(line))


def run(*arguments: str) -> int:
    return cli.run(["decommission", *arguments])


def test_everything_is_destroyed_and_a_signed_report_says_so(
    arguments: list[str], secrets: list[bytes], tmp_path: Path, capsys: Output
) -> None:
    if not arguments:
        assert found(tmp_path / "data", secrets)
    assert run("--yes", "--backups", "copies", *arguments) == 0

    report = capsys.readouterr().out
    assert not found(tmp_path, secrets)
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == sorted([PUBLISHED, REPORT])
    assert not Copies(tmp_path / "copies").names()
    (tmp_path / "printed.jws").write_text(report)
    assert cli.run(["verify", "printed.jws", "--jwks", str(Path("keys", PUBLISHED))]) == 0
    told = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines() if ":" in line)
    assert "report of a decommissioning" in told["Valid"]
    assert [told[name].strip() for name in ("Dialogs destroyed", "Messages destroyed", "Keys left")] == ["1", "1", "0"]
    assert told["Files or rows left"].strip() == "0"
    assert "exports that recipients hold" in told["Cannot be known"]


@pytest.mark.parametrize(
    "command",
    [["serve", "--port", "0"], ["migrate"], ["keys", "list"], ["verify", "--dialogs"], ["decommission", "--yes"]],
    ids=str,
)
def test_afterwards_every_command_says_that_it_was(arguments: list[str], command: list[str], capsys: Output) -> None:
    assert run("--yes", *arguments) == 0
    capsys.readouterr()

    assert cli.run([*command, *arguments]) == 2

    assert "this deployment was decommissioned" in capsys.readouterr().err
    assert not Path("data/consentful.db").exists()


def test_a_database_states_it_as_well(arguments: list[str], tmp_path: Path, capsys: Output) -> None:
    assert run("--yes", *arguments) == 0
    if arguments:
        assert cli.run(["migrate", *arguments, "--keys-dir", "other"]) == 2
        assert "was decommissioned" in capsys.readouterr().err
    else:
        assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("typed", ["", "yes\n", "data\n"])
def test_without_the_databases_name_nothing_is_destroyed(
    arguments: list[str], typed: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, typed)

    assert run(*arguments) == 1

    assert "Nothing was destroyed" in capsys.readouterr().err
    assert cli.run(["verify", "--dialogs", *arguments]) == 0


def test_the_databases_name_confirms(arguments: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "")
    monkeypatch.setenv("COLUMNS", "300")
    run(*arguments)
    name = capsys.readouterr().err.splitlines()[4].split("│")[1].strip()

    answer(monkeypatch, f"{name}\n")
    assert run(*arguments) == 0


async def test_while_a_server_runs_it_is_refused(arguments: list[str], capsys: Output) -> None:
    database = arguments[1] if arguments else ""
    async with open_service(Settings(database=database)) as service:
        assert await asyncio.to_thread(run, "--yes", *arguments) == 2
        assert "stop it" in capsys.readouterr().err
        assert not Path("keys", ENDING).exists()
        assert await service.store.dialogs.find(NAMES[1]) is not None


class CrashError(Exception):
    """The process dies here."""


def crashing(real: Callable[[Path], None], after: int) -> Callable[[Path], None]:
    left = iter(range(after))

    def destroy(path: Path) -> None:
        if path.exists() and next(left, None) is None:
            if path.stat().st_size:
                with path.open("r+b") as file:
                    file.write(bytes(min(path.stat().st_size, 4096)))  # half of it is overwritten
            raise CrashError
        real(path)

    return destroy


@pytest.mark.parametrize("arguments", ["sqlite"], indirect=True)  # PostgreSQL ends in one transaction
def test_after_a_crash_at_any_moment_the_same_command_ends_it(
    arguments: list[str], secrets: list[bytes], tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not arguments
    shutil.copytree(tmp_path, tmp_path.with_name("first"))
    crashes = 0
    while True:
        for folder in ("data", "keys", "copies"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
            shutil.copytree(tmp_path.with_name("first") / folder, tmp_path / folder)
        destroy = crashing(files.destroy_file, crashes)
        with monkeypatch.context() as patch:
            for module in (decommissioning, destruction):
                patch.setattr(module, "destroy_file", destroy)
            patch.setattr("consentful_server.operations.copies.destroy_file", destroy)
            try:
                run("--yes", "--backups", "copies")
                break
            except CrashError:
                crashes += 1
        capsys.readouterr()
        assert cli.run(["serve"]) == 2
        assert "is being decommissioned" in capsys.readouterr().err
        assert run() == 0  # it was confirmed before, and knows the backups
        assert not found(tmp_path, secrets)
        assert '"keys_left":0' in _claims(capsys.readouterr().out)
    assert crashes >= 12


def _claims(report: str) -> str:
    return urlsafe_b64decode(report.split(".")[1] + "==").decode()


def test_a_folder_without_backups_is_told_before_anything_is_destroyed(arguments: list[str], capsys: Output) -> None:
    assert run("--yes", "--backups", "copis", *arguments) == 2

    assert "there is no backup in " in (said := capsys.readouterr().err)
    assert "copis; check --backups, or omit it; nothing was destroyed" in said
    assert run("--yes", "--backups", "copies", *arguments) == 0
