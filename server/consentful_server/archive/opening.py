"""Opening: sealed dialogs become text again, for one reader, as far as the reader's scope needs. Pure.

    Opener.open(dialog) ──► Opened: the key is unwrapped at once, each field when it is first read
                │ the key, a seal, the record or a column does not fit
                └──► the dialog is left out, and its id is in `damaged`; its neighbours are shown

Threads: an `Opener` and its `Opened` belong to one page or block. They run on a reader's thread inside the read
transaction; the event loop reads `damaged` after that thread has finished. Only the vault is shared (see `vault`).

Nothing is cached: `Opened` holds a dialog's key and text, and is discarded with the page.

(R1) A key is read before it is rewrapped, and opened after its old master was destroyed: lists are opened inside the
     read transaction, and the store ends no epoch while a transaction shows an earlier key. What `find` returns is
     opened right after it; a process drops a master one second after the last rewrapping, at the earliest.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from ..annotations import sealing
from ..annotations.remark import KeptAnnotation
from ..auth.read_scope import ReadScope
from ..clock import all_from_micros, from_micros
from ..consent.record import canonical_content
from ..errors import Damaged
from ..keys.vault import DialogKey, Field, Unopenable, Vault
from .contents import Line, bound, decode_lines, decode_metadata
from .folding import fold
from .store import ListedDialog, MessageHead, MessageRow, StoredDialog
from .views import (
    CHAT_ROLES,
    FIRST_TEXT_LENGTH,
    Chat,
    ChatLine,
    Extra,
    KeptDialog,
    KeptMessage,
    Roles,
    ShownNotice,
    Summary,
)


def unwrap(vault: Vault, sealed: ListedDialog) -> DialogKey:
    """Return the dialog's key.

    Raises:
        Damaged: If its stored form was altered, or its master key was destroyed.
    """
    try:
        return vault.unwrap(sealed.wrapped, sealed.record.dialog_id)
    except Unopenable:
        raise Damaged(sealed.record.dialog_id) from None


class Opened:
    """One stored dialog; its fields are opened when they are read. Discard it after one page."""

    __slots__ = (
        "_annotations",
        "_bound",
        "_customer_id",
        "_key",
        "_lines",
        "_metadata",
        "_sealed",
        "_stored_at",
        "_vault",
    )

    def __init__(self, vault: Vault, sealed: ListedDialog) -> None:
        self._vault = vault
        self._sealed = sealed
        self._key = unwrap(vault, sealed)
        self._lines: list[Line] | None = None
        self._annotations: list[KeptAnnotation] | None = None
        self._customer_id: str | None = None
        self._metadata: dict[str, str] | UnsetType | None = UNSET  # not opened yet
        record = sealed.record  # bound once for all fields
        self._bound = bound(record, sealed.language, sealed.messages, sealed.opened_at, sealed.received_at)
        self._stored_at = from_micros(sealed.stored_at)

    def __repr__(self) -> str:
        return f"Opened({self._sealed.record.dialog_id!r})"

    def check(self, scope: ReadScope, *, texts: bool, heads: bool = False, metadata: bool = False) -> None:
        """Open all fields that will be shown, so that a damaged dialog is found before any of it is shown. With
        `heads`, compare them too.

        Raises:
            Damaged: If a field cannot be opened, a message is missing, or a column was altered.
        """
        # A missing line would give every later message the text of its neighbour.
        if texts and len(self.lines) != self._sealed.messages:
            raise Damaged(self.dialog_id)
        if scope.identify or not texts:  # one seal is always opened: it vouches for the columns
            _ = self.customer_id
        if heads:
            self.check_heads()
        if self._sealed.annotations:
            _ = self.annotations
        if metadata:
            _ = self.metadata

    def check_heads(self) -> None:
        """Check that the heads of the messages are all there, as they were sealed.

        Raises:
            Damaged: If one is missing, or was altered.
        """
        heads = self._sealed.heads
        if len(heads) != len(self.lines) or not all(map(_fits, self.lines, heads)):
            raise Damaged(self.dialog_id)

    def lines_of(self, rows: Iterable[MessageRow]) -> list[Line]:
        """Return the lines of these rows, which are messages of the dialog.

        Raises:
            Damaged: If one is not, or is not as it was sealed.
        """
        lines, found = self.lines, list[Line]()
        for row in rows:
            if not 1 <= row.seq <= len(lines):
                raise Damaged(self.dialog_id)
            line = lines[row.seq - 1]
            found.append(line)
            head = line.head  # `_fits`, without a call for each message of an export
            if head is not None and (
                head.received_at != row.received_at or head.role != row.role or head.language != row.language
            ):
                raise Damaged(self.dialog_id)
        return found

    @property
    def lines(self) -> list[Line]:
        """The plaintext of the texts, one line for each message."""
        if self._lines is None:
            self._lines = decode_lines(self._open("texts", self._sealed.texts))
        return self._lines

    @property
    def customer_id(self) -> str:
        """The customer's id; only for readers with the scope `data:identify`, and for the content digest."""
        if self._customer_id is None:
            self._customer_id = self._open("customer", self._sealed.customer).decode()
        return self._customer_id

    @property
    def dialog_id(self) -> str:
        return self._sealed.record.dialog_id

    def text(self, seq: int) -> str:
        """Return the text of a message by its seq."""
        return self.lines[seq - 1].text

    def spelt(self, seq: int) -> str | None:
        """Return a message's language tag as the chatbot sent it, if that differs from the canonical form."""
        return self.lines[seq - 1].spelt

    @property
    def metadata(self) -> dict[str, str] | None:
        """The dialog's metadata; None if it has none."""
        if self._metadata is UNSET:
            sealed = self._sealed.metadata
            self._metadata = None if sealed is None else decode_metadata(self._open("metadata", sealed))
        return self._metadata

    def has_metadata(self, pairs: Mapping[str, str]) -> bool:
        """Return whether the dialog's metadata has all these pairs."""
        return pairs.items() <= (self.metadata or {}).items()

    @property
    def annotations(self) -> list[KeptAnnotation]:
        """The annotations that came with the dialog."""
        if self._annotations is None:
            try:
                self._annotations = [
                    sealing.opened(self._vault, self._key, self.dialog_id, it) for it in self._sealed.annotations
                ]
            except Unopenable:
                raise Damaged(self.dialog_id) from None
        return self._annotations

    def content_digest(self) -> bytes:
        """Return the keyed digest of the stored content; the dialog must have its heads.

        Raises:
            Damaged: If a field cannot be opened, or a message is missing or was altered.
        """
        self.check_heads()
        heads = enumerate(zip(self._sealed.heads, self.lines, strict=True), 1)
        messages = [(seq, head.role, line.text, head.language) for seq, (head, line) in heads]
        return self._key.digest(canonical_content(self.customer_id, self._sealed.record.notice_id, messages))

    def messages(self, rows: Sequence[MessageRow], scope: ReadScope) -> list[KeptMessage]:
        """Return the messages of these rows, as far as the scope allows."""
        return _messages(rows, self.lines_of(rows), {self._sealed.number: self.shared(scope)})

    def shared(self, scope: ReadScope, extras: Collection[Extra] = ()) -> "_Shared":
        """Return what all messages of the dialog show, as far as the scope allows, with these extras."""
        record, metadata = self._sealed.record, self.metadata if "metadata" in extras else UNSET
        return record.dialog_id, record.customer, self._named(scope), record.bot, self._stored_at, metadata

    def summary(self, scope: ReadScope, extras: Collection[Extra] = ()) -> Summary:
        """Return the dialog without its messages, with these extras."""
        sealed, record = self._sealed, self._sealed.record
        return Summary(
            dialog_id=record.dialog_id,
            customer=record.customer,
            customer_id=self._named(scope),
            language=sealed.language,
            bot=record.bot,
            messages=sealed.messages,
            opened_at=from_micros(sealed.opened_at),
            received_at=from_micros(sealed.received_at),
            stored_at=self._stored_at,
            expires_at=from_micros(record.expires_at),
            notice=ShownNotice(id=record.notice_id, language=record.notice_language, sha256=record.notice_sha256),
            purposes=record.purposes,
            given_by=record.given_by,
            first_text=self.lines[0].text[:FIRST_TEXT_LENGTH] if "first_text" in extras else UNSET,
            metadata=self.metadata if "metadata" in extras else UNSET,
            annotations=self.annotations if "annotations" in extras else UNSET,
        )

    def chat(self, scope: ReadScope, roles: Roles = "user/assistant") -> Chat:
        """Return the dialog in the chat shape, one line for each message."""
        record = self._sealed.record
        return Chat(
            dialog_id=record.dialog_id,
            customer=record.customer,
            customer_id=self._named(scope),
            language=self._sealed.language,
            bot=record.bot,
            stored_at=self._stored_at,
            messages=[
                ChatLine(head.role if roles == "customer/bot" else CHAT_ROLES[head.role], line.text)
                for head, line in zip(self._sealed.heads, self.lines, strict=True)
            ],
        )

    def contains(self, needle: str) -> bool:
        """Return whether any message contains the needle, which `fold` made."""
        return any(needle in fold(line.text) for line in self.lines)

    def _named(self, scope: ReadScope) -> str | UnsetType:
        return self.customer_id if scope.identify else UNSET

    def _open(self, field: Field, sealed: bytes) -> bytes:
        record = self._sealed.record
        try:
            return self._vault.open(self._key, field, sealed, record.dialog_id, self._bound)
        except Unopenable:
            pass
        self._bound = record.digest()  # all that earlier versions bound their seals to
        try:
            return self._vault.open(self._key, field, sealed, record.dialog_id, self._bound)
        except Unopenable:
            raise Damaged(record.dialog_id) from None


def whole(vault: Vault, stored: StoredDialog, scope: ReadScope) -> KeptDialog:
    """Return the dialog with its messages, metadata and receipt.

    Raises:
        Damaged: If it cannot be opened.
    """
    opened = Opened(vault, stored)  # (R1)
    opened.check(scope, texts=True)
    opened.check_heads()
    heads = enumerate(stored.heads, 1)
    rows = [MessageRow(stored.number, seq, head.role, head.language, head.received_at) for seq, head in heads]
    summary = msgspec.structs.asdict(opened.summary(scope))
    del summary["first_text"]
    fields: dict[str, Any] = summary | {
        "metadata": opened.metadata,
        "receipt": stored.receipt,
        "messages": opened.messages(rows, scope),
    }
    return KeptDialog(**fields)


OnDamaged: TypeAlias = Callable[[int], object]
"""Is told how many dialogs a reader was not shown, because they could not be opened."""


class Opener:
    """Opens dialogs for one reader. Those that cannot be opened are left out and collected in `damaged`. So are those
    whose metadata does not have all pairs of `metadata`, before anything else of them is opened; they are not damaged.
    `extras` are what will be shown of a dialog.

    `give_way` is called before each dialog; see `priority`.
    """

    def __init__(
        self,
        vault: Vault,
        scope: ReadScope,
        give_way: Callable[[], None] = lambda: None,
        *,
        metadata: Mapping[str, str] | None = None,
        extras: Collection[Extra] = (),
    ) -> None:
        self._vault = vault
        self._scope = scope
        self._metadata = metadata
        self._extras = extras
        self._give_way = give_way
        self.damaged: set[str] = set()

    def open(self, sealed: ListedDialog, *, texts: bool = True, heads: bool = False) -> Opened | None:
        """Return the dialog, opened as far as the scope shows, with its texts if `texts`; None if it is left out.

        With `heads`, the heads that came with it are compared with the sealed ones.
        """
        self._give_way()
        try:
            opened = Opened(self._vault, sealed)
            if self._metadata is not None and not opened.has_metadata(self._metadata):
                return None
            opened.check(self._scope, texts=texts, heads=heads, metadata="metadata" in self._extras)
        except Damaged:
            self.damaged.add(sealed.record.dialog_id)
            return None
        return opened

    def messages(
        self, rows: Sequence[MessageRow], sealed: Mapping[int, ListedDialog], needle: str | None = None
    ) -> tuple[Sequence[MessageRow], list[KeptMessage]]:
        """Return the rows of dialogs that can be opened, and the message of each.

        With a needle, which `fold` made, only those whose text contains it: a search opens thousands for each it finds.
        """
        shared: dict[int, _Shared] = {}
        matching: dict[int, Iterator[Line | None]] = {}
        for dialog, mine, found in self._authentic(rows, sealed):
            number = mine[0].dialog
            shared[number] = dialog.shared(self._scope, self._extras)
            matching[number] = iter(
                found if needle is None else [line if needle in fold(line.text) else None for line in found]
            )
            # The dialog goes: a page of one message each would otherwise hold all texts of its dialogs.
        rows = [row for row in rows if row.dialog in shared]
        lines = [next(matching[row.dialog]) for row in rows]
        if needle is not None:
            rows = [row for row, line in zip(rows, lines, strict=True) if line is not None]
        return rows, _messages(rows, [line for line in lines if line is not None], shared)

    def rows(self, rows: Sequence[MessageRow], sealed: Mapping[int, ListedDialog]) -> list[tuple[MessageRow, Opened]]:
        """Return each row with its dialog, for the dialogs that can be opened."""
        opened = {mine[0].dialog: dialog for dialog, mine, _ in self._authentic(rows, sealed)}
        return [(row, opened[row.dialog]) for row in rows if row.dialog in opened]

    def _authentic(
        self, rows: Sequence[MessageRow], sealed: Mapping[int, ListedDialog]
    ) -> Iterator[tuple[Opened, list[MessageRow], list[Line]]]:
        """Yield each dialog, opened once, with its rows in their order, and their lines.

        One that is erased, damaged, or has an altered row is left out.
        """
        by_dialog = defaultdict[int, list[MessageRow]](list)
        for row in rows:
            by_dialog[row.dialog].append(row)
        for number, mine in by_dialog.items():
            dialog = self.open(sealed[number]) if number in sealed else None
            if dialog is None:
                continue
            try:
                lines = dialog.lines_of(mine)
            except Damaged:
                self.damaged.add(dialog.dialog_id)
            else:
                yield dialog, mine, lines


_Shared: TypeAlias = tuple[str, str, str | UnsetType, str | None, datetime, dict[str, str] | UnsetType | None]
"""What all messages of a dialog show: its id, the customer, the customer's id, the bot, when it was stored, its
metadata.
"""


def _fits(line: Line, head: MessageHead) -> bool:
    """Return whether the head is that of the line; True for lines of earlier versions, which have none."""
    sealed = line.head
    return sealed is None or (
        sealed.received_at == head.received_at and sealed.role == head.role and sealed.language == head.language
    )


def _messages(rows: Sequence[MessageRow], lines: Sequence[Line], shared: Mapping[int, _Shared]) -> list[KeptMessage]:
    """Return the message of each row, from its line and what its dialog shows.

    Times are converted together, which is much faster than one by one.
    """
    received = all_from_micros([row.received_at for row in rows])
    sent = iter(all_from_micros([line.sent_at for line in lines if line.sent_at is not None]))
    return [
        KeptMessage(
            dialog_id=dialog_id,
            seq=row.seq,
            customer=customer,
            customer_id=customer_id,
            role=row.role,  # pyright: ignore[reportArgumentType] - only roles are ever stored
            text=line.text,
            language=row.language,
            bot=bot,
            sent_at=None if line.sent_at is None else next(sent),
            received_at=received_at,
            stored_at=stored_at,
            metadata=metadata,
        )
        for row, line, received_at in zip(rows, lines, received, strict=True)
        for dialog_id, customer, customer_id, bot, stored_at, metadata in (shared[row.dialog],)
    ]
