"""The locks: each names all that is needed, on every Python, and installs whatever else the index holds by now."""

import base64
import ensurepip
import hashlib
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from .makefile import planned

ROOT = Path(__file__).parent.parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PYTHONS = [
    named[1]
    for line in PROJECT["project"]["classifiers"]
    if (named := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Lock:
    """What one lock is made for, as `make lock` says it."""

    files: tuple[str, ...]
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def roots(self) -> Iterator[Requirement]:
        project = PROJECT["project"]
        wanted = [] if self.groups in {("prove",), ("bench",)} else list(project["dependencies"])
        for extra in self.extras:
            wanted += project["optional-dependencies"][extra]
        for group in self.groups:
            wanted += PROJECT["dependency-groups"][group]
        yield from map(Requirement, wanted)

    def pins(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the version of each package that pip takes from the files in this environment."""
        found: dict[str, str] = {}
        for file in self.files:
            text = (ROOT / file).read_text("utf-8").replace("\\\n", "")
            for line in text.splitlines():
                pin = Requirement(line.partition(" --hash")[0])
                if pin.marker is None or pin.marker.evaluate(environment):
                    (exactly,) = pin.specifier
                    found[canonicalize_name(pin.name)] = exactly.version
        return found


SERVER: Final = Lock(("requirements-server.txt",), ("server", "demo", "data"), ("build",))
DEVELOP: Final = Lock(("requirements.txt",), tuple(PROJECT["project"]["optional-dependencies"]), ("dev", "build"))
BENCH: Final = Lock(("requirements.txt", "requirements-bench.txt"), (), ("bench",))
PROVE: Final = Lock(("requirements.txt", "requirements-prove.txt"), (), ("prove",))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    "lock",
    [
        pytest.param(SERVER, id="server"),
        pytest.param(DEVELOP, id="develop"),
        pytest.param(BENCH, id="bench", marks=pytest.mark.prove),  # only `make bench` installs what this looks into
        pytest.param(PROVE, id="prove", marks=pytest.mark.prove),  # only `make prove` installs what this looks into
    ],
)
def test_a_lock_is_complete(lock: Lock, python: str) -> None:
    """Follow all requirements and extras: pip, which is told to resolve nothing, adds nothing that is missing."""
    environment = {name: str(value) for name, value in default_environment().items()}
    environment |= {"python_version": python, "python_full_version": f"{python}.0"}
    pins = lock.pins(environment)
    followed: set[tuple[str, str]] = set()
    waiting = list(lock.roots())
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        if needed.marker is not None and not needed.marker.evaluate(environment):
            continue
        if name != "consentful":
            assert name in pins, f"{needed} is needed, and not locked; run `make lock`"
            assert needed.specifier.contains(pins[name], prereleases=True), f"{needed} is needed; run `make lock`"
            assert python != HERE or distribution(name).version == pins[name], (
                f"{name} is not as locked; run `make test`"
            )
        for extra in {"", *needed.extras}:
            if (name, extra) not in followed:
                followed.add((name, extra))
                waiting += _needs(name, extra, pins.get(name), environment)

    assert followed


def _needs(name: str, extra: str, locked: str | None, environment: Mapping[str, str]) -> Iterator[Requirement]:
    """Yield what a package, or an extra of it, needs in this environment, as its installed copy says.

    Where another Python has another version of it locked, only the tests on that Python can tell.
    """
    installed = version_of(name)
    if installed is None or locked not in (None, installed):
        return
    for line in distribution(name).requires or ():
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({**environment, "extra": extra}):
            needed.marker = None
            yield needed


def version_of(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def installing() -> list[list[str]]:
    """Return the words of every command that installs a lock: those of `make`, of the Dockerfile and of CI."""
    written = [(ROOT / name).read_text("utf-8") for name in ("Dockerfile", ".ci/run", ".ci/sbom", ".ci/wheel")]
    lines = [
        *planned("PYTHON=python3", ".venv/.bench", ".venv/.prove"),
        *"\n".join(written).replace("\\\n", " ").splitlines(),
    ]
    return [shlex.split(line.partition("&& ")[2] or line) for line in lines if re.search(r"-r \S*requirements", line)]


def test_every_lock_is_installed_by_its_hashes_and_without_resolving_anything() -> None:
    commands = installing()

    assert len(commands) == 4 + 1 + 1 + 1  # make's four, the image's, the SBOM's, the wheel's
    for words in commands:
        assert {"install", "--require-hashes", "--no-deps"} <= set(words), words


LOCKED: Final = {"measure": "1.0", "plugin": "1.0", "tables": "3.0"}
"""As `uv pip compile` writes it: the extra is resolved, and not named."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that needs an extra of another one, of which there is a newer version: `pytest-cov` and `coverage`."""
    folder = tmp_path_factory.mktemp("index")
    wheel(folder, "plugin", "1.0", "Requires-Dist: measure[toml]>=1")
    for number in ("1.0", "1.1"):
        wheel(folder, "measure", number, "Provides-Extra: toml", 'Requires-Dist: tables; extra == "toml"')
    wheel(folder, "tables", "3.0")
    return folder


def wheel(folder: Path, name: str, number: str, *metadata: str) -> None:
    about = f"{name}-{number}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {number!r}\n",
        f"{about}/METADATA": "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {number}", *metadata, ""]),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_digest(text.encode())},{len(text)}" for path, text in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name}-{number}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def fresh_pip() -> Path:
    """Return the pip that a new environment is given; the tests' own one has been replaced by the lock's since."""
    places = (Path(ensurepip.__file__).parent / "_bundled", Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "_"))
    found = [path for place in places for path in place.glob(f"pip-{ensurepip.version()}-*.whl")]
    return found[0] / "pip"


def install(index: Path, folder: Path, *, without: str = "") -> tuple[dict[str, str], str]:
    """Install a lock of the index as `make` does in a new environment; return what is there then, and the complaint."""
    words = installing()[0]
    flags = [word for word in words[words.index("install") + 1 : words.index("-r")] if word != without]
    lock = folder / "requirements.txt"
    wheels = {name: index / f"{name}-{number}-py3-none-any.whl" for name, number in LOCKED.items()}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in wheels.items()}
    lock.write_text("".join(f"{name}=={LOCKED[name]} --hash=sha256:{digest}\n" for name, digest in hashes.items()))
    target = folder / "installed"
    done = subprocess.run(
        [
            *(sys.executable, fresh_pip(), "--isolated", "--disable-pip-version-check", "install", *flags, "-r", lock),
            *("--no-index", "--find-links", index, "--no-cache-dir", "--target", target),
        ],
        env={name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        | {"PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return dict(path.stem.split("-") for path in target.glob("*.dist-info")), done.stderr


def test_a_lock_installs_where_the_index_holds_something_newer(index: Path, tmp_path: Path) -> None:
    installed, said = install(index, tmp_path)

    assert installed == LOCKED, said


def test_without_its_flag_an_older_pip_meets_the_newer_version_and_refuses_it(index: Path, tmp_path: Path) -> None:
    """The control: this index breaks an installation that resolves anything; since 24.1 pip pins extras by itself."""
    installed, said = install(index, tmp_path, without="--no-deps")

    if Version(ensurepip.version()) < Version("24.1"):
        assert (installed, "measure[toml]>=1" in said) == ({}, True)
    else:
        assert installed == LOCKED, said
