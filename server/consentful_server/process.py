"""The server as a process: it starts, serves until it is told to stop, lets the dialogs end, and goes."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Final

import uvloop

from .app import build_app, drain
from .auth.access import SCOPES
from .edges.server.runner import Runner
from .edges.server.site import Site
from .edges.server.tls import certificate_of
from .errors import BadSetting
from .operations.hardening import keep_memory_private
from .service import Service, open_service
from .settings import Settings
from .telemetry import set_up_logging

_log: Final = logging.getLogger("consentful.server")

_SHUTDOWN_S: Final = 5.0
_TURN_S: Final = 0.0005
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

Announce = Callable[[str], None]


def run(settings: Settings, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status. `announce` is told what an operator must see.

    Raises:
        Refusal: If the settings, the keys or the database will not do; nothing was changed.
    """
    certificate_of(settings)
    os.environ["UV_USE_IO_URING"] = "0"  # what is written to files through it, no trace of system calls can show
    if settings.workers == 1:
        uvloop.run(_serve(settings, announce))
        return 0
    uvloop.run(_prepare(settings, announce))
    return _supervise(settings)


async def _prepare(settings: Settings, announce: Announce) -> None:
    """Make the database and the keys before several processes would try to."""
    async with open_service(settings) as service:
        await _first_key(service, announce)


async def _serve(settings: Settings, announce: Announce) -> None:
    set_up_logging(settings.log_level, settings.log_format)
    keep_memory_private()
    certificate = certificate_of(settings)
    async with open_service(settings) as service:
        await _first_key(service, announce)
        if not await service.store.hold_reserve():
            _log.error("the disk is full: nothing is stored until there is room for the reserve")
        _tune_interpreter()
        runner = Runner(build_app(service), shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            stopping = _stop_on_signal()
            site = Site(runner, settings, certificate)
            await _listen(site, settings)
            _log.info("serving", extra={"url": site.name, "auth": settings.access})
            await stopping.wait()
            await _drain(service)
        finally:
            await runner.cleanup()
    _log.info("stopped")


async def _listen(site: Site, settings: Settings) -> None:
    try:
        await site.start()
    except OSError as error:
        raise BadSetting(
            "port", f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); name a free --port or --host"
        ) from None


async def _drain(service: Service) -> None:
    """Let the dialogs end. A second signal ends the patience."""
    _log.info("draining", extra={"dialogs": len(service.registry), "grace_s": service.settings.grace})
    impatient = asyncio.create_task(_stop_on_signal().wait())
    draining = asyncio.create_task(drain(service))
    await asyncio.wait({impatient, draining}, return_when=asyncio.FIRST_COMPLETED)
    for task in (impatient, draining):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    with contextlib.suppress(TimeoutError):  # whoever is left is told to go elsewhere
        async with asyncio.timeout(_SHUTDOWN_S):
            await service.registry.drain(0)


def _stop_on_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in _STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def _first_key(service: Service, announce: Announce) -> None:
    """With `--auth keys` and none made yet, make one, or nobody could come in."""
    if service.settings.access == "keys" and not await service.store.credentials.all():
        key = await service.api_keys.create("first", SCOPES)
        announce(f"There was no API key yet. This one may do everything, and is shown only now:\n{key}")


def _tune_interpreter() -> None:
    """Look for cycles rarely, and change threads often.

    What the dialogs hold has no cycles, and looking cost a third of a burst's throughput. A stream's blocks are encoded
    on a thread of their own, which must not keep the event loop, and with it consents, waiting for its turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    sys.setswitchinterval(_TURN_S)


def _supervise(settings: Settings) -> int:
    """Run the workers; when one ends, all end, so that whoever supervises this process starts it whole again."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(settings,), name=f"consentful-{number}")
        for number in range(settings.workers)
    ]
    for worker in workers:
        worker.start()

    asked = False

    def stop_all(*_: object) -> None:
        nonlocal asked
        asked = True
        for worker in workers:
            worker.terminate()

    for number in _STOPPING:
        signal.signal(number, stop_all)
    wait([worker.sentinel for worker in workers])
    fine = (0, -signal.SIGTERM) if asked else (0,)  # one that was still starting has nothing to finish
    if not asked:  # or it would be a second signal to those that still let dialogs end
        stop_all()
    for worker in workers:
        worker.join()
    return max((abs(worker.exitcode or 0) for worker in workers if worker.exitcode not in fine), default=0)


def _work(settings: Settings) -> None:
    os.setpgrp()  # a Ctrl-C reaches the parent alone, which passes it on once: twice would end the grace time
    uvloop.run(_serve(settings, print))
