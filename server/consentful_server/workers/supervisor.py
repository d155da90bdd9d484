"""Keeps N workers running, each in a process of its own, until a signal stops all of them.

    a seat:        RUNNING ──its process ended──► WAITING ──pause over──► RUNNING          (`restarts`)
                       └── it hangs: killed            └── a crash loop, or a refusal ──► the service stops
    the service:   KEEPING ──SIGTERM, SIGINT, crash loop──► DRAINING ──every process ended──► exit
                                                               └── second signal: less patience; then SIGKILL

The supervisor serves nobody and opens no store. It binds the service's addresses once, one socket for each worker
(SO_REUSEPORT), and keeps these sockets: the kernel spreads connections evenly over those that listen, and what waits in
the socket of a worker that was killed is accepted by its successor. A socket listens from the moment its first worker
does, so no connection waits for a start. One socket for all workers, as gunicorn and uvicorn have it, would give most
connections to the worker that is awake already, and a dialog keeps its connection.

Everything runs on the event loop, and everything that changes a seat is synchronous.

Races, and the line that closes each:

(R1) A signal arrives before the workers are started: the handlers are set before the first one is.
(R2) A signal arrives while a seat waits for its pause: the wait is for either, and nothing is started afterwards.
(R3) A worker gets the signal before it has a handler: it dies of it, and had nothing to finish.
(R4) A worker ends while a page is made: its last report is read to the end, then counted among those that ended, in
     one step. A page is made in one step as well, so it counts each worker once.
(R5) The supervisor is killed: the system closes its ends of the channels, and each worker drains and exits.
(R6) Ctrl-C signals the whole process group: a worker has a group of its own, and gets the supervisor's signal alone.
     Two signals would end its grace time.
(R7) The supervisor itself was stopped, and all workers look silent when it goes on: silence is counted in rounds of
     questions that it asked, not in seconds, and a round ends after it could read the answers.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from typing import Final, NamedTuple

from ..settings import Settings
from ..telemetry.metrics import Metrics
from .channel import Ask, Channel, Look, Looked, Poll, Polled, Reported, Scrape, Scraped, Serving
from .parts import Fault, Parts, joined
from .reports import Family, Report, counted, merged, report_of
from .restarts import EX_CRASH_LOOP, EX_REFUSED, EX_TEMPFAIL, MOST_DEATHS, Restarts
from .service_manager import ServiceManager
from .worker import Seat

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

_ASK_EVERY_S: Final = 5.0
"""What a killed worker counted since it was last asked is lost."""
_ANSWER_S: Final = 1.0
_UNANSWERED: Final = 6
"""A worker that serves and was silent in so many rounds in a row, for half a minute, hangs, and is replaced."""
_UNANSWERED_AT_START: Final = 24
"""The same for one that does not serve yet, two minutes: at first there is no event loop that could answer."""
_EX_FAILED: Final = 1

_log: Final = logging.getLogger("consentful.server")

Work = Callable[[Settings, Seat], None]
"""What a worker's process does, until it exits. It is a function of a module: the process is a new one."""


class Patience(NamedTuple):
    """Seconds that workers have beyond the grace time, and after a second signal, before they are killed."""

    to_end: float = 30.0
    after_second_signal: float = 10.0


@dataclass(eq=False)
class _Worker:
    """A running process, and what it reported last."""

    seat: int
    process: SpawnProcess
    channel: Channel
    is_serving: bool = False
    report: Report = field(default_factory=list[Family])
    answered: int = 0
    """The number of the last question that it answered."""
    parts: Parts = field(default_factory=dict[str, Fault | None])
    """What it said last of its parts."""
    looked: int = 0
    """The number of the last question about its parts that it answered."""
    judged: int = 0
    """`answered`, when the last round ended."""
    silent: int = 0
    """How many rounds in a row ended without an answer to any question."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set at each report, and when the process has ended."""


class Supervisor:
    """The workers of one service. `listening` are its sockets, a sequence for each worker.

    The service manager is told that the service is ready once each seat has had a worker that serves.
    """

    def __init__(
        self,
        settings: Settings,
        listening: Sequence[Sequence[socket.socket]],
        work: Work,
        patience: Patience = Patience(),  # noqa: B008 - a tuple
        manager: ServiceManager | None = None,
    ) -> None:
        self._settings = settings
        self._listening = listening
        self._work = work
        self._patience = patience
        self._manager = manager or ServiceManager()
        self._starting = set(range(len(listening)))
        """Seats that had no worker yet that serves."""
        self._context = multiprocessing.get_context("spawn")
        self._workers: set[_Worker] = set()
        self._metrics = Metrics()
        self._ended: Report = counted(report_of(self._metrics))
        """What the workers counted that have ended."""
        self._asked = 0
        self._looks = 0
        self._signals = 0
        self._stopping = asyncio.Event()
        self._kill_at: asyncio.TimerHandle | None = None
        self._status = 0

    async def run(self) -> int:
        """Keep the workers running until a signal or a crash loop; return the exit status when all have ended."""
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, self._on_signal)  # (R1)
        if reloads_on_hangup():
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        beside = [asyncio.create_task(self._keep_asking()), asyncio.create_task(self._manager.watch())]
        await asyncio.gather(*map(self._keep, range(len(self._listening))))
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if self._kill_at is not None:
            self._kill_at.cancel()
        _log.info("stopped")
        return self._status

    # -- a seat

    async def _keep(self, seat: int) -> None:
        restarts = Restarts()
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._run_worker(seat)
            if self._stopping.is_set():
                self._judge(seat, status)
                return
            self._metrics.deaths.inc()
            pause_s = restarts.after(status, time.monotonic() - began)
            _log.error("worker ended", extra={"worker": seat, "replaced_in_s": pause_s} | _cause(status))
            if pause_s is None:
                self._give_up(seat, status)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)  # (R2)

    async def _run_worker(self, seat: int) -> int:
        """Run one process in this seat until it ends; return its exit status, or its signal's negative number."""
        here, there = socket.socketpair()
        process = self._context.Process(
            target=self._work,
            args=(self._settings, Seat(tuple(self._listening[seat]), there)),
            name=f"consentful-{seat}",
        )
        try:
            _start(process)
        except OSError as error:  # the system has no memory or no process left, for now
            _log.error("worker could not be started", extra={"worker": seat, "error": error.strerror})
            here.close()
            return EX_TEMPFAIL
        finally:
            there.close()
        worker = _Worker(seat, process, await Channel.over(here))
        self._workers.add(worker)
        self._send_question(worker)  # so it has answered, and is waited for, before it serves
        _log.info("worker started", extra={"worker": seat, "pid": process.pid})
        if self._stopping.is_set():  # (R2) while the channel was made
            process.terminate()
        await self._listen(worker)
        await _end_of(process)
        process.join()
        self._workers.discard(worker)
        self._ended = merged([self._ended, counted(worker.report)])  # (R4)
        worker.news.set()
        await worker.channel.close()
        return process.exitcode or 0

    async def _listen(self, worker: _Worker) -> None:
        """Take the worker's messages until it closes its end."""
        answers = set[asyncio.Task[None]]()
        while (message := await worker.channel.receive()) is not None:
            match message:
                case Reported(number, report):
                    worker.report = report
                    worker.answered = number or worker.answered
                    worker.news.set()
                case Serving():
                    self._note_serving(worker)
                case Looked(number, parts):
                    worker.parts, worker.looked = parts, max(worker.looked, number)
                    worker.news.set()
                case Scrape(number) | Poll(number):
                    send = self._send_page if isinstance(message, Scrape) else self._send_parts
                    task = asyncio.create_task(send(worker.channel, number))
                    answers.add(task)
                    task.add_done_callback(answers.discard)
                case _:
                    raise TypeError(type(message).__name__)

    def _note_serving(self, worker: _Worker) -> None:
        worker.is_serving, worker.silent = True, 0
        was_starting = bool(self._starting)
        self._starting.discard(worker.seat)
        if was_starting and not self._starting and not self._stopping.is_set():
            self._manager.ready()

    def _judge_silence(self) -> None:
        """Kill every worker that hangs; its seat then replaces it. At the end of the service, `_kill_at` does that."""
        for worker in self._workers:
            has_answered = worker.answered > worker.judged
            worker.judged, worker.silent = worker.answered, 0 if has_answered else worker.silent + 1
            most = _UNANSWERED if worker.is_serving else _UNANSWERED_AT_START
            if worker.silent == most and not self._stopping.is_set():
                _log.error(
                    "worker killed: its event loop does not answer",
                    extra={"worker": worker.seat, "pid": worker.process.pid},
                )
                worker.process.kill()

    def _reload(self) -> None:
        """Have each worker reload. One that does not serve yet has no handler, and would die of the signal."""
        if self._stopping.is_set():
            return
        self._manager.reloading()
        for worker in self._workers:
            if worker.is_serving and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGHUP)
        self._manager.ready()

    # -- metrics

    async def _send_page(self, channel: Channel, number: int) -> None:
        await self._ask()
        own = counted(report_of(self._metrics))
        running = [worker.report for worker in self._workers]
        channel.send(Scraped(number, merged([*running, self._ended, own])))

    async def _ask(self) -> None:
        """Have every worker report. Of one that does not answer in time, the report before counts.

        One that has not answered yet only starts, which takes seconds, and has nothing to report: it is not waited for.
        """
        number = self._send_question(*self._workers)
        asked = [worker for worker in self._workers if worker.answered]
        await self._until(asked, lambda worker: worker.answered >= number)

    async def _until(self, workers: Sequence[_Worker], has_answered: Callable[[_Worker], bool]) -> None:
        """Return once each of them has answered or ended, or after `_ANSWER_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                for worker in workers:
                    while not has_answered(worker) and worker in self._workers:
                        worker.news.clear()
                        await worker.news.wait()

    def _send_question(self, *workers: _Worker) -> int:
        """Send a question, and return its number."""
        self._asked += 1
        for worker in workers:
            worker.channel.send(Ask(self._asked))
        return self._asked

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(_ASK_EVERY_S)
            await self._ask()
            self._judge_silence()  # (R7)

    # -- readiness

    async def _send_parts(self, channel: Channel, number: int) -> None:
        """Have every worker that serves look at its parts. Of one that does not answer in time, what it said before."""
        self._looks += 1
        asked, look = [worker for worker in self._workers if worker.is_serving], self._looks
        for worker in asked:
            worker.channel.send(Look(look))
        await self._until(asked, lambda worker: worker.looked >= look)
        channel.send(Polled(number, joined(worker.parts for worker in asked if worker in self._workers)))

    # -- the end

    def _on_signal(self) -> None:
        self._signals += 1
        is_first = self._signals == 1 and not self._stopping.is_set()
        self._stop(self._settings.grace + self._patience.to_end if is_first else self._patience.after_second_signal)

    def _give_up(self, seat: int, status: int) -> None:
        if status == EX_REFUSED:
            self._status = EX_REFUSED
            _log.critical("the service stops: a worker refused to start; the line above says what to change")
        else:
            self._status = EX_CRASH_LOOP
            _log.critical(
                f"the service stops: worker {seat} ended {MOST_DEATHS} times in a row, each time soon after its start;"
                " the log above says how it ended, so mend that and start the service again"
            )
        if not self._stopping.is_set():
            self._stop(self._settings.grace + self._patience.to_end)

    def _stop(self, within_s: float) -> None:
        """Signal every worker, and kill those that have not ended after so many seconds."""
        if not self._stopping.is_set():
            self._manager.stopping()
            _log.info("stopping", extra={"workers": len(self._workers), "within_s": within_s})
        self._stopping.set()
        for worker in self._workers:
            worker.process.terminate()
        if self._kill_at is not None:
            self._kill_at.cancel()
        self._kill_at = asyncio.get_running_loop().call_later(within_s, self._kill)

    def _kill(self) -> None:
        for worker in self._workers:
            _log.error("worker killed: it did not end in time", extra={"pid": worker.process.pid})
            worker.process.kill()

    def _judge(self, seat: int, status: int) -> None:
        if status not in (0, -signal.SIGTERM):  # (R3)
            _log.error("worker failed while it was stopped", extra={"worker": seat} | _cause(status))
            self._status = self._status or _EX_FAILED


async def _end_of(process: SpawnProcess) -> None:
    """Return once the process has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)


def _cause(status: int) -> dict[str, object]:
    if status < 0:
        return {"signal": signal.Signals(-status).name}
    return {"exit_status": status}


def _start(process: SpawnProcess) -> None:
    """Start a process that gets no SIGINT before `separate`: until then it is in this group, and has no handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def reloads_on_hangup() -> bool:
    """Whether SIGHUP means to reload. From a terminal it means that the terminal is gone, and ends the process."""
    return not os.isatty(0)


def separate() -> None:
    """Leave the supervisor's process group; called first in a worker."""
    os.setpgrp()  # (R6)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # drops one that waits
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
