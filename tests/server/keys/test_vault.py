"""The vault: what is sealed opens only in its place, and not at all once its key is gone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.keys.vault import (
    SHREDDED,
    WRAPPED_BYTES,
    DialogKey,
    Field,
    Unopenable,
    Vault,
    epoch_of,
    withdrawal_hash,
)

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


def test_what_an_earlier_version_sealed_still_opens() -> None:
    """The formats are what every stored dialog, and every customer's code, rests on: these bytes never change."""
    calls = iter(range(1, 100))
    vault = Vault(b"deployment", {1: MASTER}, random=lambda size: bytes([next(calls)]) * size)
    key = vault.new_key()
    wrapped = (
        "00000001020202020202020202020202"
        "9a2918bab8d8305aca84a3f93278db121de8ae6d955579f0435fd002766a48c3049fd3488d83a02dfa4f9820bc915c9a"
    )
    sealed = "030303030303030303030303d268e429b3a093af5564116c92ca0cb84d935d852c"

    assert vault.wrap(key, "d-1").hex() == wrapped
    assert vault.seal(key, "texts", b"words", "d-1", RECORD).hex() == sealed
    again = vault.unwrap(bytes.fromhex(wrapped), "d-1")
    assert vault.open(again, "texts", bytes.fromhex(sealed), "d-1", RECORD) == b"words"
    assert again.digest(b"content").hex() == "480263fa71307ecc12bd626c261ce7b7a07390666ea5b8c98c783b3def868cfd"
    assert again.withdrawal_code() == "HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I"
    assert (
        withdrawal_hash("HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I").hex()
        == "feb78389dc521c514dc48dd251dbe8e9319ff19e795c9a6b8627517fe028d488"
    )


def test_every_key_and_every_seal_is_another(vault: Vault) -> None:
    key = vault.new_key()

    assert vault.new_key().digest(b"") != key.digest(b"")
    assert len({vault.wrap(key, "d-1") for _ in range(3)}) == 3
    assert len({vault.seal(key, "texts", b"same", "d-1", RECORD) for _ in range(3)}) == 3


@pytest.mark.parametrize("sealed", [b"", b"x" * 11, b"x" * 12, b"x" * 27, b"x" * 60])
def test_what_is_no_seal_does_not_open(vault: Vault, sealed: bytes) -> None:
    with pytest.raises(Unopenable) as refusal:
        vault.open(vault.new_key(), "texts", sealed, "d-1", RECORD)

    assert refusal.value.__suppress_context__, "what the library says is no help to whoever reads the log"


class TestMasters:
    def test_a_key_is_wrapped_anew_under_the_latest_and_stays_the_same(self) -> None:
        old, both = Vault(b"d", {1: MASTER}), Vault(b"d", {1: MASTER, 2: bytes(32)})
        key = old.new_key()

        again = both.rewrap(old.wrap(key, "d-1"), "d-1", 2)

        assert epoch_of(again) == 2
        assert both.unwrap(again, "d-1").digest(b"") == key.digest(b"")
        with pytest.raises(Unopenable):
            both.rewrap(old.wrap(key, "d-1"), "d-2", 2)

    def test_at_least_the_epoch_that_is_asked_for_or_nothing(self) -> None:
        vault = Vault(b"d", {1: MASTER, 2: bytes(32)})
        key = vault.new_key()

        assert [epoch_of(vault.wrap(key, "d-1", least)) for least in (0, 1, 2)] == [2, 2, 2]
        with pytest.raises(Unopenable):
            vault.wrap(key, "d-1", 3)

    def test_one_that_another_process_began_is_looked_for_and_kept(self) -> None:
        asked: list[int] = []

        def look() -> dict[int, bytes]:
            asked.append(1)
            return {2: bytes(32), 3: b"3" * 32}

        ahead, behind = Vault(b"d", {2: bytes(32)}), Vault(b"d", {1: MASTER}, look=look)
        key = ahead.new_key()
        wrapped = ahead.wrap(key, "d-1")

        assert behind.unwrap(wrapped, "d-1").digest(b"") == key.digest(b"")
        assert epoch_of(behind.wrap(key, "d-1")) == 1, "it wraps under what it was told of"
        assert epoch_of(behind.wrap(key, "d-1", 2)) == 2
        with pytest.raises(Unopenable):
            behind.wrap(key, "d-1", 4)

    def test_an_earlier_one_is_not_looked_for(self) -> None:
        def never() -> dict[int, bytes]:
            raise AssertionError

        old, later = Vault(b"d", {1: MASTER}), Vault(b"d", {2: bytes(32)}, look=never)

        with pytest.raises(Unopenable):
            later.unwrap(old.wrap(old.new_key(), "d-1"), "d-1")

    def test_those_of_a_renewal_and_no_others(self) -> None:
        vault = Vault(b"d", {1: MASTER})
        wrapped = vault.wrap(vault.new_key(), "d-1")

        vault.renew({2: bytes(32)})

        assert epoch_of(vault.wrap(vault.new_key(), "d-1")) == 2
        with pytest.raises(Unopenable):
            vault.unwrap(wrapped, "d-1")


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
