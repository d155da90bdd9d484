"""Notices: the exact texts that customers are shown, in each language, and the choice of the one to show. Pure.

A notice is shown before the first message (GDPR art. 13). Its text is never changed: a consent refers to it by hash.
The hash is of the text alone. Names of purposes are what a customer reads beside a checkbox instead of their ids; no
consent is to them, so the text says itself what the purposes are. They cannot be changed either.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from importlib import resources
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from consentful import wire

from ..errors import BadRequest, Conflict, UnknownNotice, UnknownPurpose
from .language import canonical, fallbacks

_FALLBACK_LANGUAGE: Final = "en"


@lru_cache(maxsize=256)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a notice states beside its text and controller, for machines and receipts (GDPR art. 13); with defaults."""

    legal_basis: str = "consent (GDPR art. 6(1)(a))"
    recipients: tuple[str, ...] = ()
    """Who receives the data beside the controller (art. 13(1)(e))."""
    transfers: tuple[str, ...] = ()
    """Third countries, each with its safeguard (art. 13(1)(f))."""
    rights: tuple[str, ...] = ("access", "rectification", "erasure", "restriction", "portability", "withdrawal")
    complaint: str = "any data protection authority"
    withdraw: str = "with the withdrawal code on the withdrawal page, or by asking the controller"
    jurisdiction: Annotated[str, Meta(pattern="^[A-Z]{2}$(?!\\n)")] | None = None
    special_categories: bool = False
    """Whether the text asks explicitly for special categories of data (art. 9(2)(a))."""


class Wording(msgspec.Struct, frozen=True):
    """A notice in one language: exactly what the customer is shown."""

    id: str
    language: str
    text: str
    purposes: tuple[str, ...]
    controller: str
    contact: str
    retention: timedelta
    terms: Terms = Terms()
    added_at: int = 0
    """Microseconds since the epoch, as is `retired_at`."""
    retired_at: int | None = None
    purpose_names: tuple[str, ...] = ()
    """What people read instead of the ids in `purposes`, in the same order; empty if the notice names none."""

    @property
    def sha256(self) -> str:
        """The hex digest of the UTF-8 text, which identifies the wording."""
        return _digest(self.text)

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the purposes by their ids; empty if the notice names none."""
        return dict(zip(self.purposes, self.purpose_names, strict=False))

    def to_wire(self) -> wire.Notice:
        """Return the wording as frames and REST carry it."""
        terms = wire.Terms(
            controller=self.controller,
            contact=self.contact,
            retention_days=self.retention.days,
            **msgspec.structs.asdict(self.terms),
        )
        names = dict(self.names) or None
        return wire.Notice(self.id, self.language, self.text, self.sha256, list(self.purposes), terms, names)

    def choose(self, purposes: Iterable[str] | None) -> tuple[str, ...]:
        """Return the granted purposes in the notice's order; all of them if `purposes` is None.

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
    """The notices on offer, oldest first. The latest one that is not retired is shown, in the dialog's language.

    If it lacks that language it is shown in a less specific one (`de` for `de-AT`), else in English, else in any.
    """

    def __init__(self, wordings: Sequence[Wording]) -> None:
        self.wordings = tuple(wordings)
        # There always is one: `consentful notice retire` refuses to retire the last one on offer.
        self._by_language = {wording.language: wording for wording in on_offer(wordings)}
        self._by_name = {(wording.id, wording.language): wording for wording in wordings}
        # By name: the hash of a wording would be computed anew from all its fields, at each `open`.
        self._to_wire = {name: wording.to_wire() for name, wording in self._by_name.items()}

    def for_language(self, language: str | None) -> Wording:
        """Return the wording to show for a language tag."""
        exact = self._by_language.get(language or _FALLBACK_LANGUAGE)
        if exact is not None:
            return exact
        # The last part is every language, so one always fits: a dialog without a notice could not ask for consent.
        wanted = (*fallbacks(language or _FALLBACK_LANGUAGE), _FALLBACK_LANGUAGE, *self._by_language)
        return next(self._by_language[tag] for tag in wanted if tag in self._by_language)

    def shown(self, wording: Wording) -> wire.Notice:
        """Return the wording as the `opened` frame carries it; made once and shared."""
        return self._to_wire[wording.id, wording.language]

    def find(self, notice_id: str, language: str) -> Wording:
        """Return the wording that a consent refers to.

        Raises:
            UnknownNotice: If it was not on offer.
        """
        wording = self._by_name.get((notice_id, language))
        if wording is None:
            raise UnknownNotice
        return wording


def on_offer(wordings: Sequence[Wording]) -> list[Wording]:
    """Return the notice that new dialogs show, in all its languages: the latest that is not retired; empty if all are.

    The wordings come in the order in which they were added.
    """
    current = [wording for wording in wordings if wording.retired_at is None]
    return [wording for wording in current if wording.id == current[-1].id]


class PurposeName(msgspec.Struct, frozen=True):
    """What people read for a purpose, and its language; None if it is the id, which is in none."""

    text: str
    language: str | None = None


def names_of(purposes: Iterable[str], versions: Iterable[Wording | None]) -> Mapping[str, PurposeName]:
    """Return what people read for each purpose: its name in the first of these versions that has one, else its id."""
    named = [version for version in versions if version is not None]
    return {
        purpose: next(
            (PurposeName(it.names[purpose], it.language) for it in named if purpose in it.names), PurposeName(purpose)
        )
        for purpose in purposes
    }


def is_new(wordings: Iterable[Wording], known: Iterable[Wording]) -> bool:
    """Return whether a notice must be added, given the known wordings of its id. A known notice is never changed.

    Raises:
        Conflict: If it is known with other texts or terms.
    """
    before, now = ({_without_times(it) for it in them} for them in (known, wordings))
    if before and before != now:
        raise Conflict
    return not before


def _without_times(wording: Wording) -> Wording:
    return msgspec.structs.replace(wording, added_at=0, retired_at=None)


Name: TypeAlias = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}$(?!\n)")]


class NoticeFile(Terms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice file, in TOML: one text for each language, and names of the purposes for some or all of them."""

    id: wire.Label
    controller: Annotated[str, Meta(min_length=1)]
    contact: Annotated[str, Meta(min_length=1)]
    purposes: Annotated[tuple[wire.Label, ...], Meta(min_length=1)]
    retention_days: Annotated[int, Meta(ge=1, le=36_500)]
    text: Annotated[dict[str, Annotated[str, Meta(min_length=1)]], Meta(min_length=1)]
    purpose_names: dict[str, dict[wire.Label, Name]] = {}


def read_notice(file: bytes) -> list[Wording]:
    """Return the wordings of a notice file, one for each language.

    Raises:
        BadRequest: If the file is malformed; it names what is wrong.
    """
    try:
        notice = msgspec.toml.decode(file, type=NoticeFile)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadRequest("notice", f"not a notice file: {error}") from None
    unknown = [language for language in notice.text if canonical(language) is None]
    if unknown:
        raise BadRequest("text", f"{unknown[0]} is not a BCP 47 language tag")
    if len({canonical(language) for language in notice.text}) != len(notice.text):
        raise BadRequest("text", "two of its languages are the same, such as `en` and `EN`; keep one text for each")
    names = _names_by_language(notice)
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
            purpose_names=names.get(canonical(language), ()),
        )
        for language, text in notice.text.items()
    ]


def _names_by_language(notice: NoticeFile) -> Mapping[str | None, tuple[str, ...]]:
    """Return the names of the purposes in each language that has them, in the order of the purposes.

    Raises:
        BadRequest: If a language has no text, or does not name each purpose.
    """
    texts = {canonical(language) for language in notice.text}
    for language, names in notice.purpose_names.items():
        if canonical(language) not in texts:
            raise BadRequest("purpose_names", f"there is no text in {language}; add it, or leave out its names")
        if names.keys() != set(notice.purposes):
            raise BadRequest("purpose_names", f"in {language} each purpose must have one name, and nothing else")
    return {
        canonical(language): tuple(names[purpose] for purpose in notice.purposes)
        for language, names in notice.purpose_names.items()
    }


def default_notice() -> list[Wording]:
    """Return the wordings of the notice that ships with the server."""
    return read_notice((resources.files("consentful_server.consent") / "default_notice.toml").read_bytes())
