"""A dialog that is used in another event loop than the one it was opened in: never a caller that waits for ever."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final

import pytest

import consentful

WITHIN_S: Final = 10.0


@contextmanager
def _loop_in_a_thread() -> Generator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(WITHIN_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _opened(url: str) -> consentful.Dialog:
    dialog = await consentful.open(url, customer_id="c-1", language="en")
    await dialog.say("one")
    return dialog


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, WITHIN_S))


def test_a_dialog_whose_loop_is_closed_says_so_and_can_be_granted_in_another(url: str) -> None:
    dialog = asyncio.run(_opened(url))

    with pytest.raises(consentful.Unavailable, match="event loop in which the dialog was opened is closed"):
        _run(dialog.say("two"))
    assert _run(dialog.grant()).messages == 1


def test_and_declined_and_left(url: str) -> None:
    declined, left = asyncio.run(_opened(url)), asyncio.run(_opened(url))

    assert _run(declined.decline()).messages == 1
    _run(left.close())
    with pytest.raises(consentful.Finished, match="left"):
        _run(left.grant())


def test_another_loop_is_refused_while_the_first_one_is_there(url: str) -> None:
    with _loop_in_a_thread() as run:
        dialog = run(_opened(url))

        for use in (lambda: dialog.say("two"), dialog.grant, dialog.decline, dialog.close):
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                _run(use())
        assert run(dialog.grant()).messages == 1
        run(dialog.close())


def test_a_fork_is_refused_the_dialog_of_its_parent(url: str) -> None:
    script = """
import os, sys
from consentful import sync

dialog = sync.open(sys.argv[1], customer_id="c-1")
dialog.say("one")
child = os.fork()
if not child:
    try:
        dialog.grant()
    except RuntimeError as error:
        os._exit("before a fork" not in str(error))
    os._exit(2)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status or dialog.grant().messages != 1)
"""
    subprocess.run([sys.executable, "-c", script, url], check=True, timeout=WITHIN_S)
