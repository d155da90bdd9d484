"""The record of processing activities (GDPR art. 30), from the settings and the notices on offer."""

from collections.abc import Iterable, Sequence

from ..consent.notices import Wording
from ..settings import Settings


def processing_record(settings: Settings, wordings: Sequence[Wording]) -> str:
    """Return the record as Markdown: what the service does. Controller and contact come from the notices."""
    offered = [wording for wording in wordings if wording.retired_at is None]
    return "\n".join(
        [
            "# Record of processing activities (GDPR art. 30(1))",
            "",
            "## Holding conversations until the customer decides",
            "",
            *_rows(
                ("controller", _each(wording.controller for wording in offered)),
                ("contact", _each(wording.contact for wording in offered)),
                ("purpose", "to ask for consent about a conversation that is whole, and to be able to forget it"),
                (
                    "legal basis",
                    "for the controller to name: usually the contract or legitimate interest that the chatbot runs on"
                    " (art. 6(1)(b), (f))",
                ),
                ("data subjects", "customers who talk to the chatbot"),
                ("data", "messages, customer id, metadata, language, times"),
                ("recipients", "none"),
                (
                    "erasure",
                    f"at the customer's no, at a disconnect, after {settings.idle_timeout:g} s without a message, after"
                    f" {settings.max_duration:g} s, or when the process ends; memory only, never on disk",
                ),
            ),
            "",
            "## Keeping conversations that customers consented to",
            "",
            *_rows(
                ("controller", _each(wording.controller for wording in offered)),
                ("contact", _each(wording.contact for wording in offered)),
                ("purposes", _each(purpose for wording in offered for purpose in wording.purposes)),
                (
                    "legal basis",
                    _each(w.terms.legal_basis for w in offered) + "; recorded with each conversation (art. 7(1))",
                ),
                ("notices", _each(f"{w.id} ({w.language}, sha256 {w.sha256[:12]}…)" for w in offered)),
                ("data subjects", "customers who said yes"),
                ("data", "messages, customer id and pseudonym, metadata, language, times, the consent record"),
                ("special categories (art. 9)", _special_categories(offered)),
                (
                    "recipients",
                    _each(
                        [
                            "holders of a credential with data:read, for the purposes that it is bound to",
                            *(recipient for w in offered for recipient in w.terms.recipients),
                        ]
                    ),
                ),
                (
                    "third countries",
                    _each(transfer for w in offered for transfer in w.terms.transfers)
                    or "none that the notices name; where this service runs is the controller's choice",
                ),
                ("erasure", _each(f"{w.retention.days} days after consent ({w.id})" for w in offered)),
                (
                    "security (art. 32)",
                    "AES-256-GCM under one key a conversation, root keys apart from the data, scopes, pseudonyms,"
                    " erasure by destroying the key, verified and signed",
                ),
            ),
            "",
        ]
    )


def _special_categories(offered: Sequence[Wording]) -> str:
    asked = _each(w.id for w in offered if w.terms.special_categories)
    return f"consent to them is asked for explicitly (art. 9(2)(a)): {asked}" if asked else "none asked for"


def _rows(*rows: tuple[str, str]) -> list[str]:
    return ["| what | how |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]


def _each(values: Iterable[str]) -> str:
    """Return the distinct values in their order, separated by semicolons; `|` would end a table cell, so it is
    replaced.
    """
    return "; ".join(dict.fromkeys(value.replace("|", "/") for value in values))
