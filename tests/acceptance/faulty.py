"""The real server with a fault in it, and a control: run as `python faulty.py serve …`.

A message that begins with `break ` raises an exception that carries its words, in the middle of the dialog's rules. A
token of its own goes to a temporary file that is unlinked at once: a watcher that does not see it is blind.
"""

import os
import sys
from datetime import datetime
from pathlib import Path

from consentful.wire import Message
from consentful_server import cli
from consentful_server.dialogs.dialog import Dialog

say = Dialog.say


def break_off(self: Dialog, message: Message, received_at: datetime) -> int:
    if message.text.startswith("break "):
        raise RuntimeError(message.text)
    return say(self, message, received_at)


Dialog.say = break_off

if __name__ == "__main__":
    unlinked = Path(os.environ["TMPDIR"]) / "control"
    with unlinked.open("wb", buffering=0) as file:
        unlinked.unlink()
        file.write(os.environ["CONTROL"].encode())
    sys.exit(cli.run())
