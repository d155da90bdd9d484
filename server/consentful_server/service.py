"""One process's parts, put together once; every edge gets what it needs from here."""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from typing import Final

from .access_log.chain import SERVICE, Actor, Chain
from .access_log.commitments import Commitments
from .access_log.log import Logbook
from .archive.archive import Archive
from .archive.query import Cursors
from .archive.store import Reason
from .auth.access import Access, OpenDoor
from .auth.api_keys import ApiKeys
from .auth.oidc import Oidc
from .auth.provider import Provider
from .clock import Clock, SystemClock, to_micros
from .consent.notices import Catalogue, Wording, default_notice
from .dialogs.registry import Registry
from .errors import BadKeys
from .exports.feed import Exports
from .keys import roots, signing
from .keys.masters import FileMasters, Masters
from .keys.pseudonyms import Pseudonyms
from .keys.roots import Roots
from .keys.rotation import Rotation
from .keys.signing import Signer
from .keys.vault import Vault
from .limits.clients import Clients
from .limits.withdrawal_attempts import Guesses
from .privacy import ledger
from .privacy.ledger import Ledger
from .privacy.requests import Privacy
from .reading.pages import Reading
from .reading.streams import Streams
from .settings import Settings
from .statistics.statistics import Stats
from .stores.sqlite import SQLiteStore
from .stores.sqlite.reserve import BESIDE_THE_LEDGER, NAME, Reserve
from .stores.store import Store
from .tasks import Tasks
from .telemetry import Metrics

_log: Final = logging.getLogger("consentful.server")

_LOOKED_UP_AT_ONCE: Final = 10_000


class Service:
    """What one process runs on."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        keys: Roots,
        masters: Masters,
        deployment: bytes,
        clock: Clock,
        reserve: Reserve,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.store = store
        self.deployment = deployment
        self.reserve = reserve
        self.limits = settings.limits
        self.metrics = Metrics()
        self.catalogue = Catalogue(default_notice())
        self.registry = Registry(settings.memory)
        self.signer = Signer(keys.signing)
        self.logbook = Logbook(
            store, Chain(keys.derive("access log")), Commitments(keys.derive("access values")), clock
        )
        self.keys = ApiKeys(store, self.logbook, keys.derive("api keys"), clock)
        self.access: Access = self._access()
        self.cursors = Cursors(keys.cursor)
        vault = Vault(deployment, keys.wrapping, look=masters.all)
        self.rotation = Rotation(store, vault, masters, deployment, clock, timedelta(days=settings.epoch_days))
        self.archive = Archive(
            store,
            vault,
            signer=self.signer,
            pseudonyms=Pseudonyms(keys.derive("pseudonyms")),
            logbook=self.logbook,
            clock=clock,
            issuer=settings.receipt_issuer,
        )
        self.reading = Reading(store, vault, self.cursors, self.logbook)
        self.streams = Streams(store, vault, self.logbook)
        self.exports = Exports(store, self.logbook, clock)
        self.stats = Stats(store, clock)
        self.privacy = Privacy(
            self.archive,
            self.reading,
            self.logbook,
            self.signer,
            clock,
            issuer=settings.receipt_issuer,
            due_within=settings.due_within,
        )
        self.guesses = Guesses(clock)
        self.clients = Clients(settings, clock)
        self.tasks = Tasks()
        self.is_draining = False

    def _access(self) -> Access:
        settings = self.settings
        if settings.access == "oidc":
            provider = Provider(settings.issuer, self.clock)
            return Oidc(provider, settings.issuer, settings.audience, self.clock)
        return OpenDoor() if settings.access == "none" else self.keys

    async def offer(self, wordings: Sequence[Wording], *, by: Actor = SERVICE) -> None:
        """Put a notice on offer, in all its languages. Adding it again changes nothing.

        Raises:
            Conflict: If there is another notice of this id.
        """
        await self.store.notices.add(wordings, self.logbook.note(by, "notice.added", subject=wordings[0].id))

    async def retire(self, notice_id: str, *, by: Actor) -> bool:
        """Take a notice off offer; False if there is none."""
        return await self.store.notices.retire(notice_id, self.logbook.note(by, "notice.retired", subject=notice_id))

    async def refresh(self) -> None:
        """See what was changed from outside, go on with privacy requests that are pending, and tell how all stands."""
        await self.refresh_catalogue()
        await self.flush()
        self.metrics.reserve.set(await asyncio.to_thread(self.reserve.take) if self.reserve.is_short else True)
        pending = await self.privacy.retry()
        self.metrics.pending.set(len(pending))
        now = to_micros(self.clock.now())
        self.metrics.due.set(min(((request.due_at - now) / 1_000_000 for request in pending), default=math.inf))
        self.metrics.logged.set((await self.logbook.head()).number)
        untold = await self.exports.untold_since()
        await self.rotation.renew()
        self.signer.renew(await asyncio.to_thread(signing.load, self.settings.keys_dir))
        standing = await self.rotation.standing()
        self.metrics.epoch.set(standing.age.total_seconds())
        self.metrics.rewrapping.set(standing.left)
        self.metrics.incomplete.set(standing.incomplete)
        self.metrics.untold.set(0 if untold is None else (now - untold) / 1_000_000)

    async def replace_signing_key(self) -> None:
        """Sign with a new key from now on. What the present one signed can still be verified; it signs nothing more."""
        folder = self.settings.keys_dir
        keys = await asyncio.to_thread(signing.replace, folder)
        value = roots.check_value(keys.key.private_bytes_raw(), self.deployment)
        await self.store.facts.state({roots.CHECK + keys.name: value})
        await asyncio.to_thread(signing.retire, folder)
        self.signer.renew(keys)
        _log.info("signing key replaced", extra={"kid": self.signer.jwk["kid"]})

    async def flush(self) -> None:
        """Put on record what is counted in memory meanwhile: how dialogs ended, and which keys were used."""
        await self.stats.flush()
        await self.keys.flush()

    async def anchor(self) -> None:
        """Write the access log's head into the server's log, which is usually kept where this machine cannot write."""
        _log.info("access log", extra={"head": str(await self.logbook.head())})

    async def refresh_catalogue(self) -> None:
        """See which notices are on offer now, and which a dialog may still have been shown before they were retired."""
        oldest = to_micros(self.clock.now() - timedelta(seconds=self.settings.max_duration))
        known = await self.store.notices.all()
        self.catalogue = Catalogue([it for it in known if it.retired_at is None or it.retired_at > oldest])


@asynccontextmanager
async def open_service(settings: Settings, clock: Clock | None = None) -> AsyncGenerator[Service]:
    """Open the store and the keys, and see that they fit each other; close them afterwards.

    Raises:
        BadKeys: If the keys are missing, exposed or another database's; nothing is overwritten.
        BadDatabase: If the schema is newer than this program, or this SQLite can corrupt it.
    """
    clock = clock or SystemClock()
    settings.database_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    erasures = Ledger(settings.keys_dir / ledger.NAME)
    reserve = Reserve(
        {
            settings.database_path.with_name(NAME): settings.reserve,
            settings.keys_dir / NAME: min(settings.reserve, BESIDE_THE_LEDGER),
        }
    )
    store = await SQLiteStore.open(settings.database_path, clock, erasures, reserve)
    try:
        masters = FileMasters(settings.keys_dir)
        keys, deployment = await _fit(store, settings, clock)
        erasures.open()
        service = Service(settings, store, keys, masters, deployment, clock, reserve)
        if not await store.notices.all():
            await service.offer(default_notice())
        await service.refresh_catalogue()
        await _erase_again(service, erasures)
        yield service
        await service.flush()
    finally:
        await store.close()


async def _erase_again(service: Service, erasures: Ledger) -> None:
    """Erase what is in the ledger and yet stored: a crash came between, or an older backup was restored."""
    entries = iter(erasures)
    while some := list(islice(entries, _LOOKED_UP_AT_ONCE)):
        reasons: dict[str, Reason] = {entry.dialog_id: entry.reason for entry in some}
        held = await service.store.still_held(list(reasons))
        await asyncio.gather(*(service.archive.erase(dialog_id, reasons[dialog_id]) for dialog_id in held))
        if held:
            _log.warning("erased again", extra={"dialogs": len(held)})


async def _fit(store: Store, settings: Settings, clock: Clock) -> tuple[Roots, bytes]:
    """Return the roots and the deployment's id; make them if both the database and the folder are new."""
    facts = await store.facts.all()
    if roots.DEPLOYMENT not in facts:
        await asyncio.to_thread(roots.create, settings.keys_dir)
        facts = await _found(store, settings)
    elif not roots.exist(settings.keys_dir):
        raise BadKeys(
            f"{settings.database_path} was written with keys that are not in {settings.keys_dir}; "
            "name their folder with --keys-dir, or put them back from their own backup; nothing was changed"
        )
    await store.epochs.begin(roots.FIRST_EPOCH, to_micros(clock.now()), {})
    epochs = await store.epochs.all()
    keys = roots.load(settings.keys_dir)
    emptied = {epoch.number for epoch in epochs if epoch.emptied_at is not None}
    roots.check(keys, facts[roots.DEPLOYMENT], roots.stated(facts, emptied, keys))
    return keys.of({epoch.number for epoch in epochs}), facts[roots.DEPLOYMENT]


async def _found(store: Store, settings: Settings) -> dict[str, bytes]:
    """Give a new database its deployment's id and the check values of its keys; whoever is first decides."""
    deployment = roots.new_deployment()
    checks = roots.load(settings.keys_dir).checks(deployment)
    await store.facts.state(
        {roots.DEPLOYMENT: deployment} | {roots.CHECK + name: value for name, value in checks.items()}
    )
    return await store.facts.all()
