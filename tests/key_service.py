"""A stand-in for a key management service: the program of docs/keys.md, which can be down."""

from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs" / "keys.md"
STAND_IN = DOCS.read_text("utf-8").rpartition("```sh\n")[2].partition("```")[0]
"""The program that the documentation shows: what is wrapped looks like nothing that was there before."""

WATCHED = """#!/bin/sh
printf '%s %s\\n' "$1" "$2" >> "$0.calls"
test ! -e "$0.down" || exit 7
exec "$0.real" "$@"
"""


def script(path: Path, text: str) -> list[str]:
    path.write_text(text)
    path.chmod(0o700)
    return [str(path)]


class StandIn:
    """A key management service on this machine, which can be down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        script(path.with_name(path.name + ".real"), STAND_IN)
        (self.command,) = script(path, WATCHED)

    def go_down(self) -> None:
        self.path.with_name(self.path.name + ".down").touch()

    def come_back(self) -> None:
        self.path.with_name(self.path.name + ".down").unlink()

    @property
    def calls(self) -> list[str]:
        path = self.path.with_name(self.path.name + ".calls")
        return path.read_text().splitlines() if path.exists() else []
