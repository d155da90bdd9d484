"""What a client sends is counted, as memory and against its share."""

from typing import Any

import pytest

from consentful_server.edges.websocket.charging import Charging
from consentful_server.errors import Overloaded, TooOften
from consentful_server.testing import FakeClock, Served

from .fake_transport import FakeSource

KIB = 1024
NAMES = ("address 192.0.2.1", "credential shop")


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"frames_per_second": 100, "bytes_per_second": 1_000_000}


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
async def charging(service: Served, source: FakeSource) -> Charging:
    return Charging(service.service, source, NAMES)


def memory(service: Served) -> int:
    return service.service.registry.bytes_used


class TestMemory:
    def test_what_is_not_read_counts_beyond_64_kib(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = 64 * KIB
        charging.charge(0)
        assert memory(service) == 0

        source.received += 1000
        charging.charge(0)
        assert memory(service) == 1000

    def test_it_is_free_again_once_it_is_read(self, service: Served, charging: Charging, source: FakeSource) -> None:
        source.received = 100 * KIB
        charging.charge(0)
        assert memory(service) == 36 * KIB

        charging.read += 30 * KIB
        charging.charge(0)
        assert memory(service) == 6 * KIB
        assert charging.is_behind
        charging.read += 70 * KIB
        charging.charge(0)

        assert memory(service) == 0
        assert not charging.is_behind

    def test_what_came_since_is_still_to_be_charged(self, charging: Charging, source: FakeSource) -> None:
        source.received = 10

        assert charging.is_behind

    def test_headers_of_frames_that_were_taken_up_are_read(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = 64 * KIB + 60

        charging.charge(10)

        assert memory(service) == 0

    @pytest.mark.parametrize("settings", [{"memory": 1_000_000, "max_dialog_bytes": 100_000}])
    def test_where_there_is_no_room_nothing_is_counted(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = 64 * KIB + 1_000_001

        with pytest.raises(Overloaded):
            charging.charge(0)

        assert memory(service) == 0

    def test_all_of_it_is_given_back_at_the_end(self, service: Served, charging: Charging, source: FakeSource) -> None:
        source.received = 1000 * KIB
        charging.charge(0)
        assert memory(service) > 0

        charging.close(0)

        assert memory(service) == 0

    def test_what_was_compressed_comes_out_as_no_more_than_came(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = 100
        charging.read = 10_000_000
        charging.charge(1)

        source.received += 164 * KIB
        charging.charge(0)

        assert memory(service) == 100 * KIB


class TestShare:
    def test_frames_and_bytes_are_charged_to_every_name(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = charging.read = 9_000_000
        charging.charge(900)

        for name in NAMES:
            service.service.clients.charge((name,), 100, 1_000_000)
            with pytest.raises(TooOften):
                service.service.clients.charge((name,), 1, 0)

    def test_bytes_are_charged_once(self, charging: Charging, source: FakeSource) -> None:
        source.received = charging.read = 9_000_000

        for _ in range(5):
            charging.charge(0)

        source.received += 1_000_001
        charging.read += 1_000_001
        with pytest.raises(TooOften):
            charging.charge(0)

    def test_more_frames_than_the_share_are_too_many(self, charging: Charging, source: FakeSource) -> None:
        source.received = charging.read = 10_000
        charging.charge(1000)

        with pytest.raises(TooOften) as caught:
            charging.charge(100)

        assert caught.value.retry_after_s == 1

    def test_pieces_of_a_message_that_never_ends_are_charged_as_frames(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = service.service.limits.max_frame_bytes + 1024 * KIB + 1

        with pytest.raises(TooOften):
            charging.charge(0)

    def test_one_large_frame_that_is_not_whole_yet_is_not(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = service.service.limits.max_frame_bytes + 1024 * KIB

        charging.charge(0)

    def test_the_end_charges_for_what_was_never_taken_up_and_refuses_nothing(
        self, service: Served, charging: Charging, source: FakeSource
    ) -> None:
        source.received = 20_000_000

        charging.close(0)

        with pytest.raises(TooOften):
            service.service.clients.charge(NAMES[:1], 0, 1)

    def test_the_alarm_is_set_128_kib_ahead(self, charging: Charging, source: FakeSource) -> None:
        source.received = 1000

        charging.charge(0)

        assert source.alarm_at == 1000 + 128 * KIB


class TestPings:
    def test_a_hundred_are_answered_and_then_one_a_second(self, charging: Charging, clock: FakeClock) -> None:
        for _ in range(100):
            charging.ping()
        with pytest.raises(TooOften) as caught:
            charging.ping()
        assert caught.value.retry_after_s == 1

        clock.advance(1)

        charging.ping()
        with pytest.raises(TooOften):
            charging.ping()


def test_a_client_that_is_stopped_is_read_no_more(charging: Charging, source: FakeSource) -> None:
    charging.stop()

    assert source.has_stopped_reading
