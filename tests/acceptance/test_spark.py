"""Beyond one machine's memory: a million messages, exported by day and language, as Spark and DuckDB read them."""

# What reads tables tells few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingImports=false

import asyncio
import shutil
from pathlib import Path

import duckdb
import pytest

from consentful_server import cli
from consentful_server.testing import Served, serve
from kept import keep

_DIALOGS, _MESSAGES = 20_000, 50
_LANGUAGES = ("en", "de", "fr", "pt-BR")
_AT_ONCE = 500


async def _keep(served: Served, number: int) -> None:
    await keep(served.service, f"d-{number}", ["Where is it?"] * _MESSAGES, language=_LANGUAGES[number % 4])


@pytest.mark.prove
def test_a_million_messages_are_read_by_spark_and_duckdb(tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java (Debian: apt-get install default-jre-headless)")

    async def export() -> None:
        async with serve(folder=tmp_path / "service") as served:
            for start in range(0, _DIALOGS, _AT_ONCE):
                await asyncio.gather(*(_keep(served, number) for number in range(start, start + _AT_ONCE)))
            command = ["export", str(tmp_path / "kept"), "--partition", "--url", served.url]
            assert await asyncio.to_thread(cli.run, command) == 0

    asyncio.run(export())
    expected = dict.fromkeys(_LANGUAGES, _DIALOGS * _MESSAGES // 4)

    files = f"read_parquet('{tmp_path}/kept/**/*.parquet', hive_partitioning=true)"
    counted = duckdb.connect().execute(f"SELECT language, count(*) FROM {files} GROUP BY language")
    assert dict(counted.fetchall()) == expected

    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        frame = spark.read.parquet(str(tmp_path / "kept"))
        assert {row["language"]: row["count"] for row in frame.groupBy("language").count().collect()} == expected
    finally:
        spark.stop()
        shutil.rmtree(tmp_path / "kept")
