"""What is wrong with a command line, in one line, and where it says what to write instead."""

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError
from rich.console import Console
from rich.text import Text

CONSOLE = Console(stderr=True, soft_wrap=True)
"""Where it is printed. A line is not broken: whoever searches a log for it finds it whole."""


def told(error: CycloptsError) -> Text:
    """Return what is wrong, and the command that shows what the command takes."""
    command = " ".join(("consentful", *(error.command_chain or ())))
    return Text.assemble(("command", "red"), f": {_what(error)} See `{command} --help`.")


def _what(error: CycloptsError) -> str:
    match error:
        case MissingArgumentError(argument=argument, keyword=keyword) if argument is not None:
            return f"{argument.name} {'has no value' if keyword else 'is missing'}."
        case UnusedCliTokensError(unused_tokens=tokens) if tokens:
            return f"it takes no {' '.join(tokens)}."
        case _:
            text = str(error)
            return text if text.endswith((".", "?")) else f"{text}."
