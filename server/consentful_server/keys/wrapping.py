"""How the root keys lie on the disk: as they are, or wrapped by a key management service.

With `--keys-command`, each file with a secret (`*.key`, `signing*.pem`) holds a mark and what the service made of its
content. The service is a program, or an HTTP endpoint:

    program     PROGRAM … wrap NAME      or      PROGRAM … unwrap NAME
                stdin   the input in base64 (RFC 4648 §4), and a newline
                stdout  the result in base64; white space does not count. The exit status is 0
    endpoint    POST URL     {"operation": "wrap" or "unwrap", "name": NAME, "data": the input in base64}
                200          {"data": the result in base64}

NAME is the file's without its suffix, such as `wrapping-0002`: a service may bind the result to it. Secrets are in no
argument, no environment variable, no log line and no error; what a program writes to stderr is not read.

What was unwrapped is kept in memory as long as its file stays the same. So a running server asks the service when a new
master key appears, and goes on when the service does not respond.

Threads: called in worker threads, at a start also on the event loop. Two calls at once for one name do no harm.

Races, and the line that closes each:

(R1) The service answers something wrong: what it wrapped is unwrapped at once, and compared, before it is written.
(R2) The service hangs: the call ends after `LIMIT_S`, the program with all that it started. For `PAUSE_S` afterwards,
     calls for the same name fail at once: otherwise each consent would wait for it.
"""

import base64
import os
import shlex
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from ..errors import BadKeys, BadSetting
from ..settings import is_safe

MARK: Final = b"consentful-wrapped-1 "
"""The beginning of a file that is wrapped."""

LIMIT_S: Final = 10.0
PAUSE_S: Final = 5.0
_MOST_BYTES: Final = 64 * 1024

Operation: TypeAlias = Literal["wrap", "unwrap"]
Ask: TypeAlias = Callable[[Operation, str, bytes], bytes]
"""Asks a service. It raises `ServiceFailed`, with what happened."""


class ServiceFailed(Exception):  # noqa: N818
    """The service gave no result. The text says why, for operators."""


class Wrapping(Protocol):
    """Turns what a file of secrets means into what it holds, and back."""

    def wrap(self, name: str, plain: bytes) -> bytes:
        """Return what the file holds.

        Raises:
            BadKeys: If the service fails, or what it wrapped cannot be unwrapped.
        """
        ...

    def unwrap(self, name: str, content: bytes) -> bytes:
        """Return what the file means.

        Raises:
            BadKeys: If the service fails; or if the file is wrapped and there is no service, or the other way round.
        """
        ...

    def forget(self, name: str) -> None:
        """Forget what was unwrapped for this name: it is destroyed."""
        ...


class Unwrapped:
    """Files that hold the secrets as they are."""

    def wrap(self, name: str, plain: bytes) -> bytes:
        del name
        return plain

    def unwrap(self, name: str, content: bytes) -> bytes:
        if content.startswith(MARK):
            raise BadKeys(f"the key `{name}` is wrapped; set --keys-command to what wrapped it; nothing was changed")
        return content

    def forget(self, name: str) -> None:
        pass


class Wrapped:
    """Files that a key management service wrapped."""

    def __init__(self, ask: Ask, now: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._now = now
        self._known: dict[str, tuple[bytes, bytes]] = {}
        self._failures: dict[str, tuple[float, str]] = {}

    def wrap(self, name: str, plain: bytes) -> bytes:
        content = MARK + base64.b64encode(self._result("wrap", name, plain)) + b"\n"
        if self.unwrap(name, content) != plain:  # (R1)
            self.forget(name)
            raise _failed("wrap", name, "what it wrapped unwraps to something else")
        return content

    def unwrap(self, name: str, content: bytes) -> bytes:
        known = self._known.get(name)
        if known is not None and known[0] == content:
            return known[1]
        if not content.startswith(MARK):
            raise BadKeys(
                f"the key `{name}` is not wrapped, and --keys-command is set; stop all servers, and run "
                "`consentful roots wrap`; nothing was changed"
            )
        wrapped = _decoded(content.removeprefix(MARK))
        if wrapped is None:
            raise BadKeys(f"the key `{name}` is damaged; restore it from the keys backup")
        plain = self._result("unwrap", name, wrapped)
        self._known[name] = content, plain
        return plain

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def _result(self, operation: Operation, name: str, data: bytes) -> bytes:
        failed_at, why = self._failures.get(name, (0.0, ""))
        if why and self._now() < failed_at + PAUSE_S:  # (R2)
            raise _failed(operation, name, why)
        try:
            result = self._ask(operation, name, data)
        except ServiceFailed as failure:
            self._failures[name] = self._now(), str(failure)
            raise _failed(operation, name, str(failure)) from None
        self._failures.pop(name, None)
        return result


PLAIN: Final[Wrapping] = Unwrapped()


def wrapping_of(command: str) -> Wrapping:
    """Return how `--keys-command` wraps: a program with its arguments, or the URL of an endpoint; empty for not at all.

    Raises:
        BadSetting: If it is an http:// URL of another machine, or no program that can be run.
    """
    if not command:
        return PLAIN
    if command.startswith(("http://", "https://")):
        if not is_safe(command):
            raise BadSetting(
                "keys_command", "must be https:// if it is on another machine; http:// is for loopback only"
            )
        return Wrapped(endpoint(command))
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise BadSetting("keys_command", f"must be a program with its arguments, as in a shell ({error})") from None
    if not arguments or shutil.which(arguments[0]) is None:
        raise BadSetting("keys_command", "must be a program that this user can run, with its arguments; it is not")
    return Wrapped(program(arguments))


def program(arguments: list[str], limit_s: float = LIMIT_S) -> Ask:
    """Return what asks a program."""

    def ask(operation: Operation, name: str, data: bytes) -> bytes:
        try:
            running = subprocess.Popen(  # noqa: S603 - the operator's own program, without a shell
                [*arguments, operation, name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceFailed(f"it cannot be started ({error.strerror})") from None
        try:
            answer, _ = running.communicate(base64.b64encode(data) + b"\n", limit_s)
        except subprocess.TimeoutExpired:
            raise ServiceFailed(f"it did not end within {limit_s:g} s") from None
        finally:
            _end(running)  # (R2)
        if running.returncode:
            raise ServiceFailed(f"exit status {running.returncode}")
        return _result(answer)

    return ask


def endpoint(url: str, limit_s: float = LIMIT_S) -> Ask:
    """Return what asks an HTTP endpoint. Redirects are not followed, and proxies not used: secrets go nowhere else."""
    opener = urllib.request.OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())

    def ask(operation: Operation, name: str, data: bytes) -> bytes:
        question = {"operation": operation, "name": name, "data": base64.b64encode(data).decode()}
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, msgspec.json.encode(question), headers)  # noqa: S310 - http or https
        try:
            with opener.open(request, timeout=limit_s) as response:
                answer = _read(response, time.monotonic() + limit_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise ServiceFailed(f"status {error.code}") from None
        except (OSError, ValueError) as error:  # URLError is an OSError
            reason = getattr(error, "reason", error)
            raise ServiceFailed(f"it did not answer ({type(reason).__name__})") from None
        try:
            return _result(msgspec.json.decode(answer, type=_Answer).data.encode())
        except msgspec.MsgspecError:
            raise ServiceFailed('the answer is not {"data": "…"}') from None

    return ask


class _Answer(msgspec.Struct):
    data: str


_HANDLERS: Final = (
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.HTTPDefaultErrorHandler,
)


def _read(response: Any, deadline: float) -> bytes:
    """Return the body. The time-out of a socket is for each read, so a slow one could take for ever."""
    body = b""
    while (block := response.read1(_MOST_BYTES)) and len(body) < _MOST_BYTES:
        body += block
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _end(running: "subprocess.Popen[bytes]") -> None:
    """End a program that still runs, with all that it started in its session."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    for pipe in (running.stdin, running.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


def _result(answer: bytes) -> bytes:
    result = _decoded(answer)
    if not result:
        raise ServiceFailed("the answer is not base64, or is empty")
    return result


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        return None


def _failed(operation: Operation, name: str, why: str) -> BadKeys:
    return BadKeys(
        f"--keys-command could not {operation} the key `{name}`: {why}; mend the service, and try again; "
        "nothing was changed"
    )
