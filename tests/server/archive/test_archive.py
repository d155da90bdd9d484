"""The archive: what goes in sealed comes out opened, in pages that never shift, and damage is named."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from consentful.wire import Consent
from consentful_server.archive.query import Filter, Order
from consentful_server.auth.read_scope import ReadScope
from consentful_server.dialogs.dialog import Dialog, Granted
from consentful_server.errors import BadKeys, Damaged, Erased, NotFound
from consentful_server.keys.vault import withdrawal_hash
from consentful_server.reading import pages as module
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock
from receipts import verified
from sealed import CATALOGUE, START, spoken

ALL = ReadScope(identify=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with open_service(settings, FakeClock(START + timedelta(days=1))) as opened:
        yield opened


def granted(dialog: Dialog, purposes: Sequence[str] | None = None) -> Granted:
    decision = dialog.decide(
        Consent(True, len(dialog.utterances), purposes=None if purposes is None else list(purposes)), CATALOGUE
    )
    assert isinstance(decision, Granted)
    return decision


async def keep(service: Service, dialog_id: str, texts: Sequence[str] = ("Hi", "Hello"), **how: object):
    dialog = spoken(dialog_id, texts, **how)  # pyright: ignore[reportArgumentType]
    return await service.archive.keep(dialog, granted(dialog), owner="shop", channel="websocket")


async def test_a_kept_dialog_is_read_back_word_for_word(service: Service) -> None:
    texts = ["Wo ist mein Paket?", "أين طردي؟", "🦉 \0 \n", "x" * 10_000]
    await keep(service, "d-1", texts, customer_id="c-ü", language="DE", bot="b-1")

    dialog = await service.pages.dialog("d-1", ALL)

    assert [message.text for message in dialog.messages] == texts
    assert [message.role for message in dialog.messages] == ["customer", "bot", "customer", "bot"]
    assert (dialog.customer_id, dialog.language, dialog.bot) == ("c-ü", "de", "b-1")
    assert dialog.customer == service.archive.pseudonym("c-ü") == dialog.messages[0].customer
    assert dialog.expires_at == START + timedelta(days=31)


async def test_without_the_scope_nobody_is_named(service: Service) -> None:
    await keep(service, "d-1", customer_id="c-4711")

    dialog = await service.pages.dialog("d-1", ReadScope())

    assert "c-4711" not in repr(dialog)
    assert b"c-4711" not in msgspec.json.encode(dialog)


async def test_the_receipt_states_the_consent_and_is_bound_to_the_content(service: Service) -> None:
    first = await keep(service, "d-1")
    second = await keep(service, "d-2")

    claims, other = (verified(stored.receipt, service.signer.jwk) for stored in (first, second))

    assert claims["sub"] == service.archive.pseudonym("c-1")
    assert claims["purposes"] == ["improve", "research"]
    assert claims["notice"] == {"id": "n-1", "language": "en", "sha256": CATALOGUE.wordings[0].sha256}
    assert claims["messages"] == 2
    # The same words under another key: a digest that nobody can guess the words from.
    assert claims["content_hmac_sha256"] != other["content_hmac_sha256"]


async def test_only_the_hash_of_the_withdrawal_code_is_stored(service: Service, settings: Settings) -> None:
    stored = await keep(service, "d-1")
    db = connect(settings.data_dir / "consentful.db")
    (kept,) = db.execute("SELECT withdrawal_hash FROM dialogs").fetchone()
    db.close()

    assert kept == withdrawal_hash(stored.withdrawal_code)
    files = b"".join(path.read_bytes() for path in settings.data_dir.iterdir())
    assert stored.withdrawal_code.encode() not in files


@pytest.mark.parametrize("order", ["newest", "stored"])
async def test_pages_end_exactly_where_the_rows_end(service: Service, order: Order) -> None:
    await keep(service, "d-1", ["a", "b", "c", "d"])

    first = await service.pages.messages(Filter(), ALL, order=order, limit=2, view=list)
    second = await service.pages.messages(Filter(), ALL, order=order, limit=2, view=list, cursor=first.next)

    assert (len(first.items), first.more) == (2, True)
    assert (len(second.items), second.more) == (2, False)
    assert (second.next is None) == (order == "newest")


async def test_in_commit_order_a_kept_cursor_goes_on_with_what_came_since(service: Service) -> None:
    await keep(service, "d-1")
    read = await service.pages.messages(Filter(language="en"), ALL, order="stored", limit=10, view=list)
    assert read.items == []
    await keep(service, "d-2", language="en")

    later = await service.pages.messages(
        Filter(language="en"), ALL, order="stored", limit=10, view=list, cursor=read.next
    )
    nothing = await service.pages.messages(
        Filter(language="en"), ALL, order="stored", limit=10, view=list, cursor=later.next
    )

    assert [(message.dialog_id, message.seq) for message in later.items] == [("d-2", 1), ("d-2", 2)]
    assert nothing.items == []


async def test_newest_first_a_walk_does_not_shift_when_more_is_stored(service: Service) -> None:
    for number in range(4):
        await keep(service, f"d-{number}", at=START + timedelta(minutes=number))
    first = await service.pages.messages(Filter(), ALL, order="newest", limit=3, view=list)
    await keep(service, "d-new", at=START)  # older words, stored later

    rest = await service.pages.messages(Filter(), ALL, order="newest", limit=100, view=list, cursor=first.next)

    walked = [(message.dialog_id, message.seq) for message in (*first.items, *rest.items)]
    assert walked == [(f"d-{number}", seq) for number in (3, 2, 1, 0) for seq in (2, 1)]


@pytest.mark.parametrize("needle", ["NEEDLE", "needle", "NeedlE", "straße needle", "STRASSE NEEDLE"])
async def test_a_search_has_no_case(service: Service, needle: str) -> None:
    await keep(service, "d-1", ["nothing", "Die Straße NeeDle", "nothing"])

    page = await service.pages.messages(Filter(q=needle), ALL, order="newest", limit=10, view=list)

    assert [(message.dialog_id, message.seq) for message in page.items] == [("d-1", 2)]
    assert page.next is None


async def test_a_search_is_bounded_per_page_and_goes_on_by_cursor(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SCAN_BLOCK", 3)
    monkeypatch.setattr(module, "_SCAN_MOST", 6)
    for number in range(8):
        text = "a needle" if number in (0, 7) else "hay"
        await keep(service, f"d-{number}", [text, "hay"], at=START + timedelta(minutes=number))

    found: list[str] = []
    pages = 0
    cursor: str | None = None
    while pages == 0 or cursor:
        page = await service.pages.messages(Filter(q="needle"), ALL, order="newest", limit=10, view=list, cursor=cursor)
        found += [message.dialog_id for message in page.items]
        cursor = page.next
        pages += 1

    assert found == ["d-7", "d-0"]
    assert pages == 3  # 16 messages, 6 a page: the second page was empty, and said that there is more


async def test_a_dialog_outside_the_readers_purposes_looks_like_none(service: Service) -> None:
    await keep(service, "d-1")
    with pytest.raises(NotFound):
        await service.pages.dialog("d-1", ReadScope(("marketing",)))

    await service.archive.erase("d-1", "withdrawn")

    with pytest.raises(NotFound):
        await service.pages.dialog("d-1", ReadScope(("marketing",)))
    with pytest.raises(Erased):
        await service.pages.dialog("d-1", ALL)


@pytest.mark.parametrize(
    "tampering",
    [
        'UPDATE dialogs SET purposes = \'["improve", "research", "marketing"]\'',
        "UPDATE dialogs SET customer = 'cus_someone_else'",
        "UPDATE dialogs SET expires_at = expires_at + 1",
        "UPDATE seals SET texts = (SELECT texts FROM seals WHERE dialog = 2) WHERE dialog = 1",
        "UPDATE dialog_keys SET wrapped = (SELECT wrapped FROM dialog_keys WHERE dialog = 2) WHERE dialog = 1",
        "UPDATE dialog_keys SET wrapped = zeroblob(64)",
        "UPDATE dialogs SET language = 'de'",
        "UPDATE dialogs SET messages = 1",
        "UPDATE dialogs SET opened_at = opened_at - 1",
        "UPDATE dialogs SET received_at = received_at + 1",
        "UPDATE messages SET role = 'agent' WHERE seq = 2",
        "UPDATE messages SET language = 'de' WHERE seq = 1",
        "UPDATE messages SET received_at = received_at + 1 WHERE seq = 1",
        "DELETE FROM messages WHERE seq = 2",
        "INSERT INTO messages (dialog, seq, role, received_at) SELECT dialog, 3, role, received_at FROM messages"
        " WHERE seq = 1",
    ],
)
async def test_a_dialog_that_was_altered_in_the_store_does_not_open(
    service: Service, settings: Settings, tampering: str
) -> None:
    await keep(service, "d-1")
    await keep(service, "d-2")
    db = connect(settings.data_dir / "consentful.db")
    db.execute(tampering)
    db.close()

    with pytest.raises(Damaged, match="d-1"):
        await service.pages.dialog("d-1", ALL)


async def test_a_narrower_consent_keeps_the_times_of_the_first_and_opens(service: Service) -> None:
    await keep(service, "d-1")
    before = await service.pages.dialog("d-1", ALL)
    later = spoken("d-1", at=START + timedelta(minutes=1))

    await service.archive.keep(later, granted(later, ["improve"]), owner="shop", channel="websocket")

    after = await service.pages.dialog("d-1", ALL)
    assert after.purposes == ("improve",)
    assert (after.opened_at, after.received_at, after.messages) == (
        before.opened_at,
        before.received_at,
        before.messages,
    )


async def test_a_narrower_consent_does_not_vouch_for_what_was_altered(service: Service, settings: Settings) -> None:
    await keep(service, "d-1")
    with closing(connect(settings.data_dir / "consentful.db")) as db:
        db.execute("UPDATE messages SET received_at = received_at + 1")
    later = spoken("d-1")

    with pytest.raises(Damaged, match="d-1"):
        await service.archive.keep(later, granted(later, ["improve"]), owner="shop", channel="websocket")


async def test_keys_that_are_gone_are_not_made_anew(settings: Settings) -> None:
    async with open_service(settings) as opened:
        await keep(opened, "d-1")
    for path in settings.keys_dir.iterdir():
        path.unlink()

    with pytest.raises(BadKeys, match="restore them"):
        async with open_service(settings):
            pass

    assert list(settings.keys_dir.iterdir()) == []


async def test_another_databases_keys_are_refused(settings: Settings, tmp_path: Path) -> None:
    async with open_service(settings), open_service(Settings(data_dir=tmp_path / "b", keys_dir=tmp_path / "other")):
        pass
    mixed = Settings(data_dir=settings.data_dir, keys_dir=tmp_path / "other")
    before = (settings.data_dir / "consentful.db").read_bytes()

    with pytest.raises(BadKeys, match="not the one that this database was written with"):
        async with open_service(mixed):
            pass

    assert (settings.data_dir / "consentful.db").read_bytes() == before


async def test_the_same_keys_open_the_database_again(settings: Settings) -> None:
    async with open_service(settings) as opened:
        await keep(opened, "d-1", ["still here"])

    async with open_service(settings) as again:
        assert (await again.pages.dialog("d-1", ALL)).messages[0].text == "still here"
