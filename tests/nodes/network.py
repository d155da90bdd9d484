"""Two networks on this machine, whose cables can be pulled: `front`, where nginx is, and `back`, where the database is.

    this machine          a bridge            a room (a network namespace)
    nginx ─────────────── front ──cable────── eth0
    PostgreSQL ────────── back ───cable────── eth1        a node of the service

A pulled cable is taken off its bridge. Both ends stay up, so nothing is refused or reset: packets are lost, as behind a
switch that died.
"""

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias, get_args

import pytest

from needs import need

Side: TypeAlias = Literal["front", "back"]
_SIDES: Final[Sequence[Side]] = get_args(Side)
_MASK: Final = 25


class Network:
    """Both networks, and the rooms that are connected to them. Names and addresses are those of this process alone."""

    def __init__(self, rooms: int) -> None:
        number = os.getpid()
        self._prefix = f"10.{64 + number % 128}.{number // 128 % 256}"
        self._mark = f"cf{number % 1_000_000}"
        self.rooms = [f"{self._mark}r{room}" for room in range(rooms)]

    def host(self, side: Side) -> str:
        """Return this machine's address."""
        return self._address(side, 1)

    def address(self, room: str, side: Side = "front") -> str:
        return self._address(side, 2 + self.rooms.index(room))

    def pull(self, room: str, *sides: Side) -> None:
        """Pull the room's cables on these sides."""
        _ip(*(f"link set {self._cable(room, side)} nomaster" for side in sides))

    def plug(self, room: str, *sides: Side) -> None:
        """Plug them in again."""
        _ip(*(f"link set {self._cable(room, side)} master {self._bridge(side)}" for side in sides))

    def build(self) -> None:
        for side in _SIDES:
            bridge = self._bridge(side)
            _ip(
                f"link add {bridge} type bridge",
                f"addr add {self.host(side)}/{_MASK} dev {bridge}",
                f"link set {bridge} up",
            )
        for room in self.rooms:
            _ip(f"netns add {room}", f"-n {room} link set lo up")
            for number, side in enumerate(_SIDES):
                cable, end = self._cable(room, side), f"eth{number}"
                _ip(
                    f"link add {cable} type veth peer name {end} netns {room}",
                    f"link set {cable} master {self._bridge(side)} up",
                    f"-n {room} addr add {self.address(room, side)}/{_MASK} dev {end}",
                    f"-n {room} link set {end} up",
                )

    def demolish(self) -> None:
        """Remove what was built, however far that came."""
        for room in self.rooms:
            subprocess.run(["ip", "netns", "del", room], stderr=subprocess.DEVNULL, check=False)
        for name in (self._bridge(side) for side in _SIDES):
            subprocess.run(["ip", "link", "del", name], stderr=subprocess.DEVNULL, check=False)

    def _address(self, side: Side, number: int) -> str:
        return f"{self._prefix}.{number + 128 * _SIDES.index(side)}"

    def _bridge(self, side: Side) -> str:
        return f"{self._mark}{side[0]}"

    def _cable(self, room: str, side: Side) -> str:
        return f"{room}{side[0]}"


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=True)


@contextmanager
def network(rooms: int) -> Generator[Network]:
    """Yield both networks with so many rooms, or skip the test where none can be made."""
    need("ip")
    built = Network(rooms)
    try:
        built.build()
    except subprocess.CalledProcessError as error:
        built.demolish()
        pytest.skip(f"no network of its own can be made here, which takes root: {error.stderr.strip()}")
    try:
        yield built
    finally:
        built.demolish()
