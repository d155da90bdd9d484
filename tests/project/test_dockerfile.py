"""The image without an engine: what the Dockerfile says fits the code, and its steps do what they should."""

import asyncio
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consentful_server import cli, process, testing
from consentful_server.settings import Settings
from ports import free_port

from .dockerfile import Ignored, read

ROOT = Path(__file__).parent.parent.parent
BUILD, IMAGE = read(ROOT / "Dockerfile")
IGNORED = Ignored(ROOT / ".dockerignore")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PORT = str(Settings().port)
COPIED = [source for copy in BUILD.all("COPY") for source in copy.words[:-1]]


def sources() -> list[str]:
    """Return the path of every file that is tracked, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def test_both_stages_stand_on_one_small_python_that_the_package_supports() -> None:
    assert BUILD.base == IMAGE.base
    version = re.fullmatch(r"python:3\.(\d+)-slim", IMAGE.base)
    assert version is not None
    assert f"Programming Language :: Python :: 3.{version[1]}" in PROJECT["project"]["classifiers"]


def test_nothing_is_installed_without_a_hash_but_the_package_itself() -> None:
    steps = [step for run in BUILD.all("RUN") for step in run.rest.split("&&") if "pip install" in step]

    assert [("--require-hashes" in step, "--no-deps" in step) for step in steps] == [(True, True), (False, True)]
    assert not any("pip" in run.rest or "apt" in run.rest for run in IMAGE.all("RUN"))


def test_the_image_holds_no_tool_of_development() -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements-server.txt").read_text("utf-8"), re.M))
    tools = {re.split(r"[<>=\[]", tool)[0] for tool in PROJECT["dependency-groups"]["dev"]}

    assert locked
    assert locked & tools == set()


def test_what_is_copied_is_there_and_is_all_that_the_build_needs() -> None:
    needed = {
        PROJECT["project"]["readme"],
        *PROJECT["project"]["license-files"],
        *(folder.split("/")[0] for folder in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]),
        "pyproject.toml",
        "requirements-server.txt",
    }

    assert set(COPIED) == needed
    assert [name for name in COPIED if not (ROOT / name).exists() or name in IGNORED] == []


def test_the_builder_sends_nothing_but_what_is_copied() -> None:
    sent = {path for path in sources() if path not in IGNORED}

    assert {path.split("/")[0] for path in sent} == set(COPIED)
    for private in ("keys/index.key", "data/consentful.db", "consentful.toml", ".git/config", ".venv/bin/python"):
        assert private in IGNORED
    assert "server/consentful_server/__pycache__/cli.pyc" in IGNORED


def test_it_runs_as_a_number_that_is_not_root() -> None:
    user, _, group = IMAGE.one("USER").rest.partition(":")

    assert (user.isdigit(), group.isdigit(), int(user) > 0, int(group) > 0) == (True,) * 4
    (prepared,) = IMAGE.all("RUN")
    assert f"install -d -o {user} -g {group} -m 0700 /data /keys" in prepared.rest


def test_data_and_keys_are_volumes_of_their_own_where_the_settings_say() -> None:
    variables = {name: value for name, value in IMAGE.environment.items() if name.startswith("CONSENTFUL_")}
    known = {f"CONSENTFUL_{field.name.upper()}" for field in dataclasses.fields(Settings)}

    assert set(variables) <= known
    assert IMAGE.one("VOLUME").words == [variables["CONSENTFUL_DATA_DIR"], variables["CONSENTFUL_KEYS_DIR"]]


def test_it_serves_with_keys_on_the_exposed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []

    def serve(settings: Settings, _announce: process.Announce) -> int:
        served.append(settings)
        return 0

    monkeypatch.setattr(process, "run", serve)
    for name, value in IMAGE.environment.items():
        monkeypatch.setenv(name, value)

    assert IMAGE.one("ENTRYPOINT").words == list(PROJECT["project"]["scripts"])
    assert cli.run(IMAGE.one("CMD").words) == 0

    assert (served[0].access, str(served[0].port)) == ("keys", IMAGE.one("EXPOSE").rest)
    assert not served[0].is_loopback
    assert IMAGE.one("STOPSIGNAL").rest == signal.SIGTERM.name


def health_check(port: int | str) -> list[str]:
    """Return the command of the health check, with this port and this Python."""
    (check,) = IMAGE.all("HEALTHCHECK")
    python, option, program = dataclasses.replace(check, rest=check.rest.partition("CMD ")[2]).words
    assert (python, option) == ("python", "-c")
    assert f":{PORT}/" in program
    return [sys.executable, option, program.replace(PORT, str(port))]


async def test_its_health_check_tells_a_server_from_none() -> None:
    async with testing.serve(auth="keys") as service:
        port = service.url.rpartition(":")[2]
        alive = await status_of(health_check(port))
    dead = await status_of(health_check(port))

    assert (alive, dead != 0) == (0, True)


async def status_of(command: list[str]) -> int:
    done = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await asyncio.wait_for(done.wait(), 30)


@pytest.mark.prove
def test_its_steps_build_a_service_that_writes_nothing_but_its_volumes(tmp_path: Path) -> None:
    there = places(tmp_path)
    for instruction in (each for stage in (BUILD, IMAGE) for each in stage.instructions):
        if instruction.name == "COPY" and not instruction.rest.startswith("--from"):
            copy(instruction.words, there["/src"])
        elif instruction.name == "RUN":
            step(instruction.rest, there)
    assert [(path.stat().st_mode & 0o777) for path in (there["/data"], there["/keys"])] == [0o700, 0o700]
    before = snapshot(there["/opt/consentful"])
    for path, status in ((there["/data"], 0), (there["/keys"], 0), (there["/opt/consentful"], 1), (tmp_path, 1)):
        touched = confined(["touch", str(path / "touched")], there)
        assert os.geteuid() != 0 or subprocess.run(touched, check=False, timeout=30).returncode == status, path
    for path in (there["/data"], there["/keys"]):
        (path / "touched").unlink(missing_ok=True)

    with started(there) as (port, said):
        assert subprocess.run(health_check(port), timeout=30, check=False).returncode == 0
        (status,) = [each for each in Path("/proc").glob("[0-9]*/status") if served_by(each, port)]
        assert os.geteuid() != 0 or f"Uid:\t{IMAGE.one('USER').rest.partition(':')[0]}\t" in status.read_text()
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read()

    assert b"<title>" in page
    assert "It has every scope and is shown only once:\ncfl_" in said.read_text()
    assert snapshot(there["/opt/consentful"]) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "keys", "opt", "said", "shim", "src"]


def places(root: Path) -> dict[str, Path]:
    """Return where the image's folders are for now; a `useradd` that does nothing stands before the real one."""
    found = {"/opt/consentful": root / "opt", "/src": root / "src", "/data": root / "data", "/keys": root / "keys"}
    (root / "src").mkdir()
    shim = root / "shim"
    shim.mkdir()
    (shim / "useradd").write_text("#!/bin/sh\n")
    (shim / "useradd").chmod(0o755)
    (shim / "python").symlink_to(sys.executable)
    return found


def copy(words: list[str], target: Path) -> None:
    """Copy as the engine would: files into the folder, a folder's content into its target."""
    for path in sources():
        if path in IGNORED or not any(path == word or path.startswith(f"{word}/") for word in words[:-1]):
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target / path)


def step(command: str, there: dict[str, Path]) -> None:
    """Run one RUN with the folders in their places; only root may give files away."""
    command = re.sub(r"(?<![\w/])(/opt/consentful|/data|/keys)", lambda found: str(there[found[1]]), command)
    if os.geteuid() != 0:
        command = re.sub(r"-o \d+ -g \d+", "", command)
    shim = there["/src"].parent / "shim"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=there["/src"],
        env={**os.environ, "PATH": f"{shim}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )


def served_by(status: Path, port: int) -> bool:
    """Whether a process has this port on its command line."""
    try:
        return status.with_name("cmdline").read_bytes().endswith(f"--port\0{port}\0".encode())
    except OSError:  # it has ended
        return False


def confined(command: list[str], there: dict[str, Path]) -> list[str]:
    """Return the command as the engine would run it with --read-only: as the image's user, the volumes alone writable.

    What the image's user needs lies in folders of root's here, so it may read everything. Only root can set this up.
    """
    if os.geteuid() != 0:
        return command
    user, _, group = IMAGE.one("USER").rest.partition(":")
    volumes = [str(there[volume]) for volume in IMAGE.one("VOLUME").words]
    mounts = [*(f"mount --bind {volume} {volume}" for volume in volumes), "mount -o remount,bind,ro /"]
    capabilities = [f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    become = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", *capabilities]
    entering = ["unshare", "--mount", "--propagation", "private", "sh", "-euc"]
    return [*entering, f'{"; ".join(mounts)}; exec "$@"', "sh", *become, *command]


@contextmanager
def started(there: dict[str, Path]) -> Generator[tuple[int, Path]]:
    """Run the image's command with nothing but its environment; it must end well when it is told to."""
    port = free_port()
    said = there["/src"].parent / "said"
    moved = {str(image): str(here) for image, here in there.items()}
    environment = {name: moved.get(value, value) for name, value in IMAGE.environment.items()}
    command = [str(there["/opt/consentful"] / "bin" / IMAGE.one("ENTRYPOINT").words[0]), *IMAGE.one("CMD").words]
    with said.open("w") as log:
        environment["PATH"] += f":{os.environ['PATH']}"  # for what confines it
        running = subprocess.Popen(
            confined([*command, "--port", str(port)], there),
            env=environment,
            cwd=there["/data"],
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + 30
            while subprocess.run(health_check(port), stderr=subprocess.DEVNULL, check=False, timeout=30).returncode:
                assert running.poll() is None, said.read_text()
                assert time.monotonic() < until, said.read_text()
            yield port, said
            running.send_signal(signal.Signals[IMAGE.one("STOPSIGNAL").rest])
            assert running.wait(30) == 0, said.read_text()
        finally:
            running.kill()
            running.wait()


def snapshot(folder: Path) -> dict[str, float]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime for path in folder.rglob("*")}
