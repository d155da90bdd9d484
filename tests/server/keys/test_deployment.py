"""The keys of a deployment: a new database beside keys that were used is what a missing mount looks like."""

import shutil
from pathlib import Path

import pytest

from consentful_server.testing import serve

WARNING = "the database is new, and its keys are not"


async def test_a_new_database_beside_earlier_keys_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):  # the first start, and one like any other
        async with serve(folder=tmp_path):
            pass
    before = caplog.text
    shutil.rmtree(tmp_path / "data")

    async with serve(folder=tmp_path):
        (record,) = [record for record in caplog.records if record.message.startswith(WARNING)]

    assert WARNING not in before
    assert record.levelname == "WARNING"
    assert str(tmp_path / "data") in record.__dict__["database"]
