"""Root keys that a key management service wraps: a stand-in program, a stand-in endpoint, and what they do wrong."""

import asyncio
import base64
import json
import logging
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from consentful.wire import Consent
from consentful_server.archive.store import StoredDialog
from consentful_server.auth.read_scope import ReadScope
from consentful_server.commands.roots import wrap
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadKeys, BadSetting, StorageFailed
from consentful_server.keys import files, roots
from consentful_server.keys.vault import Vault
from consentful_server.keys.wrapping import (
    MARK,
    PAUSE_S,
    Operation,
    ServiceFailed,
    Wrapped,
    endpoint,
    program,
    wrapping_of,
)
from consentful_server.operations import backup
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.operations.wrapping import wrap_roots
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from key_service import StandIn, script
from sealed import CATALOGUE, spoken


@pytest.fixture
def kms(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "kms")


@pytest.fixture
def settings(tmp_path: Path, kms: StandIn) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", keys_command=kms.command)


async def keep(service: Service, dialog_id: str) -> None:
    dialog = spoken(dialog_id)
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


def secret_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.key"), *folder.glob("*.pem")])


class TestProgram:
    def test_it_gets_the_name_as_an_argument_and_the_secret_on_its_input_alone(self, tmp_path: Path) -> None:
        seen = tmp_path / "seen"
        ask = program(script(tmp_path / "kms", f'#!/bin/sh\n(echo "$@"; env) > {seen}\ncat\n'))

        assert ask("wrap", "wrapping-0002", b"needle-4711") == b"needle-4711"

        assert seen.read_text().splitlines()[0] == "wrap wrapping-0002"
        assert base64.b64encode(b"needle-4711").decode() not in seen.read_text()
        assert "needle-4711" not in seen.read_text()

    def test_its_own_arguments_come_first(self, tmp_path: Path) -> None:
        command = script(tmp_path / "kms", '#!/bin/sh\necho "$@" | base64\n')

        assert program([*command, "--key", "a b"])("unwrap", "index", b"x") == b"--key a b unwrap index\n"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("#!/bin/sh\nexit 3\n", "exit status 3"),
            ("#!/bin/sh\ncat; exit 3\n", "exit status 3"),
            ("#!/bin/sh\nkill -9 $$\n", "exit status -9"),
            ("#!/bin/sh\necho 'not base64!'\n", "not base64, or is empty"),
            ("#!/bin/sh\n", "not base64, or is empty"),
            ("not a program", "cannot be started"),
        ],
    )
    def test_what_it_does_wrong_is_said(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(ServiceFailed, match=says):
            program(script(tmp_path / "kms", text))("wrap", "index", b"secret")

    def test_a_program_that_is_missing_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ServiceFailed, match="cannot be started"):
            program([str(tmp_path / "nothing")])("wrap", "index", b"secret")

    def test_one_that_hangs_is_ended_with_all_that_it_started(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "alive")
        text = f"#!/bin/sh\n(echo; sleep 600) > {tmp_path}/alive &\nsleep 600\n"
        ask = program(script(tmp_path / "kms", text), limit_s=1)
        ended = threading.Event()

        def listen() -> None:
            (tmp_path / "alive").read_bytes()  # ends when nobody has it open for writing any more
            ended.set()

        threading.Thread(target=listen, daemon=True).start()
        with pytest.raises(ServiceFailed, match="did not end within 1 s"):
            ask("unwrap", "index", b"wrapped")

        assert ended.wait(30)


Answers = Callable[[dict[str, str]], tuple[int, bytes]]


@contextmanager
def listening(answers: Answers) -> Generator[str]:
    """An endpoint on loopback that answers questions in this way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = answers(question)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            thread.join()


class TestEndpoint:
    def test_it_is_asked_in_json(self) -> None:
        asked: list[dict[str, str]] = []

        def answers(question: dict[str, str]) -> tuple[int, bytes]:
            asked.append(question)
            return 200, json.dumps({"data": base64.b64encode(b"wrapped").decode()}).encode()

        with listening(answers) as url:
            assert endpoint(url)("wrap", "signing", b"secret") == b"wrapped"

        data = base64.b64encode(b"secret").decode()
        assert asked == [{"operation": "wrap", "name": "signing", "data": data}]

    @pytest.mark.parametrize(
        ("status", "body", "says"),
        [
            (403, b"no", "status 403"),
            (302, b"", "status 302"),  # a secret is not sent to where an answer points
            (200, b"{}", "not {"),
            (200, b"\xff", "not {"),
            (200, b'{"data": "%"}', "not base64"),
        ],
    )
    def test_what_it_does_wrong_is_said(self, status: int, body: bytes, says: str) -> None:
        with listening(lambda _: (status, body)) as url, pytest.raises(ServiceFailed, match=says):
            endpoint(url)("wrap", "index", b"secret")

    def test_one_that_is_down_is_said(self) -> None:
        with listening(lambda _: (200, b"")) as url:
            pass

        with pytest.raises(ServiceFailed, match=r"did not answer \(ConnectionRefusedError\)"):
            endpoint(url)("wrap", "index", b"secret")

    def test_one_that_hangs_is_given_up(self) -> None:
        free = threading.Event()

        def answers(_: dict[str, str]) -> tuple[int, bytes]:
            free.wait(60)
            return 200, b""

        with listening(answers) as url:
            try:
                with pytest.raises(ServiceFailed, match=r"did not answer \(TimeoutError\)"):
                    endpoint(url, limit_s=0.2)("wrap", "index", b"secret")
            finally:
                free.set()

    async def test_a_service_starts_with_its_keys_wrapped_by_one(self, settings: Settings) -> None:
        def answers(question: dict[str, str]) -> tuple[int, bytes]:
            plain = bytes(byte ^ 0x5A for byte in base64.b64decode(question["data"]))
            return 200, json.dumps({"data": base64.b64encode(plain).decode()}).encode()

        with listening(answers) as url:
            async with open_service(replace(settings, keys_command=url)) as service:
                await keep(service, "d-1")

        assert all(path.read_bytes().startswith(MARK) for path in secret_files(settings.keys_dir))


@pytest.mark.parametrize("command", ["http://kms.example/keys", "cat 'unclosed", "/nope/kms", " "])
def test_a_command_that_cannot_be_used_is_refused_by_its_setting(command: str) -> None:
    with pytest.raises(BadSetting, match="keys_command: must be"):
        wrapping_of(command)


class TestWrapped:
    def test_what_unwraps_to_something_else_is_refused_before_it_is_written(self, tmp_path: Path) -> None:
        def ask(operation: Operation, name: str, data: bytes) -> bytes:
            return b"wrapped" if operation == "wrap" else b"another secret"

        with pytest.raises(BadKeys, match="unwraps to something else"):
            files.write_secret(tmp_path / "index.key", Wrapped(ask))

        assert list(tmp_path.iterdir()) == []

    def test_a_file_is_unwrapped_once_and_again_when_it_changes(self) -> None:
        asked: list[bytes] = []

        def ask(operation: Operation, name: str, data: bytes) -> bytes:
            asked.append(data)
            return data

        wrapping = Wrapped(ask)
        one, other = (MARK + base64.b64encode(it) + b"\n" for it in (b"one", b"other"))

        assert [wrapping.unwrap("index", it) for it in (one, one, other)] == [b"one", b"one", b"other"]
        wrapping.forget("index")
        wrapping.unwrap("index", other)

        assert asked == [b"one", b"other", b"other"]

    def test_after_a_failure_the_service_has_a_pause_and_then_is_asked_again(self) -> None:
        now, is_down, asked = 0.0, True, 0

        def ask(operation: Operation, name: str, data: bytes) -> bytes:
            nonlocal asked
            asked += 1
            if is_down:
                raise ServiceFailed("exit status 7")
            return data

        wrapping = Wrapped(ask, lambda: now)
        content = MARK + base64.b64encode(b"secret") + b"\n"
        for _ in range(3):
            with pytest.raises(BadKeys, match="could not unwrap the key `index`: exit status 7"):
                wrapping.unwrap("index", content)
        assert asked == 1

        now, is_down = PAUSE_S, False

        assert wrapping.unwrap("index", content) == b"secret"

    def test_a_mark_without_what_was_wrapped_is_damaged(self) -> None:
        with pytest.raises(BadKeys, match="damaged"):
            wrapping_of("cat").unwrap("index", MARK + b"%")


class TestService:
    async def test_no_secret_is_on_the_disk_as_it_is(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            async with open_service(settings) as service:
                await keep(service, "d-1")
                assert await service.rotation.turn()
                keys = roots.load(settings.keys_dir, service.wrapping)
        secrets = [*keys.wrapping.values(), keys.index, keys.cursor, keys.signing.key.private_bytes_raw()]

        assert sorted(keys.wrapping) == [2]
        for path in settings.keys_dir.iterdir():
            content = path.read_bytes()
            for secret in secrets:
                assert secret not in content
                assert base64.b64encode(secret) not in content
        assert all(path.read_bytes().startswith(MARK) for path in secret_files(settings.keys_dir))
        assert not [
            it for secret in secrets for it in (secret.hex(), base64.b64encode(secret).decode()) if it in caplog.text
        ]
        async with open_service(settings) as service:
            page = await service.pages.dialog("d-1", ReadScope())
            assert [it.text for it in page.messages] == ["Hi", "Hello"]

    async def test_a_running_server_asks_only_for_what_is_new(self, settings: Settings, kms: StandIn) -> None:
        async with open_service(settings) as service:
            before = len(kms.calls)
            await Housekeeping(service).refresh()
            assert len(kms.calls) == before

            await service.rotation.begin()

        assert kms.calls[before:] == ["wrap wrapping-0002", "unwrap wrapping-0002"]

    async def test_a_start_is_refused_while_the_service_is_down(self, settings: Settings, kms: StandIn) -> None:
        async with open_service(settings) as service:
            await keep(service, "d-1")
        kms.go_down()

        with pytest.raises(BadKeys, match=r"could not unwrap the key `wrapping-0001`: exit status 7; mend"):
            async with open_service(settings):
                pass

        kms.come_back()
        async with open_service(settings) as service:
            assert isinstance(await service.store.dialogs.find("d-1"), StoredDialog)

    async def test_a_first_start_while_the_service_is_down_leaves_no_key_and_can_be_repeated(
        self, settings: Settings, kms: StandIn
    ) -> None:
        kms.go_down()

        with pytest.raises(BadKeys, match="could not wrap the key `wrapping-0001`: exit status 7"):
            async with open_service(settings):
                pass

        assert not secret_files(settings.keys_dir)
        kms.come_back()
        async with open_service(settings) as service:
            await keep(service, "d-1")

    async def test_while_the_service_is_down_dialogs_are_stored_and_the_epoch_ends_later(
        self, settings: Settings, kms: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with open_service(settings) as service:
            kms.go_down()
            with pytest.raises(BadKeys, match="exit status 7"):
                await service.rotation.turn()
            await keep(service, "d-1")
            await Housekeeping(service).refresh()
            assert (await service.pages.dialog("d-1", ReadScope())).messages[0].text == "Hi"

            kms.come_back()
            monkeypatch.setattr("consentful_server.keys.wrapping.PAUSE_S", 0)
            assert await service.rotation.turn()

            assert (await service.pages.dialog("d-1", ReadScope())).messages[0].text == "Hi"

    async def test_another_process_that_cannot_unwrap_the_next_master_refuses_for_now(
        self, settings: Settings, kms: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with open_service(settings) as one, open_service(settings) as other:
            await one.rotation.begin()
            kms.go_down()
            with pytest.raises(StorageFailed):
                await keep(other, "d-1")

            kms.come_back()
            monkeypatch.setattr("consentful_server.keys.wrapping.PAUSE_S", 0)
            await keep(other, "d-1")

    @pytest.mark.parametrize("was_wrapped", [True, False])
    async def test_keys_are_refused_that_are_not_as_the_settings_say(
        self, settings: Settings, was_wrapped: bool
    ) -> None:
        plain = replace(settings, keys_command="")
        first, then = (settings, plain) if was_wrapped else (plain, settings)
        async with open_service(first):
            pass
        before = {path: path.read_bytes() for path in settings.keys_dir.iterdir()}

        with pytest.raises(BadKeys, match="is wrapped; set --keys-command" if was_wrapped else "roots wrap"):
            async with open_service(then):
                pass

        assert {path: path.read_bytes() for path in settings.keys_dir.iterdir()} == before

    async def test_a_backup_has_the_keys_wrapped_and_is_restored_with_the_service(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        async with open_service(settings) as service:
            await keep(service, "d-1")
            made = await backup.back_up(service, tmp_path / "backups", datetime(2026, 1, 1, tzinfo=UTC))
        copies = secret_files(tmp_path / "backups" / "keys" / made.name)
        assert len(copies) == 4
        assert all(path.read_bytes().startswith(MARK) for path in copies)
        there = replace(settings, data_dir=tmp_path / "new", keys_dir=tmp_path / "new keys")

        backend, wrapping = backend_of("", there.data_dir), wrapping_of(settings.keys_command)
        backup.restore(tmp_path / "backups", made.name, backend, there.keys_dir, wrapping)

        async with open_service(there) as service:
            assert (await service.pages.dialog("d-1", ReadScope())).messages[0].text == "Hi"


class TestMoving:
    @pytest.fixture
    async def plain(self, settings: Settings) -> dict[str, bytes]:
        """The files of a service whose keys are not wrapped yet, by their names."""
        async with open_service(replace(settings, keys_command="")) as service:
            await keep(service, "d-1")
        return {path.name: path.read_bytes() for path in secret_files(settings.keys_dir)}

    async def test_keys_are_wrapped_in_place_and_nothing_of_them_is_left(
        self, settings: Settings, plain: dict[str, bytes], tmp_path: Path
    ) -> None:
        for name in plain:
            (tmp_path / name).hardlink_to(settings.keys_dir / name)

        assert wrap_roots(settings) == sorted(plain)

        assert not [name for name in plain if any((tmp_path / name).read_bytes())]  # overwritten, then unlinked
        assert all(path.read_bytes().startswith(MARK) for path in secret_files(settings.keys_dir))
        assert not files.leftovers(settings.keys_dir)
        async with open_service(settings) as service:
            assert (await service.pages.dialog("d-1", ReadScope())).messages[0].text == "Hi"
        assert wrap_roots(settings) == []

    @pytest.mark.parametrize("step", ["link", "replace", "unlink", "fsync"])
    @pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
    async def test_a_move_that_is_cut_off_anywhere_loses_no_key_and_can_be_repeated(
        self, settings: Settings, plain: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, step: str, at: int
    ) -> None:
        calls = 0
        real = getattr(os, step)

        def cut_off(*arguments: object, **more: object) -> object:
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(5, "Input/output error", "the disk")
            return real(*arguments, **more)

        with monkeypatch.context() as failing:
            failing.setattr(os, step, cut_off)
            try:
                wrap_roots(settings)
            except BadKeys as refused:
                assert "run this again" in refused.detail

        wrap_roots(settings)

        assert not files.leftovers(settings.keys_dir)
        assert {
            name: wrapping_of(settings.keys_command).unwrap(
                name.partition(".")[0], (settings.keys_dir / name).read_bytes()
            )
            for name in plain
        } == plain

    async def test_one_that_the_service_fails_keeps_every_key(
        self, settings: Settings, plain: dict[str, bytes], kms: StandIn
    ) -> None:
        kms.go_down()

        with pytest.raises(BadKeys, match="exit status 7"):
            wrap_roots(settings)

        assert {path.name: path.read_bytes() for path in secret_files(settings.keys_dir)} == plain

    @pytest.mark.usefixtures("plain")
    async def test_the_command_waits_for_nobody_who_changes_keys(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def wrapping() -> int:
            return await asyncio.to_thread(wrap, place=settings)

        async with open_service(replace(settings, keys_command="")) as other:
            assert await other.rotation.alone(wrapping) == 1

        assert "another process changes keys now" in capsys.readouterr().err
        assert not any(path.read_bytes().startswith(MARK) for path in secret_files(settings.keys_dir))
        assert await wrapping() == 0
        assert all(path.read_bytes().startswith(MARK) for path in secret_files(settings.keys_dir))

    def test_there_must_be_a_service_and_keys(self, settings: Settings) -> None:
        with pytest.raises(BadSetting, match="name the program"):
            wrap_roots(replace(settings, keys_command=""))
        with pytest.raises(BadKeys, match="has no keys"):
            wrap_roots(settings)


def test_a_vault_takes_a_service_that_is_down_for_a_failure_that_passes() -> None:
    def look() -> dict[int, bytes]:
        raise BadKeys("down")

    vault = Vault(b"deployment", {1: b"m" * 32}, look=look)

    with pytest.raises(StorageFailed):
        vault.wrap(vault.new_key(), "d-1", 2)
