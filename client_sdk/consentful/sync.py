"""The SDK for blocking code: `with consentful.sync.open_dialog(...) as dialog: dialog.say(...)`.

One event loop in a daemon thread serves all blocking dialogs and readers of the process. Any thread may use them.

(R1) Two threads need the loop for the first time: the lock lets one create it.
(R2) The caller is interrupted, by Ctrl-C for example: the coroutine is cancelled in the loop, as if it had been
     awaited.
(R3) The process forks: the child has the loop's memory, but not its thread. It gets a new `_Thread`, and the parent's
     loop is not stopped when the child exits.
"""

import asyncio
import atexit
import functools
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from . import dialog as asynchronous
from . import errors, opening, reader, wire, withdrawal
from .endpoint import TLS, Token
from .filters import AnnotationFilters, DialogFilters, MessageFilters, Shape, at_most
from .mirror import Synced
from .pages import Pages
from .rows import KeptAnnotation, KeptDialog, KeptMessage
from .withdrawal import Narrowed, Withdrawn

P = ParamSpec("P")
T = TypeVar("T")


class Dialog:
    """A `consentful.Dialog` whose methods block, with the same promises and errors.

    A `grant` that is interrupted (`KeyboardInterrupt`) counts as cancelled.
    """

    def __init__(self, dialog: asynchronous.Dialog) -> None:
        self._dialog = dialog

    def __repr__(self) -> str:
        return repr(self._dialog)

    @property
    def id(self) -> str:
        return self._dialog.id

    @property
    def notice(self) -> wire.Notice:
        return self._dialog.notice

    @property
    def limits(self) -> wire.Limits:
        return self._dialog.limits

    def say(
        self, text: str, role: wire.Role = "customer", language: str | None = None, sent_at: datetime | None = None
    ) -> None:
        """Add one message; see `consentful.Dialog.say`."""
        _run(self, self._dialog.say(text, role, language, sent_at))

    def grant(
        self, purposes: Sequence[str] | None = None, notice: str | None = None, given_by: wire.GivenBy = "self"
    ) -> wire.Stored:
        """The customer consents; see `consentful.Dialog.grant`."""
        return _run(self, self._dialog.grant(purposes, notice, given_by))

    def decline(self) -> wire.Discarded:
        """The customer does not consent; see `consentful.Dialog.decline`."""
        return _run(self, self._dialog.decline())

    def close(self) -> None:
        """End the dialog; see `consentful.Dialog.close`."""
        _run(self, self._dialog.close())


class OutcomeUnknown(errors.OutcomeUnknown):
    """As `consentful.OutcomeUnknown`, which catches it too; its `dialog` blocks."""

    dialog: Dialog  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, unknown: errors.OutcomeUnknown, dialog: Dialog) -> None:
        super().__init__(unknown.detail, unknown.dialog)
        self.dialog = dialog


def _run(dialog: Dialog, work: Coroutine[Any, Any, T]) -> T:
    try:
        return _thread.run(work)
    except errors.OutcomeUnknown as error:
        raise OutcomeUnknown(error, dialog) from error


def _opened(open_dialog: Callable[P, opening.Opening]) -> Callable[P, Dialog]:
    @functools.wraps(open_dialog)
    def open_blocking(*args: P.args, **kwargs: P.kwargs) -> Dialog:
        return Dialog(_thread.run(_started(open_dialog(*args, **kwargs))))

    return open_blocking


async def _started(opening: opening.Opening) -> asynchronous.Dialog:
    return await opening


def _blocking(opened: Callable[P, Dialog]) -> Callable[P, AbstractContextManager[Dialog]]:
    @contextmanager
    @functools.wraps(opened)
    def open_blocking(*args: P.args, **kwargs: P.kwargs) -> Generator[Dialog]:
        dialog = opened(*args, **kwargs)
        try:
            yield dialog
        except BaseException:
            with suppress(OutcomeUnknown):  # the block's own error says what happened
                dialog.close()
            raise
        dialog.close()

    return open_blocking


open = _opened(opening.open_dialog)  # noqa: A001 - consentful.sync.open, as `consentful.open`
open_dialog = _blocking(open)


@overload
def withdraw(url: str, code: str, *, purposes: None = None, ssl: TLS | None = None) -> Withdrawn: ...
@overload
def withdraw(url: str, code: str, *, purposes: Sequence[str], ssl: TLS | None = None) -> Withdrawn | Narrowed: ...
def withdraw(
    url: str, code: str, *, purposes: Sequence[str] | None = None, ssl: TLS | None = None
) -> Withdrawn | Narrowed:
    """The customer withdraws the consent, as a whole or for some purposes; see `consentful.withdraw`."""
    if purposes is None:
        return _thread.run(withdrawal.withdraw(url, code, ssl=ssl))
    return _thread.run(withdrawal.withdraw(url, code, purposes=purposes, ssl=ssl))


class Reader:
    """A `consentful.Reader` whose methods block, with plain iterators and the same promises and errors."""

    def __init__(
        self, url: str, token: Token | None = None, *, ssl: TLS | None = None, retry_for: float = 120.0
    ) -> None:
        self._reader = reader.Reader(url, token, ssl=ssl, retry_for=retry_for)

    def __repr__(self) -> str:
        return repr(self._reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: no connection is open."""

    def messages(self, *, limit: int | None = None, **filters: Unpack[MessageFilters]) -> Iterator[KeptMessage]:
        """Iterate over messages; see `consentful.Reader.messages`."""
        return _rows(self._reader.message_pages(**filters), at_most(limit))

    def dialogs(self, *, limit: int | None = None, **filters: Unpack[DialogFilters]) -> Iterator[KeptDialog]:
        """Iterate over dialogs, without their messages; see `consentful.Reader.dialogs`."""
        return _rows(self._reader.dialog_pages(**filters), at_most(limit))

    def annotations(
        self, *, limit: int | None = None, **filters: Unpack[AnnotationFilters]
    ) -> Iterator[KeptAnnotation]:
        """Iterate over annotations; see `consentful.Reader.annotations`."""
        return _rows(self._reader.annotation_pages(**filters), at_most(limit))

    def annotate(
        self,
        dialog_id: str,
        seq: int | None = None,
        *,
        labels: Iterable[str] = (),
        note: str | None = None,
        review: Literal["pending", "accepted", "rejected"] | None = None,
        if_match: str | None = None,
    ) -> KeptAnnotation:
        """Say this of a message or a dialog; see `consentful.Reader.annotate`."""
        return _thread.run(
            self._reader.annotate(dialog_id, seq, labels=labels, note=note, review=review, if_match=if_match)
        )

    def remove_annotation(self, dialog_id: str, seq: int | None = None) -> None:
        """Delete your annotation; see `consentful.Reader.remove_annotation`."""
        _thread.run(self._reader.remove_annotation(dialog_id, seq))

    @staticmethod
    def schema(shape: Literal["messages", "chat"] = "messages") -> Any:
        """Return the `pyarrow.Schema` of an NDJSON export; see `consentful.Reader.schema`."""
        return reader.Reader.schema(shape)

    def to_arrow(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `pyarrow.Table`; see `consentful.Reader.to_arrow`."""
        return _thread.run(self._reader.to_arrow(shape, limit=limit, **filters))

    def to_pandas(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `pandas.DataFrame`; see `consentful.Reader.to_pandas`."""
        return _thread.run(self._reader.to_pandas(shape, limit=limit, **filters))

    def to_polars(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `polars.DataFrame`; see `consentful.Reader.to_polars`."""
        return _thread.run(self._reader.to_polars(shape, limit=limit, **filters))

    def to_dataset(
        self, shape: Shape = "messages", *, limit: int | None = None, **filters: Unpack[MessageFilters]
    ) -> Any:
        """Return everything that matches as a `datasets.Dataset`; see `consentful.Reader.to_dataset`."""
        return _thread.run(self._reader.to_dataset(shape, limit=limit, **filters))

    def sync(self, path: str | Path, **filters: Unpack[MessageFilters]) -> Synced:
        """Bring a folder of Parquet files up to date; see `consentful.Reader.sync`."""
        return _thread.run(self._reader.sync(path, **filters))


def _rows(pages: Pages[T], limit: int | None) -> Generator[T]:
    left = sys.maxsize if limit is None else limit
    while (page := _thread.run(pages.take(left))) is not None:
        yield from page[:left]
        left -= len(page)


class _Thread:
    """An event loop in a daemon thread, from its first use to the end of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's result; run it in the loop. If the caller is interrupted, cancel it."""
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # (R2)
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:  # (R1)
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_serve, args=[self._loop], name="consentful", daemon=True)
                thread.start()
                atexit.register(_stop, self._loop, thread)
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then end its tasks.

    Not by `asyncio.Runner`: it starts a thread to wait for those in which host names were looked up, and at the exit of
    the interpreter no thread can be started (since CPython 3.12).
    """
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if thread.is_alive():  # (R3) False in a forked child
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _replace_thread() -> None:
    """Start anew in a forked child (R3)."""
    global _thread  # noqa: PLW0603
    _thread = _Thread()


_thread = _Thread()
if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_replace_thread)
