"""The vault: what is sealed opens only in its place, and not at all once its key is gone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.keys.vault import SHREDDED, WRAPPED_BYTES, DialogKey, Field, Unopenable, Vault, withdrawal_hash

MASTER = bytes(range(32))
RECORD = b"r" * 32


@pytest.fixture
def vault() -> Vault:
    return Vault(b"deployment", {1: MASTER})


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    vault = Vault(b"deployment", {1: MASTER})
    key = vault.new_key()
    again = vault.unwrap(vault.wrap(key, "d-1"), "d-1")

    assert vault.open(again, "texts", vault.seal(key, "texts", plain, "d-1", RECORD), "d-1", RECORD) == plain


def test_sealed_bytes_hold_nothing_of_what_they_seal(vault: Vault) -> None:
    plain = b"nobody else may read this"

    assert plain not in vault.seal(vault.new_key(), "texts", plain, "d-1", RECORD)


@pytest.mark.parametrize(
    ("field", "dialog_id", "record", "deployment"),
    [
        ("customer", "d-1", RECORD, b"deployment"),
        ("texts", "d-2", RECORD, b"deployment"),
        ("texts", "d-1", b"other purposes", b"deployment"),
        ("texts", "d-1", RECORD, b"another deployment"),
    ],
    ids=["another field", "another dialog", "another consent record", "another deployment"],
)
def test_a_seal_does_not_open_out_of_its_place(field: Field, dialog_id: str, record: bytes, deployment: bytes) -> None:
    vault = Vault(b"deployment", {1: MASTER})
    key = vault.new_key()
    sealed = vault.seal(key, "texts", b"words", "d-1", RECORD)

    with pytest.raises(Unopenable):
        Vault(deployment, {1: MASTER}).open(key, field, sealed, dialog_id, record)


def test_a_wrapped_key_is_bound_to_its_dialog(vault: Vault) -> None:
    wrapped = vault.wrap(vault.new_key(), "d-1")

    with pytest.raises(Unopenable):
        vault.unwrap(wrapped, "d-2")


@given(st.integers(0, WRAPPED_BYTES - 1), st.integers(1, 255))
def test_one_changed_byte_of_a_wrapped_key_is_found(position: int, change: int) -> None:
    vault = Vault(b"deployment", {1: MASTER})
    wrapped = bytearray(vault.wrap(vault.new_key(), "d-1"))
    wrapped[position] ^= change

    with pytest.raises(Unopenable):
        vault.unwrap(bytes(wrapped), "d-1")


def test_a_shredded_key_opens_nothing(vault: Vault) -> None:
    assert len(SHREDDED) == len(vault.wrap(vault.new_key(), "d-1"))
    with pytest.raises(Unopenable):
        vault.unwrap(SHREDDED, "d-1")


def test_a_wrapped_key_names_its_masters_epoch_and_new_ones_use_the_latest() -> None:
    old, both = Vault(b"d", {1: MASTER}), Vault(b"d", {1: MASTER, 2: bytes(32)})
    key = old.new_key()

    assert both.unwrap(old.wrap(key, "d-1"), "d-1").digest(b"") == key.digest(b"")
    assert both.wrap(key, "d-1")[:4] == (2).to_bytes(4, "big")
    with pytest.raises(Unopenable):
        old.unwrap(both.wrap(key, "d-1"), "d-1")


def test_no_key_serves_two_purposes() -> None:
    key = DialogKey(MASTER)

    subkeys = {key.subkey(use) for use in ("texts", "customer", "metadata", "content", "withdrawal")}

    assert len(subkeys) == 5
    assert MASTER not in subkeys


def test_subkeys_are_hkdf_expand() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    assert DialogKey(MASTER).subkey("texts") == HKDFExpand(SHA256(), 32, b"consentful/1/texts").derive(MASTER)


def test_a_withdrawal_code_can_be_read_aloud_and_typed_back() -> None:
    code = DialogKey(MASTER).withdrawal_code()

    assert re.fullmatch(r"([A-Z2-7]{5}-){5}[A-Z2-7]", code)
    assert withdrawal_hash(code) == withdrawal_hash(f" {code.lower().replace('-', ' ')} ")
    assert withdrawal_hash(code) != withdrawal_hash(DialogKey(bytes(32)).withdrawal_code())


def test_no_repr_shows_a_key() -> None:
    assert repr(DialogKey(MASTER)) == "DialogKey(…)"


def test_the_master_of_a_later_epoch_is_looked_up_once() -> None:
    looked: list[int] = []

    def look() -> dict[int, bytes]:
        looked.append(len(looked))
        return {1: MASTER, 2: MASTER[::-1]}

    later = Vault(b"deployment", {1: MASTER, 2: MASTER[::-1]})
    wrapped = [later.wrap(later.new_key(), dialog_id) for dialog_id in ("d-1", "d-2", "d-3")]
    vault = Vault(b"deployment", {1: MASTER}, look=look)

    for dialog_id, key in zip(("d-1", "d-2", "d-3"), wrapped, strict=True):
        vault.unwrap(key, dialog_id)

    assert looked == [0]


def test_a_look_up_while_the_masters_are_renewed_brings_no_dropped_master_back() -> None:
    old, middle, new = ({epoch: bytes([epoch]) * 32} for epoch in (1, 2, 3))
    earlier = Vault(b"deployment", old)
    dropped = earlier.wrap(earlier.new_key(), "d-1")
    between = Vault(b"deployment", middle)
    wrapped = between.wrap(between.new_key(), "d-2")

    def look() -> dict[int, bytes]:
        vault.renew(middle | new)  # as the event loop does while this thread reads the files
        return old | middle

    vault = Vault(b"deployment", old, look=look)
    vault.unwrap(wrapped, "d-2")

    with pytest.raises(Unopenable):
        vault.unwrap(dropped, "d-1")
    assert len(vault.wrap(vault.new_key(), "d-3")) == WRAPPED_BYTES
