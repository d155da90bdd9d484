"""CI runs what `make` runs, forbids skips, and hands the servers that it starts nothing that they would refuse.

It does so on the Python that the machine has, and on the newest one that the package is made for.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from consentful_server.settings import Settings
from needs import need

from .makefile import planned

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = sorted((ROOT / ".ci").iterdir())
RUN = (ROOT / ".ci" / "run").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEWEST = max(
    (named[1] for line in PROJECT["classifiers"] if (named := re.search(r":: Python :: (3\.\d+)$", line))),
    key=lambda version: int(version.partition(".")[2]),
)

SKIPPED = """
import pytest

{}

@pytest.mark.xfail(reason="known")
def test_known() -> None:
    raise AssertionError

def test_here() -> None:
    {}
"""
IN_A_TEST = SKIPPED.format("", 'pytest.skip("no strace")')
IN_A_MODULE = SKIPPED.format('pytest.skip("no strace", allow_module_level=True)', "pass")


def outcome(folder: Path, source: str, **environment: str) -> tuple[int, str]:
    """Run pytest on one file beside this repository's conftest; return its status and what it said."""
    for name in ("conftest.py", "ports.py"):  # the one imports the other
        shutil.copy(ROOT / "tests" / name, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(source)
    inherited = {name: value for name, value in os.environ.items() if name != "FORBID_SKIPS"}
    inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", str(folder)],
        env=inherited | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("source", [IN_A_TEST, IN_A_MODULE], ids=["test", "module"])
def test_a_skip_says_why_and_fails_where_skips_are_forbidden(source: str, tmp_path: Path) -> None:
    status, said = outcome(tmp_path, source)
    assert (status in (0, 5), "no strace" in said) == (True, True)  # 5: nothing was left to run

    status, said = outcome(tmp_path, source, FORBID_SKIPS="1")
    assert status in (1, 2), said  # 2: a module could not be collected
    assert "nothing may be skipped here, and this was: Skipped: no strace" in said


def test_a_known_failure_is_no_skip(tmp_path: Path) -> None:
    status, said = outcome(tmp_path, SKIPPED.format("", "pass"), FORBID_SKIPS="1")

    assert (status, "1 xfailed" in said) == (0, True)


def test_ci_forbids_skips_and_exports_no_setting_that_a_server_would_refuse() -> None:
    exported = {name for path in SCRIPTS for name in re.findall(r"^\s*export (\w+)", path.read_text("utf-8"), re.M)}
    settings = {f"CONSENTFUL_{field.name.upper()}" for field in dataclasses.fields(Settings)}

    assert "FORBID_SKIPS" in exported
    assert {name for name in exported if name.startswith("CONSENTFUL_")} <= settings


def test_ci_calls_targets_of_make() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M))

    assert set(re.findall(r"^make (\w+)", RUN, re.M)) == {"test", "check", "wheel", "sbom"} <= targets


def test_another_python_has_an_environment_of_its_own() -> None:
    """Without one, `make test PYTHON=…` would run on whatever Python had made `.venv`."""
    others = f".venv-{sys.version_info.major}.{sys.version_info.minor}"

    assert planned("PYTHON=python3", "test")[-1].split()[0] == ".venv/bin/pytest"
    assert planned(f"PYTHON={sys.executable}", "test")[-1].split()[0] == f"{others}/bin/pytest"
    assert f"{sys.executable} -m venv {others}" in planned(f"PYTHON={sys.executable}", "test")[0]
    command = planned("PYTHON=python3", "VENV=here", "JOBS=2", "TESTS=tests/wire", "test")[-1].split()
    assert (command[0], command[1:3], command[-1]) == ("here/bin/pytest", ["--numprocesses", "2"], "tests/wire")


def test_ci_runs_everything_but_browsers_on_the_newest_python_too() -> None:
    on_newest = re.findall(r'^make (\w+) PYTHON="\$newest" ?(.*)', RUN, re.M)

    assert on_newest == [("test", "TESTS=--ignore=tests/browser"), ("wheel", "")]
    assert RUN.index("newest=$(bash .ci/newest)") < RUN.index("\nmake ")  # it is looked for before anything long runs


def newest(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Look for the newest Python where there is nothing on the PATH but these, and what the script needs."""
    place = folder / "bin"
    place.mkdir()
    for tool in ("bash", "dirname", "sed", "sort", "tail"):
        (place / tool).symlink_to(need(tool))
    for name, source in programs.items():
        write(place / name.replace("_", "."), source)
    return subprocess.run(
        [place / "bash", ROOT / ".ci" / "newest"],
        env={"PATH": str(place)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def write(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{need('bash')}\n{source}\n")
    path.chmod(0o755)


ON_THE_PATH = f"python{NEWEST}".replace(".", "_")
SHIM = "echo 'the command exists in these versions: …' >&2; exit 127"


def test_the_newest_python_is_the_one_on_the_path(tmp_path: Path) -> None:
    assert newest(tmp_path, **{ON_THE_PATH: "echo /here/python"}).stdout == "/here/python\n"


def test_or_the_one_that_pyenv_keeps_behind_a_shim_that_starts_nothing(tmp_path: Path) -> None:
    root = tmp_path / "kept"
    write(root / "versions" / f"{NEWEST}.7" / "bin" / "python", "echo /kept/python")

    assert newest(tmp_path, **{ON_THE_PATH: SHIM}, pyenv=f"echo {root}").stdout == "/kept/python\n"


@pytest.mark.parametrize("programs", [{}, {ON_THE_PATH: SHIM, "pyenv": "echo /nowhere"}], ids=["none", "a shim"])
def test_where_there_is_none_one_sentence_says_what_to_install(tmp_path: Path, programs: dict[str, str]) -> None:
    done = newest(tmp_path, **programs)

    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"CPython {NEWEST} is missing: install python{NEWEST} ")


def test_every_extra_of_the_wheel_is_tried() -> None:
    tried = set(re.findall(r"^use_(\w+)\(\)", (ROOT / ".ci" / "wheel").read_text("utf-8"), re.M))

    assert tried == {"nothing_more", *PROJECT["optional-dependencies"]}


def test_ci_has_what_tests_would_skip_without() -> None:
    needed = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r'\bneed\("([\w-]+)"\)', path.read_text("utf-8"))
    }

    assert needed
    assert needed <= set(re.findall(r"^need \S+ command -v (\S+)", RUN, re.M))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_failure_and_parse(path: Path) -> None:
    assert "set -euo pipefail" in path.read_text("utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True, timeout=10)
