"""Key files: created once, readable by their owner only, and overwritten before they are removed."""

import base64
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from ..errors import BadKeys
from .wrapping import PLAIN, Wrapping

SECRET_BYTES: Final = 32
_BLOCK_BYTES: Final = 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_new(path: Path, content: bytes) -> None:
    """Create the file with mode 0600, completely or not at all; an existing file stays as it is.

    Its content is durable when this returns; call `sync_folder` to make its name durable too.

    Raises:
        OSError: If the disk is full or fails; nothing is left behind.
    """
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)  # buffered: on a full disk `os.write` would return after a part
            file.flush()
            os.fsync(descriptor)
        os.link(fresh, path)  # fails if the file exists; a rename would overwrite it
    except FileExistsError:
        pass  # another process created it first, and its key counts
    finally:
        os.unlink(fresh)


def destroy_file(path: Path) -> None:
    """Overwrite a file with zeros in place, then remove it; each step is durable. A missing file is no error."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        left = os.fstat(descriptor).st_size
        while left:
            left -= os.write(descriptor, bytes(min(left, _BLOCK_BYTES)))  # a write may be cut short
        os.fsync(descriptor)  # before the name goes: a crash between must not leave the content in freed blocks
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names of the files in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Let a file have another content, durably: readers see the earlier one or this one. The earlier one is destroyed.

    If this is cut off, the earlier content may remain beside it under another name; see `destroy_leftovers`.
    """
    kept = path.with_name(f".{path.name}.replaced")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_new(fresh, content)
    os.link(path, kept)
    sync_folder(path.parent)
    os.replace(fresh, path)
    sync_folder(path.parent)
    destroy_file(kept)


def destroy_leftovers(folder: Path) -> None:
    """Destroy what a crash left of key files under other names."""
    for path in leftovers(folder):
        key = folder / path.name[1:].rpartition(".")[0]
        if key.exists() and path.samefile(key):  # a second name of what is in use must not be overwritten
            path.unlink()
        else:
            destroy_file(path)


def leftovers(folder: Path) -> list[Path]:
    """Return the files that a crash left of key files under other names."""
    return [*folder.glob(".*.key.*"), *folder.glob(".*.pem.*")]


def write_secret(path: Path, wrapping: Wrapping = PLAIN) -> None:
    """Create a key of `SECRET_BYTES` random bytes in base64; an existing one stays."""
    if not path.exists():  # a key management service is asked for what is written alone
        write_new(path, wrapping.wrap(path.stem, base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n"))


def read_secret(path: Path, wrapping: Wrapping = PLAIN) -> bytes:
    """Return the 32 bytes of a key file.

    Raises:
        BadKeys: If it is missing, malformed, or readable by others than its owner, or cannot be unwrapped.
    """
    content = wrapping.unwrap(path.stem, read_private(path))
    try:
        secret = base64.b64decode(content.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise BadKeys(f"{path} is not a key of {SECRET_BYTES} bytes in base64; restore it from the keys backup")
    return secret


def is_destroyed(path: Path) -> bool:
    """Return whether `destroy_file` has overwritten or removed the file. Another machine may still see its name."""
    try:
        content = path.read_bytes()
        return bool(content) and not any(content)
    except OSError:  # on a network file system also ESTALE: removed while it was open
        return True


def read_private(path: Path) -> bytes:
    """Return the content of a key file.

    Raises:
        BadKeys: If it is missing, or readable by others than its owner.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadKeys(f"{path} is missing; restore it from the keys backup; nothing was changed") from None
    except OSError as error:
        raise BadKeys(f"{path} cannot be read ({error.strerror}); run the server as the owner of the keys") from None
    if mode & _OTHERS:
        raise BadKeys(f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}")
    return content
