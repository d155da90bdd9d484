"""The command line: commands, configuration sources and exit statuses."""

import dataclasses
import os
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from cyclopts import App, ArgumentCollection, CoercionError, CycloptsError, Parameter, config

from . import process
from .commands import ERR, backup, data, privacy, usage
from .commands.capacity import capacity
from .commands.decommission import decommission
from .commands.doctor import examine
from .commands.keys import keys
from .commands.listing import AsJson
from .commands.log import log
from .commands.move import move
from .commands.notices import notice
from .commands.requests import request
from .commands.roots import roots
from .errors import BadSetting, Refusal
from .settings import Settings

FILE: Final = "consentful.toml"
PREFIX: Final = "CONSENTFUL_"
_FOR_CLIENTS: Final = ("URL", "TOKEN")


class _File(config.Toml):
    """The settings file. An error names the file and the line."""

    def _load_config(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_bytes().decode())
        except tomllib.TOMLDecodeError as error:
            raise CycloptsError(msg=f"{path} is not valid TOML: {error}") from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise CycloptsError(msg=f"{path} is not UTF-8 (at line {line})") from None


def _refuse_fractions(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse a number with a fraction where a whole one is wanted, from whatever source. Cyclopts would round it."""
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)):
            for token in argument.tokens:
                if _is_fraction(token.value):
                    raise CoercionError(f"must be a whole number, not {token.value}", argument=argument, token=token)


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()  # true of infinity and NaN as well
    except ValueError:
        return False  # no number, or one in hexadecimal: for Cyclopts to judge


_environment: Final = config.Env(PREFIX, command=False)
_quiet: Final = Parameter(negative_iterable=())

app = App(
    name="consentful",
    help="Stores a chatbot's conversation only with the customer's consent.",
    help_format="markdown",
    version=version("consentful"),
    version_flags=["--version"],
    default_parameter=_quiet,
    error_console=usage.CONSOLE,
    error_formatter=usage.told,
    config=[_environment, _File(FILE, use_commands_as_keys=False, allow_unknown=True), _refuse_fractions],
)


@app.command(config=[_environment, _File(FILE, use_commands_as_keys=False), _refuse_fractions])
def serve(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> int:
    """Run the service. Each option can also be an environment variable or a key of `consentful.toml`."""
    _refuse_unknown_variables()
    return process.run(settings, lambda text: ERR.print(text, markup=False, soft_wrap=True))


@app.command(config=[_environment, _File(FILE, use_commands_as_keys=False), _refuse_fractions])
def doctor(
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    *,
    backups: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Examine this machine and this deployment with the settings of `serve`; a server may run meanwhile.

    Exits with 1 if something keeps the service from starting, storing or erasing.

    Args:
        backups: The folder of `consentful backup`, to see how old the newest one is; by default that of the schedule.
    """
    _refuse_unknown_variables()
    return examine(settings, backups, as_json=as_json)


for _command in (
    data.demo,
    data.export,
    data.migrate,
    backup.backup,
    backup.restore,
    move,
    decommission,
    capacity,
    privacy.erase,
    privacy.verify,
    privacy.purge,
    privacy.processing_record,
    keys,
    notice,
    request,
    log,
    roots,
):
    app.command(_command)


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status. A refusal prints a sentence on stderr, not a traceback."""
    os.umask(0o077)  # only the owner may read the files that a command creates
    try:
        status = app(arguments, result_action="return_value")
    except Refusal as refusal:
        ERR.print(f"[red]{refusal.code}[/red]: ", end="")
        ERR.print(refusal.detail, markup=False, highlight=False, soft_wrap=True)
        return refusal.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has closed its end
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes stdout at exit, which would fail again
        return 141
    except OSError as error:
        if error.filename is None:  # not of a path that the user gave: a defect, whose traceback is needed
            raise
        ERR.print("[red]file[/red]: ", end="")
        ERR.print(f"{error.filename}: {error.strerror}", markup=False, highlight=False, soft_wrap=True)
        return 2
    return status if isinstance(status, int) else 0


def _refuse_unknown_variables() -> None:
    """Refuse unknown `CONSENTFUL_` variables: a misspelt one would leave its setting at the default, unnoticed."""
    known = {PREFIX + name.upper() for name in (*_FOR_CLIENTS, *(field.name for field in dataclasses.fields(Settings)))}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            raise BadSetting(name, "unknown setting; `consentful serve --help` lists all settings")
