"""Notes of the access log, for tests of stores."""

from datetime import datetime

import msgspec

from consentful_server.access_log.chain import Action, Chain, Entry, Head, Link, pack
from consentful_server.access_log.store import Values
from consentful_server.clock import to_micros
from sealed import START

CHAIN = Chain(b"c" * 32)


class Jotting(msgspec.Struct, frozen=True):
    """A note as the access_log makes it. Satisfies `stores.access_log.Note`."""

    who: str = "science"
    action: Action = "dialog.read"
    at: datetime = START
    dialogs: bytes | None = None
    values: Values | None = None
    filters: tuple[str, ...] = ("customer", "q")

    def about(self, dialog: int) -> "Jotting":
        return msgspec.structs.replace(self, dialogs=pack([dialog]))

    def follow(self, head: Head, number: int) -> tuple[Link, Head]:
        entry = Entry(
            number=number,
            at=to_micros(self.at),
            kind="credential",
            who=self.who,
            action=self.action,
            request=None,
            subject=None,
            filters=self.filters,
            commitment=None,
            rows=0,
            dialogs=self.dialogs,
        )
        return CHAIN.follow(head, entry)
