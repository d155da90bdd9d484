"""What of this machine would harm the service, for `consentful doctor`. Nothing is changed, but for a file that is
written and deleted to time the disk.
"""

import ctypes
import os
import resource
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final

from ..settings import Settings
from ..stores.store import Backend
from .findings import Finding, good, problem, warning
from .hardening import has_swap

_MIB: Final = 1024 * 1024
_BESIDE_DIALOGS: Final = 200 * _MIB
"""What a process needs beside --memory."""
_FEW_FILES: Final = 4096
_ROOM: Final = 4 * _MIB
"""What must be free beside the reserve, so that a dialog can be stored."""
_SLOW_S: Final = 0.02
_SYNCS: Final = 5
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""
_TIMEX_BYTES: Final = 512
"""More than `struct timex` has, whose members are not needed."""
_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


def examine_machine(settings: Settings, backend: Backend) -> Iterator[Finding]:
    """Yield a finding for each thing that the service needs of this machine."""
    yield swap()
    yield core_dumps()
    yield open_files()
    yield memory(settings)
    yield clock()
    for folder in backend.folders:
        yield modes("data", folder, f"{Path(backend.name).name}*")
        yield from _examine_disk("data", folder, settings.reserve)
    yield modes("keys", settings.keys_dir, "*")
    yield from _examine_disk("keys", settings.keys_dir, 0)


def _examine_disk(name: str, folder: Path, reserve: int) -> Iterator[Finding]:
    if folder.is_dir():
        yield space(name, folder, reserve)
        yield durability(name, folder)


def swap() -> Finding:
    if has_swap():
        return warning(
            "swap", "on", "live dialogs may be written to the disk: turn swap off (`swapoff -a`), or encrypt it"
        )
    return good("swap", "off")


def core_dumps() -> Finding:
    """The server sets its limit to 0, whatever it inherits."""
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    return good("core dumps", "off" if soft == 0 else "off in the server, which sets its limit to 0")


def open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = "unlimited" if soft == resource.RLIM_INFINITY else f"at most {soft:,}"
    if 0 <= soft < _FEW_FILES:
        return warning(
            "open files", found, "each dialog needs one: set `ulimit -n`, or LimitNOFILE, above the dialogs you expect"
        )
    return good("open files", found)


def memory(settings: Settings, meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> Finding:
    """Compare what the processes may take with what the machine, or the container, has."""
    needed = settings.memory + settings.workers * _BESIDE_DIALOGS
    there = _memory(meminfo, cgroup)
    found = f"{needed // _MIB:,} MiB needed at most"
    if there is None:
        return good("memory", found)
    found += f", {there // _MIB:,} MiB there"
    if there < needed:
        return problem("memory", found, "lower --memory, or the service is killed when many dialogs are open")
    return good("memory", found)


def _memory(meminfo: Path, cgroup: Path) -> int | None:
    """Return the bytes of memory of the machine, or of the container if that has less; None if it is not known."""
    sizes: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        sizes.append(int(meminfo.read_text().split()[1]) * 1024)  # the first line is MemTotal, in KiB
    with suppress(OSError, ValueError):
        sizes.append(int(cgroup.read_text()))  # `max` without a limit
    return min(sizes, default=None)


def clock() -> Finding:
    """Ask the kernel whether something keeps its clock right."""
    with suppress(AttributeError, OSError):  # Linux alone has the call
        if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) == _UNSYNCHRONISED:
            return warning(
                "clock", "not synchronised", "run an NTP client: retention and due dates follow this machine's clock"
            )
    return good("clock", "synchronised, as far as the kernel knows")


def modes(name: str, folder: Path, files: str) -> Finding:
    """Look for files of this pattern that others than their owner can read, and whether this user can write the folder.

    A server refuses keys that others can read.
    """
    subject = f"{name} folder"
    if not folder.exists():
        return warning(subject, f"{folder} does not exist", "the first start creates it; or check its setting")
    if not os.access(folder, os.W_OK | os.X_OK):
        return problem(
            subject, f"{folder} cannot be written", "run this as the service's user, or give the folder to it"
        )
    exposed = [path for path in sorted(folder.glob(files)) if path.is_file() and path.stat().st_mode & _OTHERS]
    if exposed:
        return problem(
            subject, f"{len(exposed)} of its files open to others: {exposed[0]}", f"run: chmod -R go= {folder}"
        )
    return good(subject, f"{folder}, open to its owner alone")


def space(name: str, folder: Path, reserve: int) -> Finding:
    usage = shutil.disk_usage(folder)
    found = f"{usage.free // _MIB:,} MiB free"
    held = sum(path.stat().st_size for path in folder.glob("reserve"))
    if usage.free < max(0, reserve - held) + _ROOM:
        return problem(f"{name} disk", found, "free some space: no dialog can be stored")
    if usage.free < usage.total // 10:
        return warning(f"{name} disk", f"{found}, less than a tenth", "free some space before it is full")
    return good(f"{name} disk", found)


def durability(name: str, folder: Path) -> Finding:
    """Time how long it takes until what was written is on the disk; each commit waits for that once."""
    subject = f"{name} fsync"
    try:
        took = _time_of_fsync(folder)
    except OSError as error:
        return problem(subject, f"failed ({error.strerror})", f"check the disk of {folder}")
    found = f"{took * 1000:.2f} ms"
    if took > _SLOW_S:
        return warning(subject, found, "use a faster disk: each commit waits for it")
    return good(subject, found)


def _time_of_fsync(folder: Path) -> float:
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            file.write(b"\0" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return median(times)
