"""From release to release: a deployment of 0.1.0, byte for byte as it left it, is taken over by this release.

`0.1.0.tar.xz` has the data and keys of the first complete program (schema 2) when it was killed, so that its last
dialog is in the write-ahead log alone; and, in `told.json`, what its clients were told: receipts, withdrawal codes and
API keys. d-1 and d-2 are one customer's, d-3 was erased on request, d-4 withdrawn, d-5 declined.
"""

import json
import shutil
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server import cli, testing
from consentful_server.access_log.chain import OPERATOR
from consentful_server.operations.verify import check_receipt, search
from consentful_server.stores.sqlite import migrations as steps
from consentful_server.stores.sqlite.connection import connect
from consentful_server.stores.sqlite.migrations import Migration, migrate, migrations, version
from consentful_server.testing import FakeClock
from kept import bearer, get, texts

LATER = datetime(2026, 12, 1, tzinfo=UTC)
"""Days after 0.1.0 wrote the dialogs; their retention is a hundred years."""
OLD, NEW = 2, migrations()[-1].number
Output = pytest.CaptureFixture[str]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put the deployment into the current folder; return what its clients were told."""
    with tarfile.open(Path(__file__).with_name("0.1.0.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    for folder in ("data", "keys"):
        (tmp_path / folder).chmod(0o700)
    monkeypatch.chdir(tmp_path)
    return json.loads((tmp_path / "told.json").read_text())


def schema() -> int:
    with closing(connect(Path("data/consentful.db"))) as db:
        return version(db)


async def test_a_server_of_this_release_serves_what_0_1_0_stored(told: dict[str, Any], tmp_path: Path) -> None:
    key = told["key"]
    async with (
        testing.serve(folder=tmp_path, clock=FakeClock(LATER), auth="keys") as served,
        ClientSession(served.url) as http,
    ):
        assert await texts(http, token=key) == [
            "The last words before the power cut",
            "Il arrive demain.",
            "Où est mon colis ?",
            "Danke",
            "Morgen 📦",
            "Grüß Gott, wo ist mein Päckchen?",
            "It arrives tomorrow.",
            "Where is my parcel 4711?",
        ]
        assert await texts(http, token=key, purpose="improve-chatbot", language="de") == []
        assert (await get(http, "/v1/dialogs/d-2", token=key))["purposes"] == ["research"]
        assert (await get(http, "/v1/stats", token=key))["totals"]["dialogs"] == 4
        for dialog_id, told_then in told["dialogs"].items():
            content = "erased" if dialog_id in ("d-3", "d-4") else "matches"
            assert (await check_receipt(told_then["receipt"], served.service)).content == content
        async with http.get("/v1/messages", headers=bearer(told["revoked"])) as response:
            assert response.status == 401
        code = told["dialogs"]["d-6"]["code"]
        async with http.post("/v1/withdrawals", json={"code": code}) as response:
            assert response.status == 200
        async with http.get("/v1/dialogs/d-6", headers=bearer(key)) as response:
            assert response.status == 410
        await served.service.privacy_requests.erase("c-1", by=OPERATOR)
        assert await texts(http, token=key) == ["The last words before the power cut"]
    assert not list(search([tmp_path / "data", tmp_path / "keys"], "The last words before"))


def test_commands_leave_an_earlier_schema_to_serve_and_migrate(told: dict[str, Any], capsys: Output) -> None:
    assert cli.run(["keys", "list"]) == 2
    said = capsys.readouterr().err
    assert f"has schema {OLD}, and this program needs {NEW}" in said
    assert "run `consentful migrate`" in said

    cli.run(["doctor", "--json"])
    found = {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert found["database"]["state"] == "warning"
    assert "back it up" in found["database"]["advice"]
    assert schema() == OLD

    assert cli.run(["migrate", "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == NEW - OLD
    assert schema() == OLD

    assert cli.run(["migrate"]) == 0
    assert schema() == NEW
    assert cli.run(["verify", "--dialogs"]) == 0
    assert "4 dialogs and their receipts verified" in capsys.readouterr().out


def test_every_migration_can_be_the_last_one_before_a_crash(told: dict[str, Any], capsys: Output) -> None:
    """A start that is killed between two steps is carried on by the next one, to the same schema."""
    for stop in range(OLD, NEW):
        shutil.copytree("data", f"data-{stop}")
        with closing(connect(Path(f"data-{stop}/consentful.db"))) as db, pytest.MonkeyPatch.context() as patch:
            patch.setattr(steps, "migrations", partial(list[Migration], migrations()[:stop]))
            migrate(db)
        assert cli.run(["migrate", "--data-dir", f"data-{stop}"]) == 0
    assert cli.run(["migrate"]) == 0
    with closing(connect(Path("data/consentful.db"))) as db:
        whole = list(db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name"))
    for stop in range(OLD, NEW):
        with closing(connect(Path(f"data-{stop}/consentful.db"))) as db:
            assert list(db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name")) == whole


def test_a_later_release_is_not_followed_back(told: dict[str, Any], capsys: Output) -> None:
    assert cli.run(["migrate"]) == 0
    with closing(connect(Path("data/consentful.db"))) as db:
        db.execute("INSERT INTO schema_migrations VALUES (?, 'from the future', '2030-01-01T00:00:00Z')", (NEW + 1,))
    before = Path("data/consentful.db").read_bytes()
    capsys.readouterr()

    for command in (["serve"], ["migrate"], ["keys", "list"], ["backup", "copies"]):
        assert cli.run(command) == 2
        said = capsys.readouterr().err
        assert f"has schema {NEW + 1}, but this program supports {NEW}" in said
        assert "install the version of consentful that wrote it, or a later one" in said
    assert Path("data/consentful.db").read_bytes() == before
