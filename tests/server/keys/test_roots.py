"""The root keys: made once, for their owner alone, and never overwritten."""

import stat
from pathlib import Path

import pytest

from consentful_server.errors import BadKeys
from consentful_server.keys import roots


def test_roots_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    roots.create(tmp_path / "keys")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}

    assert modes == dict.fromkeys(("wrapping-0001.key", "index.key", "cursor.key", "signing.pem"), 0o600)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_making_them_again_changes_nothing(tmp_path: Path) -> None:
    roots.create(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    roots.create(tmp_path)

    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_root_is_a_secret_of_its_own(tmp_path: Path) -> None:
    roots.create(tmp_path)
    made = roots.load(tmp_path)

    assert len({made.wrapping[1], made.index, made.cursor, made.signing.key.private_bytes_raw()}) == 4
    assert made.derive("pseudonyms") != made.derive("api keys")


@pytest.mark.parametrize("name", ["wrapping-0001.key", "index.key", "cursor.key", "signing.pem"])
def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    roots.create(tmp_path)
    (tmp_path / name).chmod(0o640)

    with pytest.raises(BadKeys, match=f"{name} can be read by others.*chmod 600"):
        roots.load(tmp_path)


@pytest.mark.parametrize("name", ["wrapping-0001.key", "index.key", "cursor.key", "signing.pem"])
def test_a_missing_key_is_refused_and_not_made_anew(tmp_path: Path, name: str) -> None:
    roots.create(tmp_path)
    (tmp_path / name).unlink()

    with pytest.raises(BadKeys):
        roots.load(tmp_path)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["wrapping-0001.key", "index.key", "cursor.key", "signing.pem"])
@pytest.mark.parametrize("content", [b"", b"c2hvcnQ=", b"\xff\xff", b"not base64 at all!"])
def test_a_malformed_key_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    roots.create(tmp_path)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadKeys, match=name):
        roots.load(tmp_path)


def test_the_right_keys_fit_and_any_other_is_named(tmp_path: Path) -> None:
    roots.create(tmp_path / "one")
    roots.create(tmp_path / "two")
    stored = roots.load(tmp_path / "one").checks(b"deployment")

    roots.check(roots.load(tmp_path / "one"), b"deployment", stored)
    for name in ("index.key", "cursor.key", "signing.pem", "wrapping-0001.key"):
        keep = (tmp_path / "one" / name).read_bytes()
        (tmp_path / "one" / name).write_bytes((tmp_path / "two" / name).read_bytes())
        with pytest.raises(BadKeys, match=name.partition(".")[0]):
            roots.check(roots.load(tmp_path / "one"), b"deployment", stored)
        (tmp_path / "one" / name).write_bytes(keep)


def test_check_values_tell_nothing_about_the_keys(tmp_path: Path) -> None:
    roots.create(tmp_path)
    made = roots.load(tmp_path)

    secrets = (made.index, made.cursor, made.wrapping[1], made.signing.key.private_bytes_raw())
    assert not any(secret in value for secret in secrets for value in made.checks(b"d").values())
    assert made.checks(b"d") != made.checks(b"another deployment")
    assert "index" not in repr(made)


def test_a_folder_that_does_not_exist_is_refused_as_one_without_keys(tmp_path: Path) -> None:
    with pytest.raises(BadKeys, match=r"has no wrapping-\*\.key"):
        roots.load(tmp_path / "nowhere")
