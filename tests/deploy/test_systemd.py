"""The unit, without systemd as process 1: its own tools check it, and it is held to the code."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from certificates import make_pair
from consentful_server import process
from consentful_server.errors import Refusal
from consentful_server.settings import Settings
from consentful_server.workers.supervisor import Patience
from documented import shell
from needs import need
from ports import free_port

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "consentful.service"
SHUTDOWN_S = process._SHUTDOWN_S  # pyright: ignore[reportPrivateUsage]
MOST_EXPOSED = 15
"""In tenths, of 100; systemd calls up to 20 safe."""


def section() -> Mapping[str, str]:
    """Return what the unit says of the service."""
    lines = UNIT.read_text("utf-8").partition("[Service]")[2].partition("[Install]")[0]
    found: dict[str, str] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", lines, re.M):
        found[key] = f"{found[key]} {value}" if key in found else value
    return found


def runnable(folder: Path) -> Path:
    """Return a copy of the unit with a program that there is."""
    path = folder / UNIT.name
    path.write_text(UNIT.read_text("utf-8").replace("/opt/consentful/bin/consentful", "/bin/true"))
    return path


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze, path = need("systemd-analyze"), runnable(tmp_path)
    done = subprocess.run(
        [analyze, "verify", "--man=no", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

    path.write_text(path.read_text("utf-8").replace("TimeoutStopSec=", "TimeoutToStop="))
    wrong = subprocess.run([analyze, "verify", path], capture_output=True, text=True, timeout=60, check=False)
    assert "'TimeoutToStop'" in wrong.stderr


def test_systemd_finds_it_hardened(tmp_path: Path) -> None:
    command = [need("systemd-analyze"), "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", runnable(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout[-2000:]


def test_its_settings_are_settings_and_its_folders_are_made() -> None:
    service = section()
    variables = dict(re.findall(r"(CONSENTFUL_\w+)=(\S+)", service["Environment"]))
    folders = {f"/var/lib/{name}" for name in service["StateDirectory"].split()}

    assert {name.removeprefix("CONSENTFUL_").lower() for name in variables} <= set(Settings.__dataclass_fields__)
    assert {variables["CONSENTFUL_DATA_DIR"], variables["CONSENTFUL_KEYS_DIR"]} < folders
    assert "/var/lib/consentful/backups" in folders  # which docs/deploy.md names
    assert service["ExecStart"].split()[1:] == ["serve"]


def test_it_gives_dialogs_their_time_and_no_process_two_signals() -> None:
    service = section()

    assert int(service["TimeoutStopSec"]) >= Settings().grace + Patience().to_end + 3 * SHUTDOWN_S
    assert (service["KillMode"], service["NotifyAccess"], service["Type"]) == ("mixed", "main", "notify")
    assert service["RestartPreventExitStatus"] == str(Refusal.exit_status)
    assert (service["MemorySwapMax"], service["LimitCORE"]) == ("0", "0")


def test_no_system_call_of_the_server_is_filtered(tmp_path: Path) -> None:
    """The commands create keys, a database and a TLS context, and serve, as the unit's process does."""
    analyze, strace = need("systemd-analyze"), need("strace")
    filters = section()["SystemCallFilter"].split()
    allowed = {name for group in filters if not group.startswith("~") for name in members(analyze, group)}
    allowed -= {name for group in filters if group.startswith("~") for name in members(analyze, group[1:])}
    assert "openat" in allowed
    assert "mount" not in allowed

    pair = make_pair(tmp_path)
    shell(
        f"{strace} -f -qq -c -U name -o calls consentful serve --port {free_port()} --tls-cert {pair.certificate}"
        f" --tls-key {pair.key} --log-format json 2> said & trap 'kill %1 || :' EXIT;"
        " timeout 50 sh -c 'until grep -q serving said; do sleep 0.1; done'; kill $(pgrep -P $!); wait",
        tmp_path,
    )
    lines = (tmp_path / "calls").read_text("utf-8").split()
    made = {line for line in lines if re.fullmatch(r"\w+", line)} - {"syscall", "total"}
    assert {"openat", "accept4"} & made
    if os.geteuid() == 0:
        made.discard("fchown")  # SQLite calls it as root alone
    assert made - allowed == set()


def members(analyze: str, group: str) -> set[str]:
    """Return the system calls of a group, those of the groups in it too."""
    text = subprocess.run(
        [analyze, "syscall-filter", group], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    names = re.findall(r"^ +([@\w-]+)$", text, re.M)
    return {call for name in names for call in (members(analyze, name) if name.startswith("@") else {name})}
