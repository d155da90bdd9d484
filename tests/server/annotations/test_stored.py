"""The promises of `annotations.store`, kept by every store; and what pages show of annotated dialogs."""

import random
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from consentful_server.access_log.chain import Actor, Chain
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.log import AccessLog
from consentful_server.access_log.store import Note, Trace
from consentful_server.annotations import sealing
from consentful_server.annotations.remark import WHOLE, Remark
from consentful_server.annotations.store import Anchor, Condition, SealedAnnotation
from consentful_server.annotations.terms import AnnotationTerms
from consentful_server.archive.narrowing import narrowed
from consentful_server.archive.query import Filter, Order, Position, Selection
from consentful_server.archive.store import ListedDialog, StoredDialog
from consentful_server.auth.read_scope import EVERYTHING, ReadScope
from consentful_server.errors import NotFound, Stale
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from kinds import KINDS
from sealed import START, VAULT, candidate

TERMS = AnnotationTerms(b"t" * 32)
ANY = Condition()
LABELS = ("a", "b", "c")
REVIEWS = ("accepted", "pending")
ORDERS: tuple[Order, ...] = ("newest", "stored")
CLOCK = FakeClock(START + timedelta(days=1))


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    opened = await KINDS[request.param](tmp_path, CLOCK)
    yield opened
    await opened.close()


def note_of(store: Store, dialog: int) -> Note:
    log = AccessLog(store.access_log, Chain(b"c" * 32), Commitments(b"v" * 32, EpochSeals(VAULT)), CLOCK)
    return log.note(Actor("ann"), "annotation.written", rows=1, dialogs=[dialog])


def sealed(dialog: StoredDialog, remark: Remark, seq: int = WHOLE, annotator: str = "ann") -> SealedAnnotation:
    key = VAULT.unwrap(dialog.wrapped, dialog.record.dialog_id)
    return sealing.seal(VAULT, key, dialog.record.dialog_id, Anchor(dialog.number, seq, annotator), remark, 0)


async def put(
    store: Store,
    dialog: StoredDialog,
    remark: Remark,
    seq: int = WHOLE,
    annotator: str = "ann",
    *,
    condition: Condition = ANY,
    scope: ReadScope = EVERYTHING,
) -> SealedAnnotation:
    annotation, terms = sealed(dialog, remark, seq, annotator), TERMS.of(annotator, remark)
    await store.annotations.put(annotation, terms, condition, scope, note_of(store, dialog.number))
    return annotation


async def walk_dialogs(
    store: Store, wanted: Filter, order: Order = "newest", scope: tuple[str, ...] | None = None
) -> list[ListedDialog]:
    """Return all dialogs of a filter with their annotations, read in pages of two."""
    found: list[ListedDialog] = []
    after: Position | None = None
    horizon = await store.dialogs.horizon()
    while True:
        select = Selection(filter=wanted, order=order, horizon=horizon, limit=2, after=after, purposes=scope)
        (rows, more), _ = await store.dialogs.list_dialogs(
            select, lambda rows, more: (list(rows), more), annotations=True
        )
        found += rows
        if not more:
            return found
        after = rows[-1].position


async def walk_messages(store: Store, wanted: Filter, order: Order) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    after: Position | None = None
    horizon = await store.dialogs.horizon()
    while True:
        select = Selection(filter=wanted, order=order, horizon=horizon, limit=3, after=after)
        (rows, more), _ = await store.dialogs.list_messages(select, lambda rows, _, more: (list(rows), more))
        found += [(row.dialog, row.seq) for row in rows]
        if not more:
            return found
        after = rows[-1].position


def wanted(label: str | None = None, review: str | None = None, annotator: str | None = None, **more: str) -> Filter:
    return Filter(terms=TERMS.wanted(label=label, review=review, annotator=annotator), **more)  # pyright: ignore[reportArgumentType]


async def test_an_annotation_is_replaced_by_its_author_alone(store: Store) -> None:
    dialog = await store.dialogs.keep(candidate("d-1"))
    first = await put(store, dialog, Remark(("a",)))
    of_message = await put(store, dialog, Remark(("b",)), 2)
    others = await put(store, dialog, Remark(("c",)), annotator="bob")

    second = await put(store, dialog, Remark(("b",)), condition=Condition(etags=(first.etag,)))

    assert await store.annotations.of_dialog(dialog.number) == [second, others, of_message]
    assert await store.annotations.find(second.anchor) == second
    assert await walk_dialogs(store, wanted("a")) == []
    assert [it.annotations for it in await walk_dialogs(store, wanted("b"))] == [(second, of_message)]


async def test_a_page_of_dialogs_can_have_texts_and_annotations(store: Store) -> None:
    dialog = await store.dialogs.keep(candidate("d-1", ("Hi", "Hello")))
    annotation = await put(store, dialog, Remark(("a",)), 2)
    select = Selection(filter=Filter(), order="longest", horizon=None, limit=2)

    (found,), _ = await store.dialogs.list_dialogs(select, lambda rows, _: list(rows), texts=True, annotations=True)

    assert (found.texts, len(found.heads), found.annotations) == (dialog.texts, 2, (annotation,))


async def test_a_refused_change_leaves_no_trace(store: Store) -> None:
    dialog = await store.dialogs.keep(candidate("d-1", purposes=("improve",)))
    kept = await put(store, dialog, Remark(("a",)))

    with pytest.raises(Stale):
        await put(store, dialog, Remark(("b",)), condition=Condition(is_new=True))
    with pytest.raises(NotFound):
        await put(store, dialog, Remark(("b",)), scope=ReadScope(("research",)))
    with pytest.raises(Stale):
        await store.annotations.delete(kept.anchor, Condition(etags=('"x"',)), note_of(store, dialog.number))

    assert await store.annotations.of_dialog(dialog.number) == [kept]
    assert len(await store.access_log.newest(Trace(), None, 10)) == 1


async def test_deleting_is_idempotent_and_on_record_once(store: Store) -> None:
    dialog = await store.dialogs.keep(candidate("d-1"))
    kept = await put(store, dialog, Remark(("a",)))

    assert await store.annotations.delete(kept.anchor, ANY, note_of(store, dialog.number))
    assert not await store.annotations.delete(kept.anchor, ANY, note_of(store, dialog.number))

    assert await store.annotations.of_dialog(dialog.number) == []
    assert await walk_dialogs(store, wanted("a")) == []
    assert len(await store.access_log.newest(Trace(), None, 10)) == 2


async def test_what_erases_a_dialog_erases_its_annotations(store: Store) -> None:
    dialog = await store.dialogs.keep(candidate("d-1"))
    stays = await store.dialogs.keep(candidate("d-2"))
    await put(store, dialog, Remark(("a",)))
    await put(store, dialog, Remark(("a",), "rude"), 1, "bob")
    left = await put(store, stays, Remark(("a",)))

    await store.dialogs.erase("d-1", "withdrawn")

    assert await store.annotations.of_dialog(dialog.number) == []
    assert [it.annotations for it in await walk_dialogs(store, wanted("a"))] == [(left,)]
    residue = await store.dialogs.residue(["d-1"])
    assert (residue.keys, residue.rows) == (0, 0)
    with pytest.raises(NotFound):
        await put(store, dialog, Remark(("a",)))


async def test_a_narrower_consent_hides_annotations_as_it_hides_the_dialog(store: Store) -> None:
    dialog = await store.dialogs.keep(candidate("d-1"))
    annotation = await put(store, dialog, Remark(("a",)))
    assert len(await walk_dialogs(store, wanted("a"), scope=("research",))) == 1

    await store.dialogs.narrow(
        "d-1", lambda stored: narrowed(VAULT, stored, ("improve",), lambda record, messages, _: "receipt")
    )

    assert await walk_dialogs(store, wanted("a"), scope=("research",)) == []
    (shown,) = await walk_dialogs(store, wanted("a"), scope=("improve",))
    assert shown.annotations == (annotation,)
    key = VAULT.unwrap(shown.wrapped, "d-1")
    assert sealing.opened(VAULT, key, "d-1", shown.annotations[0]).labels == ("a",)


async def test_filters_find_what_a_model_finds(store: Store) -> None:
    chance = random.Random(5)
    dialogs = [
        await store.dialogs.keep(
            candidate(
                f"d-{number}",
                ["Hi", "Hello", "Bye"],
                at=START + timedelta(minutes=chance.randrange(9)),
                customer_id=chance.choice(["c-1", "c-2"]),
                language=chance.choice(["en", "de"]),
            )
        )
        for number in range(9)
    ]
    said: dict[tuple[int, int, str], Remark] = {}
    for dialog in dialogs[:-1]:
        for seq, annotator in product(range(3), ["ann", "bob"]):
            if chance.random() < 0.4:
                labels = tuple(chance.sample(LABELS, chance.randrange(3)))
                remark = Remark(labels, None, chance.choice([None, *REVIEWS]))
                said[dialog.number, seq, annotator] = remark
                await put(store, dialog, remark, seq, annotator)

    for label, review, annotator, order in product((None, *LABELS), (None, *REVIEWS), (None, "bob"), ORDERS):
        asked = wanted(label, review, annotator)
        if not asked.terms:
            continue
        hits = [
            anchor
            for anchor, remark in said.items()
            if label in (None, *remark.labels) and review in (None, remark.review) and annotator in (None, anchor[2])
        ]
        listed = await walk_dialogs(store, asked, order)
        assert [it.number for it in listed] == in_order({dialog for dialog, _, _ in hits}, dialogs, order)
        shown = [(it.anchor.dialog, it.anchor.seq, it.anchor.annotator) for row in listed for it in row.annotations]
        assert sorted(shown) == sorted(hits)
        expected = {(d, seq) for d, at, _ in hits for seq in ((1, 2, 3) if at == WHOLE else (at,))}
        found = await walk_messages(store, asked, order)
        assert len(found) == len(set(found))
        assert set(found) == expected
        if order == "stored":
            assert found == sorted(found)
    narrower = await walk_dialogs(store, wanted("a", language="de"))
    assert {it.number for it in narrower} <= {it.number for it in await walk_dialogs(store, wanted("a"))}
    assert {it.language for it in narrower} == {"de"}


def in_order(numbers: set[int], dialogs: Sequence[StoredDialog], order: Order) -> list[int]:
    found = [it for it in dialogs if it.number in numbers]
    if order == "stored":
        return [it.number for it in found]
    return [it.number for it in sorted(found, key=lambda it: (it.received_at, it.number), reverse=True)]
