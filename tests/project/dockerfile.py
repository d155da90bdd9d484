"""A Dockerfile as data: its stages, and what `.dockerignore` lets into them. As much of the format as ours uses."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, continuations joined."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The arguments, of either form."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True)
class Stage:
    """What follows one FROM."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list[Instruction])

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def one(self, name: str) -> Instruction:
        (instruction,) = self.all(name)
        return instruction

    @property
    def environment(self) -> dict[str, str]:
        pairs = (word.partition("=") for instruction in self.all("ENV") for word in instruction.words)
        return {name: value for name, _, value in pairs}


def read(path: Path) -> list[Stage]:
    stages: list[Stage] = []
    for instruction in _instructions(path.read_text("utf-8")):
        if instruction.name == "FROM":
            base, *named = instruction.words
            stages.append(Stage(base, named[1] if named else ""))
        else:
            stages[-1].instructions.append(instruction)
    return stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\s*\\\n\s*", " ", lines).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield Instruction(name.upper(), rest.strip())


class Ignored:
    """What `.dockerignore` keeps out of the build: the last pattern that fits a path, or a folder above it, decides."""

    def __init__(self, path: Path) -> None:
        lines = (line.strip() for line in path.read_text("utf-8").splitlines())
        self._patterns = [
            (not line.startswith("!"), _pattern(line.removeprefix("!")))
            for line in lines
            if line and not line.startswith("#")
        ]

    def __contains__(self, path: str) -> bool:
        above = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
        ignored = False
        for out, pattern in self._patterns:
            if any(pattern.fullmatch(each) for each in above):
                ignored = out
        return ignored


def _pattern(text: str) -> re.Pattern[str]:
    translated = re.escape(text.strip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.compile(translated)
