"""What of a deployment is not as it should be: its store, keys, due dates, identity provider and backups."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from ..clock import Clock
from ..errors import BadKeys, BadSetting, ProviderDown, Refusal
from ..keys.decommissioned import refuse_decommissioned
from ..privacy.retention import Trust
from ..service import Service, open_service
from ..settings import Settings
from ..stores.store import Backend
from .copies import Copies
from .findings import Finding, good, problem, warning


async def examine_deployment(settings: Settings, backend: Backend, clock: Clock) -> AsyncIterator[Finding]:
    """Open the store as a server would, and yield a finding for each part of it.

    What a start would refuse is a finding with the refusal's sentence.
    """
    try:
        refuse_decommissioned(settings.keys_dir)
    except BadKeys as refusal:
        yield problem("database", "none any more", refusal.detail)
        return
    except BadSetting as refusal:
        yield problem("keys", refusal.detail, "a start is refused until this is mended")
        return
    try:
        if not await asyncio.to_thread(backend.exists):
            advice = "the first start creates it; if there was one, check --database and --data-dir"
            yield warning("database", f"none at {backend.name}", advice)
            return
        if steps := await asyncio.to_thread(backend.pending):
            found = f"schema {steps[0].number - 1}; this program needs {steps[-1].number}, and `serve` migrates it"
            yield warning("database", found, "back it up with the version that runs now, before you start this one")
            return
        async with open_service(settings, clock) as service:
            async for finding in _examine(service):
                yield finding
    except Refusal as refusal:
        yield problem(refusal.code, refusal.detail, "a start is refused until this is mended")


async def _examine(service: Service) -> AsyncIterator[Finding]:
    await service.store.probe()
    yield good("database", f"{await service.store.engine()}, its schema is this version's, and it can be written")
    yield good("ledger", f"{len(await service.store.remains.ledgers()) or 1} there, as long as the database knows")
    yield await _trusted_time(service)
    yield await _epoch(service)
    yield await _requests(service)
    if service.provider is not None:
        yield await _provider(service.settings.issuer, service.provider.renew)


async def _trusted_time(service: Service) -> Finding:
    trust = Trust(service.store.trusted_time, service.clock)
    since = await trust.since()
    if since is None:
        return good("retention", "has not run yet")
    found = f"trusted this clock last on {since:%Y-%m-%d %H:%M} UTC"
    if await trust.would_be_given():
        return good("retention", found)
    return problem(
        "retention",
        f"{found}, which is too far from now",
        "set the clock, or confirm it: consentful purge --trust-clock",
    )


async def _epoch(service: Service) -> Finding:
    status = await service.rotation.status()
    found = f"{status.age.days} days old; erasures that wait for its end: {status.incomplete:,}"
    if status.age > 2 * timedelta(days=service.settings.epoch_days):
        advice = "start the server, which ends the epoch, or run: consentful roots rotate"
        return problem("master key", found, advice)
    return good("master key", found)


async def _requests(service: Service) -> Finding:
    pending = await service.store.requests.pending()
    if not pending:
        return good("privacy requests", "none pending")
    first = min(request.due for request in pending)
    found = f"{len(pending)} pending, the first due on {first:%Y-%m-%d}"
    if first < service.clock.now():
        return problem(
            "privacy requests",
            found,
            "overdue (GDPR art. 12(3)): run `consentful request list`; the log says why one is pending",
        )
    return warning(
        "privacy requests",
        found,
        "answer what is open (`consentful request list`); a running server retries what is pending",
    )


async def _provider(issuer: str, renew: Callable[[], Awaitable[None]]) -> Finding:
    try:
        await renew()
    except ProviderDown:
        return problem("identity provider", f"no keys from {issuer}", "the log line above says why; check --issuer")
    return good("identity provider", f"{issuer} answers, with keys")


def examine_backups(folder: Path, every: timedelta, now: datetime) -> Iterator[Finding]:
    """Yield how old the newest backup in the folder is whose data and keys are both there.

    `every` is how old it may become: as old as an epoch, if there is no schedule.
    """
    newest = Copies(folder).newest(now)
    if newest is None:
        yield problem("backup", f"none in {folder} with data and keys", f"run: consentful backup {folder}")
        return
    found = f"made on {newest:%Y-%m-%d %H:%M} UTC"
    if now - newest > every:
        advice = f"the server's log says why none was made since; run: consentful backup {folder}"
        yield problem("backup", f"{found}; one is due every {every}", advice)
    else:
        yield good("backup", found)
