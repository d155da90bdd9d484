"""What holds for every test: properties are not timed; in CI they try the same each time, and no test is skipped."""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from ports import free_port

# The time that a test takes, or that its examples take to be made, says more of the machine than of the code.
settings.register_profile("chance", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What chance finds is for whoever searches, not for an unrelated change that waits for CI.
settings.register_profile("same", settings.get_profile("chance"), derandomize=True, database=None)
settings.load_profile("same" if os.environ.get("FORBID_SKIPS") else "chance")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture
def unused_tcp_port() -> int:
    """A port where nobody listens until the test does; pytest-asyncio's may be given to somebody else meanwhile."""
    return free_port()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return report if hasattr(report, "wasxfail") else _without_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """See modules that skip themselves: none of their tests is ever run, or reported."""
    return _without_skip((yield))


def _without_skip(report: Report) -> Report:
    if report.skipped and os.environ.get("FORBID_SKIPS"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here, and this was: {reason}"
    return report
