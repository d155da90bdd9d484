"""The parts of one process, put together once. Edges, commands and housekeeping take what they need from here."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .access_log.chain import Chain
from .access_log.commitments import Commitments
from .access_log.log import AccessLog
from .access_log.verification import Verifier
from .annotations.annotations import Annotations
from .annotations.terms import AnnotationTerms
from .archive.archive import Archive
from .archive.priority import Priority
from .auth.access import Access, NoAuthentication
from .auth.api_keys import ApiKeys
from .auth.claims import rules_of
from .auth.oidc import Oidc
from .auth.provider import Provider
from .clock import Clock, SystemClock
from .consent.notices import Catalogue, default_notice
from .consent.offer import Offer
from .consent.page_texts import read_texts
from .dialogs.registry import Registry
from .errors import BadSetting, OutcomeUnknown, StorageFailed
from .exports.feed import Feed
from .exports.manifests import Manifests
from .exports.recipients import Recipients
from .keys.decommissioned import refuse_decommissioned
from .keys.deployment import load_keys
from .keys.epoch_seals import EpochSeals
from .keys.masters import FileMasters, Masters
from .keys.pseudonyms import Pseudonyms
from .keys.roots import DEPLOYMENT, Roots
from .keys.rotation import Rotation
from .keys.signing import Signer
from .keys.vault import Vault
from .keys.wrapping import PLAIN, Wrapping, wrapping_of
from .limits.clients import Clients
from .limits.withdrawal_attempts import WithdrawalAttempts
from .privacy import ledger
from .privacy.ledger import Ledger, Ledgers
from .privacy.ledger_claim import LedgerClaim
from .privacy.register import Register
from .privacy.repeats import Repeats
from .privacy.replay import replay
from .privacy.requests import PrivacyRequests
from .reading.cursors import Cursors
from .reading.pages import Pages
from .reading.streams import Streams
from .settings import Place, Settings
from .statistics.statistics import Statistics
from .stores.open import backend_of
from .stores.store import GENERATION, Backend, Store
from .tasks import Tasks
from .telemetry.logs import where
from .telemetry.metrics import Metrics
from .workers.parts import Parts
from .workers.reports import Report, report_of

_log: Final = logging.getLogger("consentful.server")


class Service:
    """The parts of one process."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        keys: Roots,
        masters: Masters,
        deployment: bytes,
        clock: Clock,
        generation: bytes,
        *,
        folders: Sequence[Path] = (),
        wrapping: Wrapping = PLAIN,
        claim: LedgerClaim | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.store = store
        self.ledger_claim = claim
        self.wrapping = wrapping
        self.deployment = deployment
        self.limits = settings.limits
        self.folders = {"keys": settings.keys_dir} | ({"data": folders[0]} if folders else {})
        """The folders of this machine that the service writes into."""
        self.metrics = Metrics()
        self.merged_report: Callable[[], Awaitable[Report]] = self._own_report
        """Returns what all workers have counted, if there are several."""
        self.joined_parts: Callable[[], Awaitable[Parts]] = self._no_others
        """Returns which parts of all workers are ready, if there are several."""
        self.registry = Registry(settings.memory // settings.workers)
        self.withdrawal_texts = read_texts(settings.withdrawal_texts)
        self.withdrawal_attempts = WithdrawalAttempts(clock)
        self.clients = Clients(settings, clock)
        self.tasks = Tasks()
        self.is_draining = False
        self._observe()
        self.signer = Signer(keys.signing)
        self.cursors = Cursors(keys.cursor, generation)
        vault = Vault(deployment, keys.wrapping, look=masters.all)
        turn, priority = asyncio.Lock(), Priority()
        self.large_pages = asyncio.Lock()
        """Whoever answers a large page waits for it; see `edges.http.paging`."""
        chain = Chain(keys.derive("access log"))
        commitments = Commitments(keys.derive("access values"), EpochSeals(vault))
        self.access_log = AccessLog(store.access_log, chain, commitments, clock)
        self.log_verifier = Verifier(store.access_log, chain, commitments, turn=turn, give_way=priority.give_way)
        self.api_keys = ApiKeys(store.credentials, self.access_log, keys.derive("api keys"), clock)
        self.provider: Provider | None = None
        self.access: Access = self._access()
        self.offer = Offer(store.notices, self.access_log, clock, timedelta(seconds=settings.max_duration))
        self.rotation = Rotation(
            store.epochs, store.leases, vault, masters, deployment, clock, timedelta(days=settings.epoch_days)
        )
        self.archive = Archive(
            store.dialogs,
            vault,
            priority=priority,
            signer=self.signer,
            pseudonyms=Pseudonyms(keys.derive("pseudonyms")),
            access_log=self.access_log,
            clock=clock,
            issuer=settings.receipt_issuer,
            withdrawal_page=settings.withdrawal_page,
            on_replay=self.metrics.replays.inc,
        )
        self.annotations = Annotations(
            store.annotations,
            store.dialogs,
            vault,
            AnnotationTerms(keys.derive("annotation terms")),
            self.access_log,
            clock,
        )
        self.pages = Pages(
            store.dialogs,
            vault,
            self.cursors,
            self.access_log,
            clock=clock,
            turn=turn,
            priority=priority,
            on_damaged=self.metrics.damaged.inc,
        )
        self.streams = Streams(
            store.dialogs,
            store.exports,
            vault,
            self.access_log,
            turn,
            priority,
            on_damaged=self.metrics.damaged.inc,
        )
        self.statistics = Statistics(store.counters, clock)
        recipients = Recipients(store.access_log)
        self.manifests = Manifests(store.exports, self.access_log, recipients)
        self.feed = Feed(store.exports, recipients, clock)
        self.repeats = Repeats(keys.derive("idempotency keys"))
        self.register = Register(store.requests, self.access_log, clock, settings.due_within)
        self.privacy_requests = PrivacyRequests(
            self.archive,
            store.dialogs,
            store.requests,
            store.notices,
            self.pages,
            self.annotations,
            self.access_log,
            recipients,
            self.signer,
            store.leases,
            clock,
            issuer=settings.receipt_issuer,
            due_within=settings.due_within,
        )

    @property
    def catalogue(self) -> Catalogue:
        """The notices on offer."""
        return self.offer.catalogue

    def _access(self) -> Access:
        settings = self.settings
        if settings.access == "oidc":
            provider = self.provider = Provider(settings.issuer, self.clock)
            self.metrics.provider_age.set_function(lambda: provider.age)
            return Oidc(provider, rules_of(settings), self.clock)
        return NoAuthentication() if settings.access == "none" else self.api_keys

    def _observe(self) -> None:
        """Have the metrics show what the parts hold, at the moment when they are read."""
        metrics = self.metrics
        metrics.build.labels(version("consentful")).set(1)
        metrics.started.set(self.clock.now().timestamp())
        metrics.memory_limit.set(self.registry.limit)
        metrics.live.set_function(lambda: len(self.registry))
        metrics.memory.set_function(lambda: self.registry.bytes_used)
        metrics.streams.set_function(lambda: self.clients.streams)
        metrics.draining.set_function(lambda: self.is_draining)
        metrics.queue.set_function(lambda: self.store.waiting)
        metrics.replica_avoided.set_function(lambda: self.store.is_replica_avoided)
        self.store.measure(metrics.committed)

    def report(self) -> Report:
        """Return what this process has counted until now."""
        return report_of(self.metrics)

    async def _own_report(self) -> Report:
        return self.report()

    async def _no_others(self) -> Parts:
        return {}

    async def flush(self) -> None:
        """Write what is counted in memory: how dialogs ended, and when API keys were used."""
        await self.statistics.flush()
        await self.api_keys.flush()


@asynccontextmanager
async def open_service(settings: Settings, clock: Clock | None = None) -> AsyncGenerator[Service]:
    """Open the store and the keys, and check that they match; close them afterwards.

    Before the service is yielded, the store knows all that the ledger knows (`replay`), so nothing that was erased is
    ever served, and no API key that was revoked is ever accepted.

    Raises:
        BadKeys: If the keys are missing, readable by others, or another store's, or if the ledger is missing or older
            than the store; nothing is overwritten.
        BadSetting: If the keys folder is inside the data folder, a scope is unknown, or the database URL is of no known
            kind.
        BadDatabase: If the schema is newer than this program, or the database cannot be trusted with data.
    """
    clock = clock or SystemClock()
    rules_of(settings)  # before anything is created
    refuse_decommissioned(settings.keys_dir)
    backend = backend_of(settings.database, settings.data_dir, settings.read_database)
    keep_apart(settings, backend)
    wrapping = wrapping_of(settings.keys_command)
    erasures = Ledger(settings.keys_dir / ledger.NAME)
    store = await backend.open(clock, erasures, settings.reserve)
    claim = LedgerClaim(erasures, store.leases) if backend.is_shared else None
    try:
        if DEPLOYMENT not in await store.facts.all():
            erasures.create()  # before the keys, which record the deployment (`ledger`, R3)
        keys, deployment = await load_keys(
            store.facts, store.epochs, settings.keys_dir, store=backend.name, clock=clock, wrapping=wrapping
        )
        ledgers = Ledgers(settings.keys_dir, await store.remains.ledgers())
        ledgers.check()
        if claim is None:
            erasures.open()
        else:
            await claim.claim()
        generation = (await store.facts.all()).get(GENERATION, b"")
        masters = FileMasters(settings.keys_dir, wrapping)
        service = Service(
            settings,
            store,
            keys,
            masters,
            deployment,
            clock,
            generation,
            folders=backend.folders,
            wrapping=wrapping,
            claim=claim,
        )
        if not await store.notices.all():
            await service.offer.add(default_notice())
        erasures.numbered = await replay(
            ledgers,
            archive=service.archive,
            dialogs=store.dialogs,
            exports=store.exports,
            remains=store.remains,
            credentials=store.credentials,
            api_keys=service.api_keys,
            notices=store.notices,
            offer=service.offer,
        )
        await service.offer.refresh()  # the replay may have retired a notice
        yield service
        await _flush_at_last(service)  # not after a failure: the store may be the reason
        if claim is not None:
            await claim.release()
    finally:
        await store.close()


async def _flush_at_last(service: Service) -> None:
    """Write what was counted since the last time; a stop succeeds while the store is away, too."""
    try:
        await service.flush()
    except (StorageFailed, OutcomeUnknown) as error:
        _log.error("counts were not written", extra=where(error))


def keep_apart(place: Place, backend: Backend) -> None:
    """Check that a copy of the data folder never contains the keys.

    Raises:
        BadSetting: If the keys folder is the data folder, or inside it.
    """
    keys = place.keys_dir.resolve()
    for folder in backend.folders:
        if keys == folder.resolve() or folder.resolve() in keys.parents:
            raise BadSetting(
                "keys_dir",
                "must be outside the data directory, so that a copy of the data never contains its keys;"
                f" {place.keys_dir} is in {folder}",
            )
