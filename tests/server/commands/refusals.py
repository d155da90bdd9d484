"""What the command line says when it refuses its arguments."""

import pytest

from consentful_server import cli

Output = pytest.CaptureFixture[str]


def refused(capsys: Output, *arguments: str) -> str:
    """Return what is said when the arguments are refused: on stderr, without a traceback."""
    try:
        status = cli.run(list(arguments))
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr()
    assert status not in (0, None)
    assert "Traceback" not in said.err
    return said.err + said.out
