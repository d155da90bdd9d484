"""Backups by schedule: a chore of the server makes one when the newest is `--backup-every` hours old.

The folder is the memory: after a restart, and beside other servers or a timer that back up into the same folder,
nothing is made twice. A backup that failed is tried again after `AGAIN_S`, because each try copies everything.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from ..errors import BackupRunning, Refusal
from ..service import Service
from .backup import back_up
from .copies import Copies
from .keeping import BackupRule

AGAIN_S: Final = 3600.0

_log: Final = logging.getLogger("consentful.backup")


class BackupSchedule:
    """The schedule of one process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._again_at = service.clock.monotonic()

    async def tick(self) -> None:
        """Make a backup if one is due, and publish when the newest was made.

        Raises:
            BadBackup: If it failed; the log says why and what to do.
        """
        settings, clock, metrics = self._service.settings, self._service.clock, self._service.metrics
        folder = settings.backup_folder
        if folder is None:
            return
        newest = await asyncio.to_thread(Copies(folder).newest, clock.now())
        metrics.backup.set(0 if newest is None else newest.timestamp())
        is_due = newest is None or clock.now() - newest >= timedelta(hours=settings.backup_every)
        if is_due and clock.monotonic() >= self._again_at:
            keep = BackupRule(settings.backup_keep, settings.backup_keep_daily, settings.backup_keep_weekly)
            try:
                made = await back_up(self._service, folder, clock.now(), keep)
            except BackupRunning:
                return
            except Refusal as refusal:
                self._again_at = clock.monotonic() + AGAIN_S
                _log.error("backup failed", extra={"code": refusal.code, "remedy": refusal.detail})
                raise
            metrics.backup.set(clock.now().timestamp())
            counts = {"keys_destroyed": len(made.pruned), "deleted": len(made.removed)}
            _log.info("backed up", extra={"backup": made.name} | counts)
