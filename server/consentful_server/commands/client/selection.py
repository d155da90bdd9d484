"""Which dialogs a command is about, as a command line can say it: pairs of their metadata, and a list of their ids."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ...errors import BadSetting

_STDIN: Final = "-"


def pairs(arguments: Iterable[str]) -> dict[str, str] | None:
    """Return the pairs of `KEY=VALUE` arguments; None without any. A value may contain `=`, and may be empty.

    Raises:
        BadSetting: If one has no `=` or no key, or two have the same key. It repeats no value.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not key or not separator:
            raise BadSetting("metadata", "must be KEY=VALUE, such as --metadata channel=web")
        if key in found:
            raise BadSetting("metadata", f"{key} is given twice, and a dialog has one value of it; give it once")
        found[key] = value
    return found or None


def dialog_ids(path: Path) -> list[str]:
    """Return the ids in a file, one a line, or those on the standard input if the path is `-`.

    Raises:
        BadSetting: If the file cannot be read as text, or names no dialog: an export of all dialogs was not meant.
    """
    try:
        text = sys.stdin.read() if str(path) == _STDIN else path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadSetting("dialog_ids", f"{path} cannot be read: {reason}; name a file with one id a line") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise BadSetting("dialog_ids", "names no dialog; write one id a line, or leave it out to export all dialogs")
    return found
