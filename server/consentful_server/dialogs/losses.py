"""What dialogs of the original contract lost, remembered so that no part of a dialog is ever granted. Pure.

    nothing ──refuse──► REFUSED    a message was refused and is not held; the others are
       │                   │ ▲
       │                   └─┴─ taken: the same message was pushed again and is held ──► nothing
       └──────drop──────► DROPPED  messages that were held are gone; no push mends that
    any ──forget──► nothing        the chatbot ended the dialog, or stated how many messages it has

The original contract numbers no messages, so a gap cannot be seen in what is held: it has to be remembered. Memory is
bounded in time, `kept_s` after the loss, and in count. What is forgotten then, or by a restart, the count in the
consent still catches. Neither ids nor texts are kept: only digests under a key of this process.
"""

import hashlib
from collections import OrderedDict
from typing import Final

import msgspec

MAX_LOSSES: Final = 50_000
"""About 300 bytes each."""

_DIGEST_BYTES: Final = 16


class Loss(msgspec.Struct, frozen=True, gc=False):
    """A dialog lost something: `why` is the code of the refusal, or what ended the dialog. `at` is monotonic."""

    why: str
    at: float
    dropped: bool
    refused: bytes | None = None
    """The digest of the one message that was refused; None if there are several, or it could not be read."""


class Losses:
    """The losses of one process's dialogs, each by credential and dialog id."""

    def __init__(self, key: bytes, kept_s: float, most: int = MAX_LOSSES) -> None:
        self._key = key
        self._kept_s = kept_s
        self._most = most
        self._losses: OrderedDict[bytes, Loss] = OrderedDict()

    def __len__(self) -> int:
        return len(self._losses)

    def of(self, owner: str, dialog_id: str, now: float) -> Loss | None:
        """Return what the dialog lost; None if it lost nothing, or too long ago."""
        loss = self._losses.get(self._digest(owner, dialog_id))
        return loss if loss is not None and now < loss.at + self._kept_s else None

    def refuse(self, owner: str, dialog_id: str, text: str | None, why: str, now: float) -> None:
        """Remember that a message was refused; `text` None: it could not be read."""
        earlier = self.of(owner, dialog_id, now)
        if earlier is not None and earlier.dropped:
            return  # what was dropped stays dropped
        refused = None if text is None else self._digest(text)
        if earlier is not None and earlier.refused != refused:
            refused = None  # two messages are missing: one of them, pushed again, does not make the dialog whole
        self._put(owner, dialog_id, Loss(why, now, dropped=False, refused=refused))

    def drop(self, owner: str, dialog_id: str, why: str, now: float) -> None:
        """Remember that messages which were held are gone."""
        self._put(owner, dialog_id, Loss(why, now, dropped=True))

    def taken(self, owner: str, dialog_id: str, text: str) -> None:
        """Forget the loss if this message, which is held now, is the one that was refused."""
        if not self._losses:
            return  # usually; nothing is digested then
        place = self._digest(owner, dialog_id)
        loss = self._losses.get(place)
        if loss is not None and loss.refused == self._digest(text):
            del self._losses[place]

    def forget(self, owner: str, dialog_id: str) -> None:
        """Forget what the dialog lost: its id may begin anew."""
        self._losses.pop(self._digest(owner, dialog_id), None)

    def _put(self, owner: str, dialog_id: str, loss: Loss) -> None:
        place = self._digest(owner, dialog_id)
        self._losses.pop(place, None)
        self._losses[place] = loss
        while len(self._losses) > self._most or self._is_over(loss.at):
            self._losses.popitem(last=False)

    def _is_over(self, now: float) -> bool:
        """Return whether the oldest loss is kept long enough."""
        return now >= next(iter(self._losses.values())).at + self._kept_s

    def _digest(self, *parts: str) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=_DIGEST_BYTES)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.digest()
