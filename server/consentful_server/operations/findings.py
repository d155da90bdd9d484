"""What `consentful doctor` found: a subject, whether it is well, and what to do if it is not."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `advice` is empty if all is well."""

    subject: str
    state: Literal["ok", "warning", "problem"]
    found: str
    advice: str = ""


def good(subject: str, found: str) -> Finding:
    return Finding(subject, "ok", found)


def warning(subject: str, found: str, advice: str) -> Finding:
    """Return what may do harm, now or later."""
    return Finding(subject, "warning", found, advice)


def problem(subject: str, found: str, advice: str) -> Finding:
    """Return what keeps the service from starting, storing or erasing."""
    return Finding(subject, "problem", found, advice)
