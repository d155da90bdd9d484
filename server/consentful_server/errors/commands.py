"""Refusals of a start or a command."""

import os

from .refusal import Refusal


class BadSetting(Refusal):
    """A setting is invalid; the server does not start."""

    code = "setting"

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(name, remedy)
        self.name = name
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.remedy}"


class BadKeys(Refusal):
    """The root keys are missing, readable by others, or belong to another database. Nothing was overwritten."""

    code = "keys"


class BadDatabase(Refusal):
    """The database's schema is newer than this program, or this SQLite version can corrupt the database."""

    code = "database"


class Unreachable(BadDatabase):
    """The database does not let this program in for now; the same start may succeed later."""

    code = "unreachable"
    exit_status = os.EX_TEMPFAIL


class BadBackup(Refusal):
    """The backup does not exist, or restoring it would overwrite existing data."""

    code = "backup"


class BackupRunning(BadBackup):
    """Another process makes a backup of this database now; the same command may succeed later."""

    code = "backup_running"
    exit_status = os.EX_TEMPFAIL

    def __str__(self) -> str:
        return "another process makes a backup of this database now; when it has ended, run the backup again"
