"""Two networks, whose cables can be pulled: `front`, where nginx is, and `back`, where the database is.

    the hall              a bridge            a room (a network namespace)
    nginx ─────────────── front ──cable────── eth0
    PostgreSQL ────────── back ───cable────── eth1        a node of the service

A pulled cable is taken off its bridge. Both ends stay up, so nothing is refused or reset: packets are lost, as behind a
switch that died.

The hall is a network namespace as well, which this thread is in as long as the networks are there, with whatever it
starts: the machine's own network does not change. Chromium would drop its connections whenever that does, in the tests
that another process runs meanwhile (`net::ERR_NETWORK_CHANGED`).
"""

import ctypes
import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, Literal, TypeAlias, get_args

import pytest

from needs import need

Side: TypeAlias = Literal["front", "back"]
_SIDES: Final[Sequence[Side]] = get_args(Side)
_MASK: Final = 25
_NEWNET: Final = 0x40000000
"""CLONE_NEWNET of unshare(2) and setns(2), which Python's `os` has from 3.12 on."""


class Network:
    """Both networks, and the rooms that are connected to them. The rooms' names are those of this process alone."""

    def __init__(self, rooms: int) -> None:
        number = os.getpid()
        self._prefix = f"10.{64 + number % 128}.{number // 128 % 256}"
        self._mark = f"cf{number % 1_000_000}"
        self.rooms = [f"{self._mark}r{room}" for room in range(rooms)]

    def host(self, side: Side) -> str:
        """Return the hall's address."""
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
        _ip("link set lo up")
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
        """Remove the rooms, however many were built; the rest goes with the hall."""
        for room in self.rooms:
            subprocess.run(["ip", "netns", "del", room], stderr=subprocess.DEVNULL, check=False)

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
def _hall() -> Generator[None]:
    """Put this thread, and whatever it starts, into a network namespace of its own until the block ends.

    Raises:
        OSError: If this user may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: int) -> None:
        if getattr(libc, name)(*arguments):
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")

    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        call("unshare", _NEWNET)
        try:
            yield
        finally:
            call("setns", outside, _NEWNET)
    finally:
        os.close(outside)


@contextmanager
def network(rooms: int) -> Generator[Network]:
    """Yield both networks with so many rooms, or skip the test where none can be made."""
    need("ip")
    built = Network(rooms)
    with ExitStack() as stack:
        try:
            stack.enter_context(_hall())
            stack.callback(built.demolish)
            built.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network of its own can be made here, which takes root: {error.stderr.strip()}")
        except OSError as error:
            pytest.skip(f"no network of its own can be made here, which takes root: {error.strerror}")
        yield built
