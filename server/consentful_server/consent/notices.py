"""Notices: the exact wordings that customers are shown, in each language, and which of them is shown now.

Pure. The wording is shown before the first message (GDPR art. 13).
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib import resources
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from consentful import wire

from ..errors import BadRequest, Conflict, UnknownNotice, UnknownPurpose
from .language import canonical, fallbacks

_FALLBACK_LANGUAGE: Final = "en"


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a notice tells beside its words and its controller (GDPR art. 13); what is left out is as usual here."""

    legal_basis: str = "consent (GDPR art. 6(1)(a))"
    recipients: tuple[str, ...] = ()
    """Who gets the data beside the controller."""
    transfers: tuple[str, ...] = ()
    """Third countries, with the safeguard (art. 13(1)(f))."""
    rights: tuple[str, ...] = ("access", "rectification", "erasure", "restriction", "portability", "withdrawal")
    complaint: str = "any data protection authority"
    withdraw: str = "with the withdrawal code at /withdraw, or by asking the controller"
    jurisdiction: Annotated[str, Meta(pattern="^[A-Z]{2}$(?!\\n)")] | None = None
    special_categories: bool = False
    """Whether the text asks explicitly for special categories (art. 9(2)(a))."""


class Wording(msgspec.Struct, frozen=True):
    """One notice in one language: exactly what the customer is shown."""

    id: str
    language: str
    text: str
    purposes: tuple[str, ...]
    controller: str
    contact: str
    retention: timedelta
    terms: Terms = Terms()
    added_at: int = 0
    """Microseconds since the epoch, like the next one."""
    retired_at: int | None = None

    @property
    def sha256(self) -> str:
        """The hex digest of the text as UTF-8, by which the wording is found again years later."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def to_wire(self) -> wire.Notice:
        terms = wire.Terms(
            controller=self.controller,
            contact=self.contact,
            retention_days=self.retention.days,
            **msgspec.structs.asdict(self.terms),
        )
        return wire.Notice(self.id, self.language, self.text, self.sha256, list(self.purposes), terms)

    def choose(self, purposes: Iterable[str] | None) -> tuple[str, ...]:
        """Return the purposes that are granted, in the notice's order; all of them if none is named.

        Raises:
            UnknownPurpose: If the notice does not name one of them, or the choice is empty.
        """
        if purposes is None:
            return self.purposes
        chosen = set(purposes)
        if not chosen or not chosen.issubset(self.purposes):
            raise UnknownPurpose
        return tuple(purpose for purpose in self.purposes if purpose in chosen)


class Catalogue:
    """The notices on offer, oldest first. The youngest that is not retired is shown, in the dialog's language.

    A language that it has not gets its parent's (`de` for `de-AT`), then English, then whatever there is.
    """

    def __init__(self, wordings: Sequence[Wording]) -> None:
        self.wordings = tuple(wordings)
        current = [wording for wording in wordings if wording.retired_at is None][-1].id
        self._by_language = {wording.language: wording for wording in wordings if wording.id == current}
        self._by_name = {(wording.id, wording.language): wording for wording in wordings}
        self._to_wire = {wording: wording.to_wire() for wording in wordings}

    def for_language(self, language: str | None) -> Wording:
        wanted = (*fallbacks(language or _FALLBACK_LANGUAGE), _FALLBACK_LANGUAGE, *self._by_language)
        return next(self._by_language[tag] for tag in wanted if tag in self._by_language)

    def shown(self, wording: Wording) -> wire.Notice:
        """Return the wording as `opened` carries it, made once."""
        return self._to_wire[wording]

    def find(self, notice_id: str, language: str) -> Wording:
        """Return the notice of that id in the language that was shown.

        Raises:
            UnknownNotice: If there is none.
        """
        wording = self._by_name.get((notice_id, language))
        if wording is None:
            raise UnknownNotice
        return wording


def is_new(wordings: Iterable[Wording], known: Iterable[Wording]) -> bool:
    """Whether a notice is to be added, where these wordings of its id are known. What was shown is never changed.

    Raises:
        Conflict: If it was on offer with other words.
    """
    before, now = ({_without_times(it) for it in them} for them in (known, wordings))
    if before and before != now:
        raise Conflict
    return not before


def _without_times(wording: Wording) -> Wording:
    return msgspec.structs.replace(wording, added_at=0, retired_at=None)


class NoticeFile(Terms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice as it is written by hand, in TOML: one text for each language."""

    id: wire.Label
    controller: Annotated[str, Meta(min_length=1)]
    contact: Annotated[str, Meta(min_length=1)]
    purposes: Annotated[tuple[wire.Label, ...], Meta(min_length=1)]
    retention_days: Annotated[int, Meta(ge=1, le=36_500)]
    text: Annotated[dict[str, Annotated[str, Meta(min_length=1)]], Meta(min_length=1)]


def read_notice(file: bytes) -> list[Wording]:
    """Return a notice file's wordings, one for each language.

    Raises:
        BadRequest: If the file is not such a one; it says what is missing.
    """
    try:
        notice = msgspec.toml.decode(file, type=NoticeFile)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadRequest("notice", f"not a notice file: {error}") from None
    unknown = [language for language in notice.text if canonical(language) is None]
    if unknown:
        raise BadRequest("text", f"{unknown[0]} is not a BCP 47 language tag")
    terms = Terms(**{field: getattr(notice, field) for field in Terms.__struct_fields__})
    return [
        Wording(
            id=notice.id,
            language=canonical(language) or language,
            text=text.strip(),
            purposes=notice.purposes,
            controller=notice.controller,
            contact=notice.contact,
            retention=timedelta(days=notice.retention_days),
            terms=terms,
        )
        for language, text in notice.text.items()
    ]


def default_notice() -> list[Wording]:
    """Return the notice that ships with the server, in each of its languages."""
    return read_notice((resources.files("consentful_server.consent") / "default_notice.toml").read_bytes())
