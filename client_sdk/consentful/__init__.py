"""Consentful: a conversation is stored only if the customer consents.

    async with consentful.open_dialog("ws://127.0.0.1:8080", customer_id="c-42", language="EN") as dialog:
        await dialog.say("Where is my parcel?")
        await dialog.say("It arrives tomorrow.", role="bot")
        print(dialog.notice.text)  # what to ask the customer
        stored = await dialog.grant()  # or: await dialog.decline()

Where a block does not fit, `dialog = await consentful.open(...)` has the same parameters, and `dialog.close()` ends it.
For data scientists, `consentful.Reader(url, token)` reads stored dialogs as rows, as tables, or as a local copy that
`sync` keeps up to date. `consentful.sync` has both for blocking code. The logger `consentful` describes every
connection at debug level, without message text.
"""

from . import sync
from .dialog import Dialog
from .errors import (
    Conflict,
    ConsentfulError,
    Erased,
    Finished,
    Forbidden,
    Incomplete,
    MessageRefused,
    OutcomeUnknown,
    Refused,
    Superseded,
    TimedOut,
    TooLong,
    Unauthorised,
    Unavailable,
    UnknownCode,
)
from .mirror import Synced
from .opening import Opening, open_dialog
from .reader import Reader
from .rows import KeptAnnotation, KeptDialog, KeptMessage
from .wire import BadFrame, Discarded, Limits, Notice, Role, Stored
from .withdrawal import Narrowed, Withdrawn, withdraw

open = open_dialog  # noqa: A001 - consentful.open, for `await`; within this module no file is opened

__all__ = (
    "BadFrame",
    "Conflict",
    "ConsentfulError",
    "Dialog",
    "Discarded",
    "Erased",
    "Finished",
    "Forbidden",
    "Incomplete",
    "KeptAnnotation",
    "KeptDialog",
    "KeptMessage",
    "Limits",
    "MessageRefused",
    "Narrowed",
    "Notice",
    "Opening",
    "OutcomeUnknown",
    "Reader",
    "Refused",
    "Role",
    "Stored",
    "Superseded",
    "Synced",
    "TimedOut",
    "TooLong",
    "Unauthorised",
    "Unavailable",
    "UnknownCode",
    "Withdrawn",
    "open",
    "open_dialog",
    "sync",
    "withdraw",
)
