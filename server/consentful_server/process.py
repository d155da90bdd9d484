"""The server process: start, serve until a signal, drain, exit.

    starting ──► serving ──SIGTERM or SIGINT──► draining ──no dialog left, grace time over or second signal──► exit

With `--workers N` this process only supervises N worker processes (`workers/supervisor`), each of which runs the same
states. It drains as well when its supervisor is gone.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain
from typing import Final, NamedTuple, TypeVar

import uvloop
from aiohttp import web

from .app import build_runner, drain
from .auth.access import SCOPES
from .consent.page_texts import read_texts
from .edges.routes.health import HOUSEKEEPING
from .edges.server.runner import check_files
from .edges.server.site import Site, bind, check_address
from .edges.server.tls import Certificate, certificate_of
from .errors import BadSetting, Refusal
from .operations.folders import check_folders
from .operations.hardening import keep_memory_private
from .service import Service, open_service
from .settings import Settings
from .stores.open import backend_of
from .telemetry import traces
from .telemetry.logs import set_up_logging
from .workers.channel import Channel
from .workers.service_manager import ServiceManager
from .workers.supervisor import STOPPING, Supervisor, reloads_on_hangup, separate
from .workers.worker import Seat, Worker

T = TypeVar("T")

_M_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 128 * 1024

_log: Final = logging.getLogger("consentful.server")

_SHUTDOWN_S: Final = 5.0
_TURN_S: Final = 0.0005

Announce = Callable[[str], None]


def run(settings: Settings, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT, then return the exit status. `announce` prints what the operator must see.

    Raises:
        Refusal: If the settings, the keys or the database are unusable. Nothing was changed.
    """
    certificate_of(settings)
    read_texts(settings.withdrawal_texts)
    check_folders(settings, backend_of(settings.database, settings.data_dir))
    check_files()
    os.environ["UV_USE_IO_URING"] = "0"  # strace, our proof that nothing is written, cannot see writes by io_uring
    manager = ServiceManager.of(os.environ)
    if settings.workers == 1:
        with traces.recording(settings.otlp_endpoint):
            uvloop.run(_serve(settings, announce, manager))
        return 0
    traces.check(settings.otlp_endpoint)
    set_up_logging(settings.log_level, settings.log_format)
    uvloop.run(_prepare(settings, announce))
    return asyncio.run(_supervise(settings, manager))


async def _prepare(settings: Settings, announce: Announce) -> None:
    """Create the database and the keys, so that the workers do not race to create them."""
    await _check_address(settings)
    async with open_service(settings) as service:
        await _first_key(service, announce)


async def _serve(settings: Settings, announce: Announce, manager: ServiceManager, seat: Seat | None = None) -> None:
    set_up_logging(settings.log_level, settings.log_format)
    keep_memory_private()
    certificate = certificate_of(settings)
    if seat is None:
        await _check_address(settings)
    async with _seated(seat) as worker, open_service(settings) as service:
        has_reserve = await service.store.hold_reserve()
        service.metrics.reserve.set(has_reserve)
        if not has_reserve:
            _log.error("the disk is full: no dialog is stored until there is space for the reserve")
        _tune_interpreter()
        _return_large_buffers()
        runner = build_runner(service, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            stopping = _stop_on_signal()
            async with _watched(manager), _supervised(service, runner.app, worker, stopping) as supervision:
                site = Site(runner, settings, certificate, seat and seat.listening)
                await _listen(site.start(), settings)
                await _first_key(service, announce)  # not before: a key that is printed by a start that fails is lost
                _reload_on_signal(service, certificate, manager)
                _log.info("serving", extra={"url": site.name, "auth": settings.access})
                supervision.serves()
                manager.ready()
                await stopping.wait()
                manager.stopping()
                if supervision.is_gone():
                    await site.stop()  # so that the next supervisor finds the port free
                await _drain(service)
                await runner.cleanup()  # here as well: what it ends is counted in the worker's last report
        finally:
            await runner.cleanup()
    _log.info("stopped")


class _Supervision(NamedTuple):
    """What a process that serves and its supervisor, if it has one, tell each other."""

    serves: Callable[[], None]
    is_gone: Callable[[], bool]


@asynccontextmanager
async def _seated(seat: Seat | None) -> AsyncGenerator["_Seated | None"]:
    """Answer the supervisor meanwhile, if there is one; also while the store opens, or that would look like hanging."""
    if seat is None:
        yield None
        return
    worker = Worker(await Channel.over(seat.channel))
    answering = asyncio.create_task(worker.answer(), name="consentful-worker")
    try:
        yield _Seated(worker, answering)
    finally:
        answering.cancel()


class _Seated(NamedTuple):
    """A worker, and the task in which it answers: it ends when the supervisor is gone."""

    worker: Worker
    answering: asyncio.Task[None]


@asynccontextmanager
async def _supervised(
    service: Service, app: web.Application, seated: _Seated | None, stopping: asyncio.Event
) -> AsyncGenerator[_Supervision]:
    """Tell what the service counts and how it is, if there is a supervisor, and stop when it is gone."""
    if seated is None:
        yield _Supervision(lambda: None, lambda: False)
        return
    worker, answering = seated
    worker.report, service.merged_report = service.report, worker.merged_report
    worker.look, service.joined_parts = app[HOUSEKEEPING].readiness.parts, worker.joined_parts
    answering.add_done_callback(lambda _: stopping.set())
    yield _Supervision(worker.serves, answering.done)
    await worker.leave()


@asynccontextmanager
async def _watched(manager: ServiceManager) -> AsyncGenerator[None]:
    """Have the service manager's watchdog know that the event loop runs, also while it drains."""
    watching = asyncio.create_task(manager.watch(), name="consentful-watchdog")
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def _reload_on_signal(service: Service, certificate: Certificate | None, manager: ServiceManager) -> None:
    """At SIGHUP, reload what changes while the server runs, without waiting for the next look at it."""
    reloading = set[asyncio.Task[None]]()

    async def reload() -> None:
        manager.reloading()
        try:
            if certificate is not None:
                certificate.refresh()
            await service.offer.refresh()
            _log.info("reloaded")
        except Refusal as refusal:
            _log.error("reload failed; keeping the notices as they are", extra={"code": refusal.code})
        finally:
            manager.ready()

    def on_signal() -> None:
        task = asyncio.create_task(reload(), name="consentful-reload")
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    if reloads_on_hangup():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_signal)


async def _check_address(settings: Settings) -> None:
    """Check that the address is free before anything is created: a start that cannot listen leaves nothing behind."""
    await _listen(check_address(settings), settings)


async def _listen(listening: Awaitable[T], settings: Settings) -> T:
    try:
        return await listening
    except OSError as error:
        name = "host" if isinstance(error, socket.gaierror) else "port"
        raise BadSetting(
            name, f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); set another --port or --host"
        ) from None


async def _drain(service: Service) -> None:
    """Let the live dialogs finish within the grace time. A second signal ends the grace time."""
    _log.info("draining", extra={"dialogs": len(service.registry), "grace_s": service.settings.grace})
    second_signal = asyncio.create_task(_stop_on_signal().wait())
    draining = asyncio.create_task(drain(service))
    await asyncio.wait({second_signal, draining}, return_when=asyncio.FIRST_COMPLETED)
    for task in (second_signal, draining):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    with contextlib.suppress(TimeoutError):  # close the remaining dialogs with 4001, so that their clients replay
        async with asyncio.timeout(_SHUTDOWN_S):
            await service.registry.drain(0)


def _stop_on_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def _first_key(service: Service, announce: Announce) -> None:
    """With `--auth keys` and no key in the database, create one; otherwise no request could authenticate.

    Of several servers that start at the same time, one creates and prints it.
    """
    if service.settings.access == "keys" and (key := await service.api_keys.create_first("first", SCOPES)):
        announce(f"Created the first API key. It has every scope and is shown only once:\n{key}")


def _tune_interpreter() -> None:
    """Run the cyclic garbage collector rarely, and switch threads often.

    Dialogs form no reference cycles, and collecting cost a third of the throughput in a burst. Exports are encoded on a
    thread of their own; a short switch interval keeps that thread from delaying the event loop, and with it consents.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    sys.setswitchinterval(_TURN_S)


def _return_large_buffers() -> None:
    """Have the C library give a large buffer back to the system as soon as it is freed (mallopt(3); glibc alone).

    By default glibc keeps ever larger ones for later, in one arena for each thread: readers of long texts left 100 MB.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


async def _supervise(settings: Settings, manager: ServiceManager) -> int:
    with contextlib.ExitStack() as held:
        listening = await _bind(settings)
        for each in chain(*listening):
            held.callback(each.close)
        return await Supervisor(settings, listening, _work, manager=manager).run()


async def _bind(settings: Settings) -> list[list[socket.socket]]:
    """Return the sockets of each worker, bound but not listening."""
    return [await _listen(bind(settings), settings) for _ in range(settings.workers)]


def _work(settings: Settings, seat: Seat) -> None:
    separate()
    try:
        with traces.recording(settings.otlp_endpoint):
            uvloop.run(_serve(settings, print, ServiceManager(), seat))
    except Refusal as refusal:
        _log.error("refused to start", extra={"code": refusal.code, "detail": refusal.detail})
        sys.exit(refusal.exit_status)
