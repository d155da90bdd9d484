"""What the workers of a test do, in processes of their own: functions of a module, as a new process needs them."""

import asyncio
import signal
import sys
from pathlib import Path

from consentful_server.settings import Settings
from consentful_server.workers.channel import Channel, Serving
from consentful_server.workers.supervisor import separate
from consentful_server.workers.worker import Seat


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


def hang(_settings: Settings, seat: Seat) -> None:
    """Serve, but answer nothing: the event loop does not run."""

    async def serve() -> None:
        channel = await Channel.over(seat.channel)
        channel.send(Serving())
        await channel.close()

    kept = seat.channel.dup()  # the channel's end would be the worker's
    asyncio.run(serve())
    signal.sigwait({signal.SIGUSR1})
    kept.close()


def crash_once(settings: Settings, _seat: Seat) -> None:
    """Be killed the first time; the second time, wait for a signal."""
    try:
        Path(settings.data_dir, "first").touch(exist_ok=False)
    except FileExistsError:
        Path(settings.data_dir, "second").touch()
        signal.sigwait({signal.SIGUSR1})
    signal.raise_signal(signal.SIGKILL)
