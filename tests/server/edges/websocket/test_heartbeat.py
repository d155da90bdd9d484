"""A silent client is pinged, and given up when it does not answer."""

import pytest

from consentful_server.edges.websocket.heartbeat import Heartbeat, Pulse

N, P, G = Pulse.NOTHING, Pulse.PING, Pulse.GIVE_UP


@pytest.mark.parametrize(
    ("looks", "due"),
    [
        ([(0, 1), (0, 24.9)], [N, N]),
        ([(0, 25)], [P]),
        ([(0, 25), (0, 26), (0, 37.4)], [P, N, N]),
        ([(0, 25), (0, 37.5)], [P, G]),
        ([(0, 25), (6, 26), (6, 50.9), (6, 51)], [P, N, N, P]),
        ([(9, 20), (9, 44.9), (9, 45)], [N, N, P]),
        ([(0, 100)], [P]),  # the process was stopped for a while: the client gets its time to answer
        ([(0, 100), (0, 101)], [P, G]),
    ],
)
def test_what_is_due(looks: list[tuple[int, float]], due: list[Pulse]) -> None:
    heartbeat = Heartbeat(0)

    assert [heartbeat.look(received, now) for received, now in looks] == due
