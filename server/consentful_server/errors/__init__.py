"""Every refusal, with its stable code and a sentence that says what to do next.

    Refusal
    ├── the dialog stays open
    │   ├── OutOfOrder        order         the frame is not allowed in the dialog's state
    │   ├── Gap               gap           a message number was skipped
    │   ├── OverLimit         limit         the message, or the dialog with it, exceeds a limit
    │   ├── Incomplete        incomplete    `last_seq` is not the number of messages held
    │   ├── Empty             empty         consent to a dialog without messages
    │   ├── UnknownNotice     notice        consent to a notice that was not offered
    │   ├── UnknownPurpose    purposes      consent to a purpose that the notice does not name
    │   └── StorageFailed     storage       the transaction was rolled back
    ├── the dialog is closed
    │   ├── Conflict          conflict      the id belongs to another dialog, or to another customer's
    │   ├── Erased            erased        the id was erased and cannot be reused
    │   ├── OutcomeUnknown    unknown       the result of the commit is not known yet
    │   ├── TokenExpired      token_expired the token expired before the customer granted consent
    │   └── Overloaded        overloaded    no capacity; retry later
    │       ├── TooOften      too_often     the client exceeded its rate limit; retry later
    │       ├── ProviderDown  provider      the identity provider does not respond; retry later
    │       └── ChoresFailing chores        background work keeps failing; the server is not ready
    ├── of a request
    │   ├── Lost              lost          a dialog of the original contract lost messages
    │   ├── Unauthenticated   unauthenticated
    │   ├── Forbidden         forbidden
    │   ├── BadRequest        bad_request   names the parameter
    │   ├── KeyReused         idempotency_key   the Idempotency-Key was used with another body
    │   ├── KeyInUse          in_progress   a request with this Idempotency-Key is being executed
    │   ├── NotOpen           not_open      the privacy request was answered, refused or withdrawn
    │   ├── NotFound          not_found
    │   ├── Stale             stale         the resource is not as the request demands it (If-Match, If-None-Match)
    │   ├── Restored          restored      the cursor is from before a restore; start again without it
    │   ├── NotAcceptable     not_acceptable         the format is not available
    │   ├── WrongMediaType    unsupported_media_type the route does not read this type of body
    │   ├── Damaged           damaged       a stored dialog fails its integrity check
    │   └── Unsupported       unsupported   not available in this configuration
    └── of a start or a command
        ├── BadSetting        setting       a setting is invalid
        ├── BadKeys           keys          the root keys are missing, exposed or of another database
        ├── BadDatabase       database      the schema is too new, or this SQLite version can corrupt the database
        │   └── Unreachable   unreachable   the database cannot be reached for now
        └── BadBackup         backup        the backup does not exist, or restoring it would overwrite data
            └── BackupRunning backup_running  another process makes a backup of this database now

No refusal carries message text, a customer id or a token. `edges/http/faults.py` maps each code to an HTTP status and a
WebSocket close code.
"""

from .access import Forbidden, TokenExpired, Unauthenticated
from .capacity import ChoresFailing, Overloaded, ProviderDown, TooOften
from .commands import BackupRunning, BadBackup, BadDatabase, BadKeys, BadSetting, Unreachable
from .dialogs import (
    Conflict,
    Damaged,
    Empty,
    Erased,
    Gap,
    Incomplete,
    Lost,
    OutcomeUnknown,
    OutOfOrder,
    OverLimit,
    StorageFailed,
    UnknownNotice,
    UnknownPurpose,
)
from .refusal import Denial, Limit, Refusal
from .requests import (
    BadRequest,
    KeyInUse,
    KeyReused,
    NotAcceptable,
    NotFound,
    NotOpen,
    Restored,
    Stale,
    Unsupported,
    WrongMediaType,
)

__all__ = (
    "BackupRunning",
    "BadBackup",
    "BadDatabase",
    "BadKeys",
    "BadRequest",
    "BadSetting",
    "ChoresFailing",
    "Conflict",
    "Damaged",
    "Denial",
    "Empty",
    "Erased",
    "Forbidden",
    "Gap",
    "Incomplete",
    "KeyInUse",
    "KeyReused",
    "Limit",
    "Lost",
    "NotAcceptable",
    "NotFound",
    "NotOpen",
    "OutOfOrder",
    "OutcomeUnknown",
    "OverLimit",
    "Overloaded",
    "ProviderDown",
    "Refusal",
    "Restored",
    "Stale",
    "StorageFailed",
    "TokenExpired",
    "TooOften",
    "Unauthenticated",
    "UnknownNotice",
    "UnknownPurpose",
    "Unreachable",
    "Unsupported",
    "WrongMediaType",
)
