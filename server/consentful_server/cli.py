"""The command line."""

import asyncio
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, TypeVar

from cyclopts import App, Parameter, config
from rich.console import Console
from rich.table import Table

from . import process, processing, retention
from . import verify as verification
from .access import Scope
from .clock import SystemClock, from_micros, to_micros
from .consent import read_notice
from .demo import DEFAULT_DIALOGS, Demo
from .errors import BadSetting, Conflict, Refusal
from .export import Export
from .service import Service, open_service
from .settings import Place, Settings
from .stores.credentials import Credential
from .stores.requests import PrivacyRequest
from .stores.sqlite import prepare

T = TypeVar("T")

FILE: Final = "consentful.toml"
PREFIX: Final = "CONSENTFUL_"
_OPERATOR: Final = "command line"
_EVERY_ONE: Final = 2**31
_FOR_CLIENTS: Final = ("URL", "TOKEN")

_out: Final = Console()
_err: Final = Console(stderr=True)

_environment: Final = config.Env(PREFIX, command=False)
_quiet: Final = Parameter(negative_iterable=())

app = App(
    name="consentful",
    help="Keeps a chatbot's conversation only when the customer says yes.",
    help_format="markdown",
    version=version("consentful"),
    version_flags=["--version"],
    default_parameter=_quiet,
    config=[_environment, config.Toml(FILE, use_commands_as_keys=False, allow_unknown=True)],
)
keys = App(name="keys", help="API keys: make, list and revoke them. The database holds only their hashes.")
app.command(keys)

notice = App(name="notice", help="Notices: what customers are shown when they are asked. Each is immutable.")
app.command(notice)

Where = Annotated[Place, Parameter(name="*")]
Url = Annotated[str, Parameter(help="The service's address.")]
Token = Annotated[str | None, Parameter(help="An API key; none is needed with `--auth none`.")]


@app.command(config=[_environment, config.Toml(FILE, use_commands_as_keys=False)])
def serve(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> int:
    """Run the service. Every option is also an environment variable and a key of `consentful.toml`."""
    _refuse_unknown_variables()
    return process.run(settings, lambda text: _err.print(text, markup=False, soft_wrap=True))


@app.command
def demo(
    *,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    dialogs: int = DEFAULT_DIALOGS,
    seed: int = 1,
    at_once: int = 16,
) -> int:
    """Replay real human conversations through the SDK, some granted, some declined, some dropped; check what is kept.

    Args:
        dialogs: How many conversations of `chitchat-dataset` to replay.
        seed: Which ones, and how each ends: the same seed, the same demo.
        at_once: How many run at the same time.
    """
    return asyncio.run(Demo(url, token, dialogs=dialogs, seed=seed, at_once=at_once).run(_out))


@app.command
def export(
    output: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    filters: Annotated[Export, Parameter(name="*")] = Export(),
) -> int:
    """Write every consented message that fits to OUTPUT as NDJSON, one message a line; `-` is the standard output."""
    return asyncio.run(filters.run(url, token, output, _err))


@app.command
def migrate(place: Where = Place()) -> int:
    """Bring the database to this version's schema. `serve` does it by itself."""
    place.database_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    steps = prepare(place.database_path)
    for step in steps:
        _out.print(f"{step.number:04d} {step.name}")
    _out.print("The schema is up to date." if not steps else f"{len(steps)} steps were taken.")
    return 0


@app.command
def erase(*, customer: str | None = None, dialog: str | None = None, place: Where = Place()) -> int:
    """Erase a customer or one dialog, look whether it is gone, and print what was seen.

    Works beside a running server.

    Args:
        customer: The customer's id, as the chatbot names it: everything of that customer is erased.
        dialog: The id of one dialog.
    """
    if (customer is None) == (dialog is None):
        raise BadSetting("customer", "name either --customer or --dialog")

    async def work(service: Service) -> PrivacyRequest:
        if customer is not None:
            return await service.privacy.erase(customer, by=_OPERATOR)
        return await service.privacy.erase_dialog(dialog or "", by=_OPERATOR)

    done = _with_service(place, work)
    table = Table("request", "dialogs", "messages", "status", title="Erased")
    table.add_row(done.id, f"{done.dialogs:,}", f"{done.messages:,}", done.status)
    _out.print(table)
    _out.print("The signed report:", done.report, markup=False, soft_wrap=True)
    return 0 if done.status == "unreadable" else 1


@app.command
def verify(receipt: Path | None = None, *, disk: str | None = None, place: Where = Place()) -> int:
    """Check a RECEIPT (a file) against this deployment's key and the stored words, or search the disk for a marker.

    Args:
        receipt: A file with the compact JWS that `stored` carried.
        disk: Search every file of the data and the keys, byte for byte, for this text.
    """
    if (receipt is None) == (disk is None):
        raise BadSetting("receipt", "name either a receipt's file or --disk")
    if disk is not None:
        return _search(place, disk)
    text = receipt.read_text() if receipt and receipt.is_file() else ""
    if not text:
        raise BadSetting("receipt", "a file that holds a receipt")
    verdict = _with_service(place, lambda service: verification.check_receipt(text, service))
    _out.print_json(data=dict(verdict.claims))
    _out.print(f"Signature: valid. Content: {verdict.content} ({verdict.detail}).", markup=False, soft_wrap=True)
    return 0 if verdict.is_good else 1


@app.command
def purge(*, dry_run: bool = False, place: Where = Place()) -> int:
    """Erase every dialog whose retention has ended. The server does it by itself every hour.

    Args:
        dry_run: Only count them.
    """

    async def count(service: Service) -> int:
        now = to_micros(service.clock.now())
        return len(await service.store.expired(now, _EVERY_ONE))

    async def erase(service: Service) -> int:
        return await retention.purge(service.archive, service.clock)

    dialogs = _with_service(place, count if dry_run else erase)
    _out.print(f"{dialogs:,} dialogs {'would be' if dry_run else 'were'} erased.")
    return 0


@app.command
def processing_record(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> int:
    """Print the record of processing (GDPR art. 30) from the settings and the notices on offer, as Markdown."""
    wordings = _with_service(settings, lambda service: service.store.notices.all())
    print(processing.processing_record(settings, wordings))  # noqa: T201
    return 0


@keys.command
def create(
    *,
    name: str,
    scope: list[Scope],
    purpose: list[str] | None = None,
    days: int | None = None,
    place: Where = Place(),
) -> int:
    """Make a key and print it, alone and only now.

    Args:
        name: Who uses it. Dialogs belong to the name, so a new key of the same name takes over from an old one.
        scope: What it may do.
        purpose: Read only dialogs whose consent covers one of these; all if left out.
        days: After how many days it ends; never if left out.
    """
    if days is not None and days < 1:
        raise BadSetting("days", "a whole number above 0")
    end = None if days is None else to_micros(SystemClock().now() + timedelta(days=days))
    print(_with_service(place, lambda service: service.keys.create(name, scope, purpose, end)))  # noqa: T201
    return 0


@keys.command(name="list")
def list_keys(place: Where = Place()) -> int:
    """List every key, revoked ones as well."""
    table = Table("id", "name", "scopes", "purposes", "made", "ends", "revoked")
    for credential in _with_service(place, lambda service: service.store.credentials.all()):
        table.add_row(*_row(credential))
    _out.print(table)
    return 0


@keys.command
def revoke(key_id: str, *, place: Where = Place()) -> int:
    """Revoke a key by its id; a running server stops taking it within five seconds."""
    if _with_service(place, lambda service: service.store.credentials.revoke(key_id)):
        return 0
    _err.print(f"There is no key {key_id}; `consentful keys list` shows them.", markup=False)
    return 1


@notice.command
def add(file: Path, *, place: Where = Place()) -> int:
    """Put a notice on offer, from a TOML file; from then on it is the one that is shown.

    Args:
        file: Has `id`, `controller`, `contact`, `purposes`, `retention_days` and a `[text]` for each language.
    """
    if not file.is_file():
        raise BadSetting("file", f"a notice in TOML; {file} is none")
    wordings = read_notice(file.read_bytes())
    try:
        _with_service(place, lambda service: service.store.notices.add(wordings))
    except Conflict:
        raise BadSetting(
            "id", f"{wordings[0].id} was on offer with other words; give the new ones another id"
        ) from None
    _out.print(f"{wordings[0].id} is on offer in {', '.join(wording.language for wording in wordings)}.", markup=False)
    return 0


@notice.command(name="list")
def list_notices(place: Where = Place()) -> int:
    """List every wording that was ever on offer, with the hash that receipts name it by."""
    table = Table("id", "language", "sha256", "purposes", "days", "added", "retired")
    for wording in _with_service(place, lambda service: service.store.notices.all()):
        moments = (wording.added_at, wording.retired_at)
        table.add_row(
            wording.id,
            wording.language,
            wording.sha256[:12],
            " ".join(wording.purposes),
            str(wording.retention.days),
            *("" if moment is None else f"{from_micros(moment):%Y-%m-%d %H:%M}" for moment in moments),
        )
    _out.print(table)
    return 0


@notice.command
def show(sha256: str, *, place: Where = Place()) -> int:
    """Print a wording again, exactly as it was shown, from its hash or the beginning of it."""
    for wording in _with_service(place, lambda service: service.store.notices.all()):
        if sha256 and wording.sha256.startswith(sha256.lower()):
            _out.print(wording.text, markup=False, highlight=False, soft_wrap=True)
            return 0
    _err.print("No wording has this hash; `consentful notice list` shows them.")
    return 1


@notice.command
def retire(notice_id: str, *, place: Where = Place()) -> int:
    """Take a notice off offer. Dialogs that were shown it may still end with a consent to it."""

    async def work(service: Service) -> bool:
        offered = {wording.id for wording in await service.store.notices.all() if wording.retired_at is None}
        if offered == {notice_id}:
            raise BadSetting("notice_id", "the last one on offer; add another one first")
        return await service.store.notices.retire(notice_id)

    if _with_service(place, work):
        return 0
    _err.print(f"There is no notice {notice_id}; `consentful notice list` shows them.", markup=False)
    return 1


def run(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status. A refusal is a sentence on stderr, not a traceback."""
    os.umask(0o077)  # what is written here is its owner's alone
    try:
        status = app(arguments, result_action="return_value")
    except Refusal as refusal:
        _err.print(f"[red]{refusal.code}[/red]: ", end="")
        _err.print(refusal.detail, markup=False, highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - or Python would complain once more at exit
        return 141
    return status if isinstance(status, int) else 0


def _with_service(place: Place, work: Callable[[Service], Awaitable[T]]) -> T:
    async def within() -> T:
        settings = place if isinstance(place, Settings) else Settings(**dataclasses.asdict(place))
        async with open_service(settings) as service:
            return await work(service)

    return asyncio.run(within())


def _search(place: Place, marker: str) -> int:
    folders = [place.database_path.parent, place.keys_dir]
    found = list(verification.search(folders, marker))
    for path in found:
        _out.print(str(path), markup=False)
    _out.print(f"Found in {len(found)} files." if found else "Found nowhere in the files of the data and the keys.")
    return 1 if found else 0


def _row(credential: Credential) -> list[str]:
    moments = (credential.created_at, credential.expires_at, credential.revoked_at)
    return [
        credential.id,
        credential.name,
        " ".join(credential.scopes),
        "all" if credential.purposes is None else " ".join(credential.purposes),
        *("" if moment is None else f"{from_micros(moment):%Y-%m-%d %H:%M}" for moment in moments),
    ]


def _refuse_unknown_variables() -> None:
    """A misspelt variable would be a setting that silently is not set."""
    known = {PREFIX + name.upper() for name in (*_FOR_CLIENTS, *(field.name for field in dataclasses.fields(Settings)))}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            raise BadSetting(name, "no such setting; `consentful serve --help` lists them")
