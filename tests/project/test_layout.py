"""The house: a newcomer finds things by the names of folders, and a store's own words stay inside its folder."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SERVER = ROOT / "server" / "consentful_server"
MODULES = sorted(path.relative_to(SERVER) for path in SERVER.rglob("*.py"))

MOST_AT_THE_ROOT = 14
DATABASE_WORDS = re.compile(
    r"(?i:sqlite|pragma|write-ahead|asyncpg|postgres|rowid)|\b(?:WAL|VACUUM|SELECT|INSERT INTO|BEGIN IMMEDIATE)\b"
)
MAY_NAME_DATABASES = {
    Path("settings.py"): "the help of --database shows what URLs look like",
    Path("stores/open.py"): "it chooses the store by the URL",
    Path("operations/capacity.py"): "each costs something else",
    Path("stores/tables.py"): "a table is read by the same statement in each kind of store",
    Path("errors/__init__.py"): "the tree tells which refusal is a database's",
    Path("errors/commands.py"): "one refusal is a database's",
}


def test_the_root_stays_small() -> None:
    assert len([path for path in MODULES if len(path.parts) == 1]) <= MOST_AT_THE_ROOT


def test_every_folder_says_what_it_holds() -> None:
    packages = [path for path in MODULES if path.name == "__init__.py"]

    assert [str(path) for path in packages if not (SERVER / path).read_text("utf-8").startswith('"""')] == []


STORES = {("stores", "sqlite"), ("stores", "postgres")}


@pytest.mark.parametrize("module", [path for path in MODULES if path.parts[:2] not in STORES], ids=str)
def test_a_databases_own_words_stay_in_its_folder(module: Path) -> None:
    if module in MAY_NAME_DATABASES:
        return
    lines = (SERVER / module).read_text("utf-8").splitlines()

    assert [line.strip() for line in lines if DATABASE_WORDS.search(line)] == []


def test_no_class_name_stands_twice_inside() -> None:
    """A public schema is named after its class, so one at the edges may be called as something inside is. Each kind of
    store has a writer, a database and the like.
    """
    names = Counter(
        name
        for path in MODULES
        if path.parts[:2] not in {("edges", "routes"), ("edges", "http"), ("stores", "postgres")}
        for name in re.findall(r"^class ([A-Z]\w*)", (SERVER / path).read_text("utf-8"), re.M)
    )

    assert [name for name, times in names.items() if times > 1] == []
