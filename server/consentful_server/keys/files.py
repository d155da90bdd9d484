"""Files that hold keys: written once, readable by their owner only, and destroyed where they stand."""

import base64
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from ..errors import BadKeys

SECRET_BYTES: Final = 32
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_new(path: Path, content: bytes) -> None:
    """Create the file whole or not at all; an existing one is left as it is."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, path)  # fails, where a rename would overwrite
    except FileExistsError:
        pass  # another process was first, and its key counts
    finally:
        os.unlink(fresh)


def destroy_file(path: Path) -> None:
    """Overwrite a file where it stands, and remove it, each durably: a crash between leaves nothing to read."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which files are in the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_secret(path: Path) -> None:
    """Make a key of `SECRET_BYTES`; one that is there already stays."""
    write_new(path, base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n")


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes of a key file.

    Raises:
        BadKeys: If it is missing, malformed or readable by anyone but its owner.
    """
    content = read_private(path)
    try:
        secret = base64.b64decode(content.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise BadKeys(f"{path} is not a key of {SECRET_BYTES} bytes in base64; put it back from the backup of the keys")
    return secret


def read_private(path: Path) -> bytes:
    """Return what is in a key file.

    Raises:
        BadKeys: If it is missing, or readable by anyone but its owner.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadKeys(f"{path} is missing; put it back from the backup of the keys; nothing was changed") from None
    except OSError as error:
        raise BadKeys(f"{path} cannot be read ({error.strerror}); run the server as the owner of the keys") from None
    if mode & _OTHERS:
        raise BadKeys(f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}")
    return content
