"""The same for blocking code: these tests are plain functions, with the service in a thread of its own."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator

import pytest

import consentful
from consentful import sync


def test_a_dialog_can_be_granted(url: str) -> None:
    with sync.open_dialog(url, customer_id="c-1") as dialog:
        dialog.say("Where is my parcel?")
        dialog.say("It arrives tomorrow.", role="bot")
        stored = dialog.grant(purposes=dialog.notice.purposes)

    assert (stored.dialog_id, stored.messages) == (dialog.id, 2)


def test_or_declined(url: str) -> None:
    with sync.open_dialog(url, customer_id="c-1") as dialog:
        dialog.say("secret")
        discarded = dialog.decline()

    assert discarded == consentful.Discarded(dialog.id, 1)
    assert repr(dialog) == f"Dialog(id={dialog.id!r}, messages=1)"


def test_errors_come_through_typed(url: str) -> None:
    with sync.open_dialog(url, customer_id="c-1") as dialog:
        with pytest.raises(consentful.TooLong):
            dialog.say("x" * (dialog.limits.max_text_bytes + 1))
        with pytest.raises(consentful.Incomplete):
            dialog.grant()


def test_an_error_in_the_block_leaves_the_dialog(url: str) -> None:
    with pytest.raises(ZeroDivisionError), sync.open_dialog(url, customer_id="c-1") as dialog:
        raise ZeroDivisionError

    with pytest.raises(consentful.Finished):
        dialog.say("x")


def test_several_threads_share_the_loop(url: str) -> None:
    stored: list[consentful.Stored] = []

    def chat(number: int) -> None:
        with sync.open_dialog(url, customer_id=f"c-{number}") as dialog:
            for _ in range(20):
                dialog.say("x")
            stored.append(dialog.grant())

    threads = [threading.Thread(target=chat, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.messages for one in stored] == [20] * 8
    assert sum(thread.name == "consentful" for thread in threading.enumerate()) == 1


def test_no_server_is_unavailable() -> None:
    with (
        pytest.raises(consentful.Unavailable),
        sync.open_dialog("ws://127.0.0.1:1", customer_id="c-1", reconnect_for=0),
    ):
        pass


def test_an_unknown_outcome_carries_the_blocking_dialog(url: str) -> None:
    with sync.open_dialog(url, customer_id="c-1") as dialog:
        dialog.say("x")
        waiting = dialog._dialog  # pyright: ignore[reportPrivateUsage]
        waiting._transcript._doubt = True  # pyright: ignore[reportPrivateUsage] - as after a grant that was cut off

        with pytest.raises(sync.OutcomeUnknown) as caught:
            dialog.say("y")

        assert isinstance(caught.value, consentful.OutcomeUnknown)
        assert caught.value.dialog is dialog
        dialog.grant()


@pytest.fixture
def interruptible() -> Generator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests run in the background and inherited it ignored."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_call_is_cancelled() -> None:
    def interrupt() -> None:
        connection, _ = listener.accept()
        with connection:  # and no answer ever
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            interrupted.wait()

    interrupted = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        interrupting = threading.Thread(target=interrupt, daemon=True)
        interrupting.start()
        with (
            pytest.raises(KeyboardInterrupt),
            sync.open_dialog(f"ws://127.0.0.1:{listener.getsockname()[1]}", customer_id="c-1"),
        ):
            pass
        interrupted.set()
        interrupting.join()


def test_a_fork_has_a_loop_of_its_own(url: str) -> None:
    script = """
import os, sys
from consentful import sync

def chat():
    with sync.open_dialog(sys.argv[1], customer_id="c-1") as dialog:
        dialog.say("x")
        dialog.grant()

chat()
child = os.fork()
chat()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", script, url], check=True, timeout=30)


def test_a_dialog_can_be_opened_without_a_block(url: str) -> None:
    dialog = sync.open(url, customer_id="c-1")
    dialog.say("one")
    assert dialog.grant().messages == 1
    dialog.close()

    left = sync.open(url, customer_id="c-1")
    left.say("secret")
    left.close()
    with pytest.raises(consentful.Finished, match="left"):
        left.grant()
