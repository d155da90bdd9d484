"""Key files: a disk that cuts a write short leaves no part of a key, and destroying one overwrites all of it."""

import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consentful_server.keys import files
from consentful_server.keys.files import destroy_file, write_new


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """Cut writes short at this size, and fail them from there on (setrlimit(2))."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_is_cut_short_is_not_created(tmp_path: Path) -> None:
    with files_of_at_most(10), pytest.raises(OSError, match="too large"):
        write_new(tmp_path / "index.key", b"k" * 45)

    assert list(tmp_path.iterdir()) == []


def test_a_file_is_created_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "index.key"

    write_new(path, b"first")
    write_new(path, b"second")

    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_larger_than_a_block_is_overwritten_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK_BYTES", 1000)
    path, other = tmp_path / "dialog_keys.db", tmp_path / "another name"
    path.write_bytes(b"k" * 2500)
    other.hardlink_to(path)

    destroy_file(path)

    assert other.read_bytes() == bytes(2500)
    assert not path.exists()
