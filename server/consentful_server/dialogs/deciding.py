"""A decision that is carried out, as operators see it: counted, timed, traced, and one line in the log. No words."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ..errors import Refusal
from ..telemetry import traces
from ..telemetry.metrics import Metrics

_INTERNAL: Final = "internal"
_log: Final = logging.getLogger("consentful.dialogs")


@contextmanager
def carrying_out(metrics: Metrics, *, granted: bool, messages: int, channel: str) -> Generator[None]:
    """Tell operators how the decision ends that the block carries out: `stored`, `discarded`, or the code of the
    refusal that it raises. A decision that is tried again is told again.

    The line has no id of the dialog, the customer or the chatbot: the chatbot chose them, and may have put words there.
    """
    outcome, began = _INTERNAL, time.perf_counter()
    with traces.span("dialog.decision", {"consentful.channel": channel, "consentful.messages": messages}) as span:
        try:
            yield
            outcome = "stored" if granted else "discarded"
        except Refusal as refusal:
            outcome = refusal.code
            raise
        finally:
            seconds = time.perf_counter() - began
            metrics.decided_as[outcome].inc()
            if outcome == "stored":
                metrics.consent.observe(seconds)
            span.set({"consentful.outcome": outcome})
            details = {"outcome": outcome, "messages": messages, "channel": channel, "seconds": round(seconds, 4)}
            _log.info("dialog decided", extra=details)
