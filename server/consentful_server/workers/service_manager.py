"""What the service says to the service manager that started it: systemd's protocol of `sd_notify(3)`.

    starting ──READY──► serving ──RELOADING──► reloading ──READY──► serving ──STOPPING──► draining ──► exit

A state is a datagram to the socket that NOTIFY_SOCKET names. Only the process that systemd started sends any, because
the unit has `NotifyAccess=main`: with several workers that is the supervisor. Without the variable nothing is sent.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

_log: Final = logging.getLogger("consentful.server")

_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """systemd, or nobody."""

    def __init__(self, address: str = "", watchdog_s: float = 0) -> None:
        self._address = address
        self._watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> "ServiceManager":
        """Return what the variables name, and remove them: they are not meant for processes that this one starts."""
        address = environment.pop("NOTIFY_SOCKET", "")
        limit, process = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        is_watched = limit.isdecimal() and process in ("", str(os.getpid()))
        return cls(address, int(limit) / _MICROSECONDS if is_watched else 0)

    def ready(self) -> None:
        """Tell that the service accepts dialogs: after its start, or after a reload."""
        self._send("READY=1", "STATUS=serving")

    def reloading(self) -> None:
        """Tell that a reload has begun; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that the service drains, and exits afterwards."""
        self._send("STOPPING=1", "STATUS=draining")

    async def watch(self) -> None:
        """Tell twice in each period of the watchdog that the event loop runs, until it is cancelled.

        Returns at once if there is no watchdog.
        """
        while self._watchdog_s:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sending:
                sending.sendto("\n".join(lines).encode(), address)
        except OSError as error:  # serving matters more
            _log.warning("the service manager cannot be told", extra={"state": lines[0], "error": error.strerror})
