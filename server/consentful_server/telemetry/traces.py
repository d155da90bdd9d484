"""Spans: what a collector of OpenTelemetry's is told of the work that was done, if `--otlp-endpoint` names one.

    GET /v1/messages      a request, by method and route
    └─ export             a stream, from its query to its last byte
    dialog.open           from the upgrade to `opened`
    └─ dialog.decision    from a decision to its outcome
       └─ store.commit    the transaction that made it durable

A span has codes, counts and route patterns; no words and no ids, but its own. It belongs to the trace that the client
names in `traceparent` (W3C Trace Context), or begins one. Like logging, recording is one thing of the process.

Without a collector nothing is imported and nothing recorded: every span is then the one that `NOTHING` is.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final, Literal, Protocol, TypeAlias

from ..errors import BadSetting, Refusal

Attributes: TypeAlias = Mapping[str, str | int]
Kind: TypeAlias = Literal["internal", "server"]

INTERNAL: Final = "internal"
TRACEPARENT: Final = "traceparent"
"""The header by which a client names its trace (W3C Trace Context, §3.2)."""


class Span:
    """Some work, from its beginning to its end. This class is the span of work that is not recorded."""

    __slots__ = ()

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty if nothing is recorded."""
        return ""

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits; empty if nothing is recorded."""
        return ""

    def set(self, attributes: Attributes) -> None:
        """Add what is known about the work: codes, counts and route patterns."""

    def fail(self, code: str) -> None:
        """State that the work failed, by this code."""

    def end(self) -> None:
        """State that the work has ended; it is recorded now. A span that never ends is not."""


NOTHING: Final = Span()

CURRENT: Final[ContextVar[Span]] = ContextVar("span", default=NOTHING)
"""The span that spans of this task are parts of; each log line that it causes has its ids."""


class Recorder(Protocol):
    """Records spans, and sends them to a collector."""

    def begin(
        self,
        name: str,
        parent: Span,
        attributes: Attributes,
        *,
        traceparent: str | None = None,
        kind: Kind = INTERNAL,
        began_s_ago: float = 0,
    ) -> Span:
        """Return a span that has begun: a part of its parent's, else of the trace that the header names."""
        ...

    def close(self) -> None:
        """Send what is recorded, for a few seconds at most, and record nothing more."""
        ...


_recorder: Recorder | None = None


def is_on() -> bool:
    """Whether spans are recorded."""
    return _recorder is not None


def begin(name: str, attributes: Attributes, *, traceparent: str | None = None, kind: Kind = INTERNAL) -> Span:
    """Return a span that has begun, a part of the current one; whoever called this ends it."""
    if _recorder is None:
        return NOTHING
    return _recorder.begin(name, CURRENT.get(), attributes, traceparent=traceparent, kind=kind)


def span(
    name: str, attributes: Attributes, *, traceparent: str | None = None, kind: Kind = INTERNAL
) -> AbstractContextManager[Span]:
    """Record the block as a span, which is the current one meanwhile. It fails by the code of what the block raises."""
    return (
        _NOT_RECORDED if _recorder is None else _recorded(begin(name, attributes, traceparent=traceparent, kind=kind))
    )


_NOT_RECORDED: Final = nullcontext(NOTHING)


@contextmanager
def _recorded(span: Span) -> Generator[Span]:
    outer = CURRENT.set(span)
    try:
        yield span
    except BaseException as error:
        span.fail(error.code if isinstance(error, Refusal) else type(error).__name__)
        raise
    finally:
        CURRENT.reset(outer)
        span.end()


def record(name: str, parent: Span, seconds: float, attributes: Attributes) -> None:
    """Record, as a part of another span, work that took so long and has just ended. Nothing is, without that span."""
    if _recorder is not None and parent is not NOTHING:
        _recorder.begin(name, parent, attributes, began_s_ago=seconds).end()


def check(endpoint: str) -> None:
    """Check that what sends spans to this collector is installed; without one, nothing is needed.

    Raises:
        BadSetting: If it is not, or refuses one of its own variables.
    """
    with recording(endpoint):
        pass


@contextmanager
def recording(endpoint: str) -> Generator[None]:
    """Record spans, and send them to this collector, until the block ends. Without a collector, record none.

    Raises:
        BadSetting: As `check` says.
    """
    global _recorder
    if not endpoint:
        yield
        return
    before, _recorder = _recorder, _recorder_to(endpoint)
    try:
        yield
    finally:
        _recorder, ended = before, _recorder
        ended.close()


def _recorder_to(endpoint: str) -> Recorder:
    try:
        from .otlp import OtlpRecorder  # noqa: PLC0415 - only a service with a collector needs the extra
    except ModuleNotFoundError:
        raise BadSetting(
            "otlp_endpoint", "spans need an extra: pip install 'consentful[server,otel]'; or omit --otlp-endpoint"
        ) from None
    try:
        return OtlpRecorder(endpoint)
    except ValueError as error:  # of a variable such as OTEL_BSP_MAX_QUEUE_SIZE; it tells its name, not its value
        raise BadSetting("otlp_endpoint", f"OpenTelemetry refuses one of its variables (OTEL_…): {error}") from None
