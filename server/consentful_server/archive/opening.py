"""Opening: what the store keeps becomes words again, for one reader, as far as it is looked at."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ..auth.read_scope import ReadScope
from ..clock import all_from_micros, from_micros
from ..consent.record import canonical_content
from ..errors import Damaged
from ..keys.vault import DialogKey, Field, Unopenable, Vault
from .contents import Line, decode_lines, decode_metadata
from .store import ListedDialog, MessageRow, StoredDialog
from .views import Chat, ChatLine, KeptDialog, KeptMessage, ShownNotice, Summary


def unwrap(vault: Vault, sealed: ListedDialog) -> DialogKey:
    """Return the dialog's key.

    Raises:
        Damaged: If what is stored of it was altered, or its master key is gone.
    """
    try:
        return vault.unwrap(sealed.wrapped, sealed.record.dialog_id)
    except Unopenable:
        raise Damaged(sealed.record.dialog_id) from None


class Opened:
    """One stored dialog, opened as far as it is looked at. It lives for one page."""

    def __init__(self, vault: Vault, sealed: ListedDialog) -> None:
        self._vault = vault
        self._sealed = sealed
        self._key = unwrap(vault, sealed)
        self._bound = sealed.record.digest()
        self._stored_at = from_micros(sealed.stored_at)

    def __repr__(self) -> str:
        return f"Opened({self._sealed.record.dialog_id!r})"

    def look(self, scope: ReadScope, *, words: bool) -> None:
        """Open now all that this scope will show.

        Raises:
            Damaged: If it does not open.
        """
        if words and len(self.lines) != self._sealed.messages:
            raise Damaged(self.dialog_id)
        if scope.identify:
            _ = self.customer_id

    @cached_property
    def lines(self) -> list[Line]:
        """What is inside the seal of the texts, a line for each message."""
        return decode_lines(self._open("texts", self._sealed.texts))

    @cached_property
    def customer_id(self) -> str:
        return self._open("customer", self._sealed.customer).decode()

    @property
    def dialog_id(self) -> str:
        return self._sealed.record.dialog_id

    def text(self, seq: int) -> str:
        return self.lines[seq - 1].text

    def spelt(self, seq: int) -> str | None:
        """Return a message's language as the chatbot wrote it, where that is not the canonical spelling."""
        return self.lines[seq - 1].spelt

    @property
    def metadata(self) -> dict[str, str] | None:
        sealed = self._sealed.metadata
        return None if sealed is None else decode_metadata(self._open("metadata", sealed))

    def content_digest(self) -> bytes:
        """Return the keyed digest of what is stored, made from the words themselves; for a dialog with its heads."""
        heads = enumerate(zip(self._sealed.heads, self.lines, strict=True), 1)
        said = [(seq, head.role, line.text, head.language) for seq, (head, line) in heads]
        return self._key.digest(canonical_content(self.customer_id, self._sealed.record.notice_id, said))

    def messages(self, rows: Iterable[MessageRow], scope: ReadScope) -> list[KeptMessage]:
        return [message for _, message in _messages([(row, self) for row in rows], scope)]

    def message(
        self, row: MessageRow, line: Line, received_at: datetime, sent_at: datetime | None, scope: ReadScope
    ) -> KeptMessage:
        record = self._sealed.record
        return KeptMessage(
            dialog_id=record.dialog_id,
            seq=row.seq,
            customer=record.customer,
            customer_id=self.customer_id if scope.identify else UNSET,
            role=row.role,  # pyright: ignore[reportArgumentType] - only roles are ever stored
            text=line.text,
            language=row.language,
            bot=record.bot,
            sent_at=sent_at,
            received_at=received_at,
            stored_at=self._stored_at,
        )

    def summary(self, scope: ReadScope) -> Summary:
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
        )

    def chat(self, scope: ReadScope) -> Chat:
        record = self._sealed.record
        return Chat(
            dialog_id=record.dialog_id,
            customer=record.customer,
            customer_id=self._named(scope),
            language=self._sealed.language,
            bot=record.bot,
            stored_at=self._stored_at,
            messages=[
                ChatLine(head.role, line.text) for head, line in zip(self._sealed.heads, self.lines, strict=True)
            ],
        )

    def says(self, needle: str) -> bool:
        """Whether any message holds the folded text."""
        return any(needle in fold(line.text) for line in self.lines)

    def _named(self, scope: ReadScope) -> str | UnsetType:
        return self.customer_id if scope.identify else UNSET

    def _open(self, field: Field, sealed: bytes) -> bytes:
        record = self._sealed.record
        try:
            return self._vault.open(self._key, field, sealed, record.dialog_id, self._bound)
        except Unopenable:
            raise Damaged(record.dialog_id) from None


def whole(vault: Vault, stored: StoredDialog, scope: ReadScope) -> KeptDialog:
    """Return all of a dialog.

    Raises:
        Damaged: If it does not open.
    """
    opened = Opened(vault, stored)
    heads = enumerate(stored.heads, 1)
    rows = (MessageRow(stored.number, seq, head.role, head.language, head.received_at) for seq, head in heads)
    fields: dict[str, Any] = msgspec.structs.asdict(opened.summary(scope)) | {
        "metadata": opened.metadata,
        "receipt": stored.receipt,
        "messages": opened.messages(rows, scope),
    }
    return KeptDialog(**fields)


class Opener:
    """Opens what one reader sees. What does not open is left out, and named: it takes no neighbours along."""

    def __init__(self, vault: Vault, scope: ReadScope) -> None:
        self._vault = vault
        self._scope = scope
        self.damaged: set[str] = set()

    def open(self, sealed: ListedDialog, *, words: bool = True) -> Opened | None:
        """Return the dialog, with or without its words; None if it is damaged."""
        try:
            opened = Opened(self._vault, sealed)
            opened.look(self._scope, words=words)
        except Damaged:
            self.damaged.add(sealed.record.dialog_id)
            return None
        return opened

    def open_all(self, sealed: Mapping[int, ListedDialog]) -> dict[int, Opened]:
        found = ((number, self.open(dialog)) for number, dialog in sealed.items())
        return {number: opened for number, opened in found if opened is not None}

    def messages(
        self, rows: Iterable[MessageRow], sealed: Mapping[int, ListedDialog]
    ) -> list[tuple[MessageRow, KeptMessage]]:
        """Return the message of each row whose dialog opens."""
        dialogs = self.open_all(sealed)
        return _messages([(row, dialogs[row.dialog]) for row in rows if row.dialog in dialogs], self._scope)


def _messages(rows: Sequence[tuple[MessageRow, Opened]], scope: ReadScope) -> list[tuple[MessageRow, KeptMessage]]:
    """Return each row with its message. Times are made all at once, and not one by one, which takes far longer."""
    lines = [dialog.lines[row.seq - 1] for row, dialog in rows]
    received = all_from_micros(row.received_at for row, _ in rows)
    sent = iter(all_from_micros(line.sent_at for line in lines if line.sent_at is not None))
    return [
        (row, dialog.message(row, line, at, None if line.sent_at is None else next(sent), scope))
        for (row, dialog), line, at in zip(rows, lines, received, strict=True)
    ]


def fold(text: str) -> str:
    """Return the text as a search sees it: composed (NFC), without case."""
    return unicodedata.normalize("NFC", text).casefold()
