"""`consentful doctor`: what of the settings, the machine and the deployment is not well, and what to do about it."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography.x509 import load_pem_x509_certificate

from ..clock import SystemClock
from ..edges.server.runner import check_files
from ..edges.server.tls import certificate_of
from ..errors import BadSetting
from ..operations.doctor import examine_backups, examine_deployment
from ..operations.findings import Finding, good, problem, warning
from ..operations.folders import check_folders
from ..operations.machine import examine_machine
from ..settings import Settings
from ..stores.open import backend_of
from ..stores.store import Backend
from ..telemetry.logs import set_up_logging
from . import OUT
from .listing import show, show_json

_SOON_DAYS: Final = 14
_HEADINGS: Final = ("subject", "state", "found", "advice")


def examine(settings: Settings, backups: Path | None, *, as_json: bool) -> int:
    """Print what was found; return 1 if anything is a problem, otherwise 0."""
    set_up_logging("error", "console")
    findings = asyncio.run(_examine(settings, backups))
    rows = [msgspec.structs.asdict(finding) for finding in findings]
    if as_json:
        show_json(rows)
    else:
        show(OUT, _HEADINGS, rows)
    return int(any(finding.state == "problem" for finding in findings))


async def _examine(settings: Settings, backups: Path | None) -> list[Finding]:
    clock = SystemClock()
    backend = backend_of(settings.database, settings.data_dir)
    findings = [
        _settings(settings, backend),
        *_tls(settings, clock.now()),
        *await asyncio.to_thread(lambda: list(examine_machine(settings, backend))),
        *[finding async for finding in examine_deployment(settings, backend, clock)],
    ]
    epoch = timedelta(days=settings.epoch_days)
    if backups is not None:
        findings += examine_backups(backups, epoch, clock.now())
    elif settings.backup_folder is not None:
        every = min(epoch, 2 * timedelta(hours=settings.backup_every))
        findings += examine_backups(settings.backup_folder, every, clock.now())
    return findings


def _settings(settings: Settings, backend: Backend) -> Finding:
    try:
        check_folders(settings, backend)
        check_files()
    except BadSetting as refusal:
        return problem("settings", refusal.detail, "a start is refused until this is mended")
    return good("settings", f"valid; {settings.host}:{settings.port}, --auth {settings.access}")


def _tls(settings: Settings, now: datetime) -> Iterator[Finding]:
    if settings.tls_cert is None:
        if settings.is_loopback or settings.trusted_proxy:
            yield good("TLS", "none: loopback, or behind your proxy")
        else:
            yield warning("TLS", "none", "set --tls-cert and --tls-key, or put a proxy with HTTPS in front")
        return
    try:
        certificate_of(settings)
    except BadSetting as refusal:
        yield problem("TLS", refusal.detail, "a start is refused until this is mended")
        return
    expires = load_pem_x509_certificate(settings.tls_cert.read_bytes()).not_valid_after_utc
    found = f"certificate valid until {expires:%Y-%m-%d %H:%M} UTC"
    if expires <= now:
        yield problem("TLS", found, f"expired: renew {settings.tls_cert}; the server loads it by itself")
    elif (expires - now).days < _SOON_DAYS:
        yield warning("TLS", found, f"renew {settings.tls_cert}; the server loads it by itself")
    else:
        yield good("TLS", found)
