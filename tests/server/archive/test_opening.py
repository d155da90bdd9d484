"""Opening: what earlier versions sealed opens as it did, and what is sealed now vouches for its columns."""

from typing import Any

import msgspec
import pytest

from consentful_server.archive.folding import fold
from consentful_server.archive.opening import Opener, whole
from consentful_server.archive.sealing import Sealer
from consentful_server.archive.store import MessageRow, StoredDialog
from consentful_server.auth.read_scope import ReadScope
from consentful_server.errors import Damaged
from sealed import VAULT, candidate

SCOPE = ReadScope(identify=True)


def sealed_earlier() -> StoredDialog:
    """Return a dialog as versions before 0.1.0 sealed it: lines without heads, seals bound to the record alone."""
    return msgspec.structs.replace(
        stored(candidate("d-1", ["Hi", "Hello"], language="en", bot="shop")),
        wrapped=bytes.fromhex(
            "00000001e7bd273ce2a90368ea35a09739f698fc32e45815c3e1375041cdb90f"
            "277c84c119331bb6c700c943bcfd69cb6fbdd6aa9ebdc96b0ad6e5a3fd514e2e"
        ),
        texts=bytes.fromhex("8562ff558e182979e0ecddce50c81b73429118020d96bbf84634ba45a27768bca7f036e3d892a0993aa8eb26"),
        customer=bytes.fromhex("9c8696d76dc77e22988a5014473e2ae4132ddbdddb8169163abca7969c38d5"),
    )


def stored(sealer: Sealer) -> StoredDialog:
    fields: dict[str, Any] = {name: getattr(sealer.sealed, name) for name in sealer.sealed.__struct_fields__}
    return StoredDialog(**fields, number=1, stored_at=0)


def test_what_an_earlier_version_sealed_opens_as_it_did() -> None:
    dialog = whole(VAULT, sealed_earlier(), SCOPE)

    assert [(it.text, it.role, it.language) for it in dialog.messages] == [
        ("Hi", "customer", "en"),
        ("Hello", "bot", "en"),
    ]
    assert (dialog.customer_id, dialog.bot) == ("c-1", "shop")


def test_what_an_earlier_version_sealed_vouches_for_its_columns_once_it_is_sealed_again() -> None:
    narrower = candidate("d-1", ["Hi", "Hello"], language="en", bot="shop", purposes=("improve",))
    earlier = sealed_earlier()
    key = VAULT.unwrap(earlier.wrapped, "d-1")
    same = msgspec.structs.replace(earlier, content=key.digest(narrower._content))  # pyright: ignore[reportPrivateUsage]

    again = narrower.reconcile(same)

    assert [it.text for it in whole(VAULT, again, SCOPE).messages] == ["Hi", "Hello"]
    with pytest.raises(Damaged):
        whole(VAULT, msgspec.structs.replace(again, opened_at=1), SCOPE)


@pytest.mark.parametrize("field", ["texts", "customer", "wrapped"])
def test_a_seal_of_an_earlier_version_does_not_open_in_a_dialog_of_this_one(field: str) -> None:
    ours, theirs = stored(candidate("d-1", language="en", bot="shop")), sealed_earlier()

    with pytest.raises(Damaged):
        whole(VAULT, msgspec.structs.replace(ours, **{field: getattr(theirs, field)}), SCOPE)


@pytest.mark.parametrize(
    ("needle", "seqs"), [(None, [1, 2, 3]), ("parcel", [1, 3]), ("where", [1]), ("invoice", []), ("straße", [])]
)
def test_a_search_makes_messages_of_matching_texts_alone(needle: str | None, seqs: list[int]) -> None:
    dialog = stored(candidate("d-1", ["WHERE is my parcel?", "On its way", "What parcel?"]))
    rows = [MessageRow(1, seq, head.role, head.language, head.received_at) for seq, head in enumerate(dialog.heads, 1)]

    found, messages = Opener(VAULT, SCOPE).messages(rows, {1: dialog}, needle and fold(needle))

    assert [row.seq for row in found] == [it.seq for it in messages] == seqs
