"""Every process of a service sends its spans, the last ones at its end."""

import asyncio
import os
from pathlib import Path

import pytest
from aiohttp import ClientSession

from collector import collecting
from live import connect

from .serving import serving

AT_THE_END = os.environ | {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_process_sends_its_spans_at_its_end(workers: int, somewhere: Path, unused_tcp_port: int) -> None:
    arguments = ("--workers", str(workers), "--port", str(unused_tcp_port), "--grace", "0")
    with collecting() as collector:
        async with serving(*arguments, "--otlp-endpoint", collector.url, environment=AT_THE_END) as (url, said, child):
            async with ClientSession(url) as http:
                for _ in range(12):
                    async with connect(http, "") as live:
                        await live.open()
                        await live.say("Hi")
                        await live.grant()
            assert not collector.spans, "they wait for an hour, or for the end"
            child.terminate()
            assert await asyncio.wait_for(child.wait(), 60) == 0, said

        decisions = collector.named("dialog.decision")
    assert len(decisions) == 12
    assert 1 <= len({span.resource["service.instance.id"] for span in decisions}) <= workers


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_collector_that_is_away_keeps_nobody_from_serving(
    workers: str, somewhere: Path, unused_tcp_port: int
) -> None:
    arguments = ("--workers", workers, "--port", str(unused_tcp_port), "--grace", "0")
    async with serving(*arguments, "--otlp-endpoint", "http://127.0.0.1:9") as (url, said, child):
        async with ClientSession(url) as http, connect(http, "") as live:
            await live.open()
            await live.say("Hi")
            await live.grant()
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 60) == 0, said
