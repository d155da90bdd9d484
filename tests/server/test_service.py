"""The service's end: it does not depend on what is away by then."""

from pathlib import Path

import pytest

import consentful
from consentful_server.testing import serve


async def test_a_stop_while_the_store_is_away_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(folder=tmp_path) as service:
        async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
            await dialog.say("Hi")
            await dialog.decline()
        (tmp_path / "data" / "consentful.db").rename(tmp_path / "moved.db")

    assert "counts were not written" in caplog.messages
