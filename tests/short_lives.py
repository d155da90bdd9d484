"""What the workers of a test do, in processes of their own: functions of a module, as a new process needs them."""

import asyncio
import signal
import sys
from itertools import count
from pathlib import Path

from consentful_server.settings import Settings
from consentful_server.workers.channel import Channel
from consentful_server.workers.reports import Report
from consentful_server.workers.supervisor import separate
from consentful_server.workers.worker import Seat, Worker


def crash(_settings: Settings, _seat: Seat) -> None:
    sys.exit(3)


def be_refused(_settings: Settings, _seat: Seat) -> None:
    sys.exit(2)


def ignore_signals(settings: Settings, seat: Seat) -> None:
    """Tell that it runs, by a file in the data folder, and end for no signal that can be ignored."""
    separate()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    Path(settings.data_dir, str(seat.channel.fileno())).touch()
    while True:
        signal.pause()


def hang_once(settings: Settings, seat: Seat) -> None:
    """Serve; stop at the second question of the first time, and answer all questions of the second time."""
    is_first, questions = _is_first(settings), count()

    def report() -> Report:
        if not is_first:
            Path(settings.data_dir, "second").touch()
        elif next(questions):
            signal.raise_signal(signal.SIGSTOP)
        return []

    async def serve() -> None:
        worker = Worker(await Channel.over(seat.channel), report)
        worker.serves()
        await worker.answer()

    asyncio.run(serve())


def hang_before_serving_once(settings: Settings, _seat: Seat) -> None:
    """Stop at once the first time; the second time, wait for a signal."""
    if _is_first(settings):
        signal.raise_signal(signal.SIGSTOP)
    Path(settings.data_dir, "second").touch()
    signal.sigwait({signal.SIGUSR1})


def _is_first(settings: Settings) -> bool:
    """Return whether this is the first process that asks."""
    try:
        Path(settings.data_dir, "first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def answer_late(settings: Settings, seat: Seat) -> None:
    """Serve, and answer each question after it was given up."""
    answers = count()

    def report() -> Report:
        Path(settings.data_dir, f"{next(answers)}").touch()
        return []

    async def serve() -> None:
        worker = Worker(await Channel.over(seat.channel), report)
        worker.serves()
        await worker.answer()

    asyncio.run(serve())


def crash_once(settings: Settings, _seat: Seat) -> None:
    """Be killed the first time; the second time, wait for a signal."""
    if not _is_first(settings):
        Path(settings.data_dir, "second").touch()
        signal.sigwait({signal.SIGUSR1})
    signal.raise_signal(signal.SIGKILL)
