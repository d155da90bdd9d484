from datetime import UTC, datetime

import pytest

from consentful.endpoint import live_url, seconds_of

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("base", "live"),
    [
        ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/dialogs/live"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1/dialogs/live"),
        ("wss://chat.example", "wss://chat.example/v1/dialogs/live"),
        ("https://chat.example/consentful/", "https://chat.example/consentful/v1/dialogs/live"),
        ("ws://[::1]:8080", "ws://[::1]:8080/v1/dialogs/live"),
    ],
)
def test_the_path_is_appended(base: str, live: str) -> None:
    assert str(live_url(base)) == live


@pytest.mark.parametrize(
    "base",
    ["", "127.0.0.1:8080", "/v1", "ftp://host", "ws://", "ws://user:secret@host", "ws://host?token=secret", "ws://h#x"],
)
def test_what_is_no_address_is_refused_and_not_repeated(base: str) -> None:
    with pytest.raises(ValueError, match="the url must") as caught:
        live_url(base)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-3", 0.0),
        ("Fri, 02 Jan 2026 12:00:30 GMT", 30.0),
        ("Fri, 02 Jan 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert seconds_of(header, NOW) == seconds
