"""The command line: as a child process where it serves, within this one where it answers at once."""

import asyncio
import dataclasses
import re
import signal
import socket
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from certificates import make_pair
from consentful_server import cli
from consentful_server.settings import Settings
from kept import bearer, get
from live import connect

from .refusals import Output, refused
from .serving import serving, start


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "name", "remedy"),
        [
            (["--port", "70000"], "port", "0 to 65535"),
            (["--port", "-1"], "port", "0 to 65535"),
            (["--auth", "none", "--host", "0.0.0.0"], "auth", "--auth keys"),
            (["--auth", "none", "--host", "::"], "auth", "--auth keys"),
            (["--auth", "none", "--host", "example.org"], "auth", "loopback"),
            (["--tls-cert", "server.crt"], "tls_key", "--tls-cert and --tls-key"),
            (["--tls-cert", "server.crt", "--tls-key", "server.key"], "tls_cert", "No such file"),
            (["--trusted-proxy", "0.0.0.0/0"], "trusted_proxy", "/0 would trust every client"),
            (["--allow-origin", "*"], "allow_origin", "https://chat.example"),
            (["--allow-origin", "https://chat.example/path"], "allow_origin", "https://chat.example"),
            (["--allow-origin", "https://Chat.example"], "allow_origin", "lower case"),
            (["--allow-origin", "https://chat.example:443"], "allow_origin", "no default port"),
            (["--allow-origin", "https://me@chat.example"], "allow_origin", "as browsers send it"),
            (["--idle-timeout", "0"], "idle_timeout", "above 0"),
            (["--max-duration", "-5"], "max_duration", "above 0"),
            (["--grace", "-1"], "grace", "0 or more"),
            (["--workers", "0"], "workers", "above 0"),
            (["--workers", "2", "--port", "0"], "port", "fixed port"),
            (["--max-messages", "0"], "max_messages", "above 0"),
            (["--max-text-bytes", "2000000"], "max_text_bytes", "max_dialog_bytes"),
            (["--memory", "5"], "memory", "max_dialog_bytes"),
            (["--memory", "1048577", "--workers", "2"], "memory", "for each of 2 workers"),
            (["--database", "mysql://x"], "database", "sqlite:///"),
            (["--keys-dir", "data/keys"], "keys_dir", "outside the data directory"),
            (["--database", "sqlite:///x.db"], "keys_dir", "keys is in ."),
        ],
    )
    def test_a_setting_that_cannot_be_is_named_with_its_remedy(
        self, capsys: Output, somewhere: Path, arguments: list[str], name: str, remedy: str
    ) -> None:
        said = refused(capsys, "serve", *arguments)

        assert name in said
        assert remedy in said
        assert not list(somewhere.iterdir())

    @pytest.mark.parametrize(
        "arguments",
        [
            ["serve", "--prot", "8080"],
            ["serve", "--port", "x"],
            ["serve", "--auth", "open"],
            ["serv"],
            ["keys", "make"],
        ],
    )
    def test_an_unknown_flag_value_or_command_is_refused(
        self, capsys: Output, somewhere: Path, arguments: list[str]
    ) -> None:
        said = refused(capsys, *arguments)

        assert arguments[-1] in said or arguments[1] in said
        assert not list(somewhere.iterdir())

    def test_an_unknown_environment_variable_is_named(
        self, capsys: Output, somewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONSENTFUL_IDLE_TIMOUT", "5")

        said = refused(capsys, "serve")

        assert "CONSENTFUL_IDLE_TIMOUT" in said
        assert not list(somewhere.iterdir())

    def test_a_wrong_environment_variable_is_refused(self, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONSENTFUL_PORT", "70000")

        assert "0 to 65535" in refused(capsys, "serve")

    def test_an_unknown_key_of_the_file_is_named(self, capsys: Output, somewhere: Path) -> None:
        (somewhere / cli.FILE).write_text("prot = 8080\n")

        assert "prot" in refused(capsys, "serve")

    def test_a_wrong_value_in_the_file_is_refused(self, capsys: Output, somewhere: Path) -> None:
        (somewhere / cli.FILE).write_text("port = 70000\n")

        assert "0 to 65535" in refused(capsys, "serve")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["backup"], "--folder is missing. See `consentful backup --help`."),
            (["notice", "add"], "--file is missing. See `consentful notice add --help`."),
            (["move"], "ORIGIN is missing. See `consentful move --help`."),
            (["serve", "--port"], "--port has no value. See `consentful serve --help`."),
            (["serve", "--prot", "3"], "Unknown option: --prot. Did you mean --port? See `consentful serve --help`."),
            (["serve", "now", "please"], "it takes no now please. See `consentful serve --help`."),
            (
                ["serve", "--port", "x"],
                'Invalid value for --port: unable to convert "x" into int. See `consentful serve',
            ),
            (
                ["request", "frob"],
                'Unknown command "frob". Available commands: list, show, receive, decide, answer. See',
            ),
        ],
    )
    def test_a_wrong_command_line_is_told_in_one_line_with_where_help_is(
        self, capsys: Output, arguments: list[str], says: str
    ) -> None:
        said = refused(capsys, *arguments)

        assert said.startswith(f"command: {says}")
        assert said.count("\n") == 1

    @pytest.mark.parametrize("command", [("serve",), ("keys", "list")])
    @pytest.mark.parametrize("content", [b"host = = 1", b'host = "\xff"', b"port = 1"], ids=["toml", "utf-8", "twice"])
    def test_a_file_that_cannot_be_read_is_named_with_its_line(
        self, capsys: Output, somewhere: Path, content: bytes, command: tuple[str, ...]
    ) -> None:
        (somewhere / cli.FILE).write_bytes(b"port = 8080\n" + content + b"\n")

        said = refused(capsys, *command)

        assert str(somewhere / cli.FILE) in said
        assert "line 2" in said
        assert not (somewhere / "data").exists()

    def test_keys_of_another_database_are_refused_and_left_alone(self, capsys: Output, somewhere: Path) -> None:
        assert cli.run(["migrate"]) == 0
        key = somewhere / "keys" / "index.key"
        key.unlink()
        assert cli.run(["migrate", "--data-dir", "other"]) == 0
        before = key.read_bytes()

        said = refused(capsys, "serve", "--port", "0")

        assert "index" in said
        assert key.read_bytes() == before

    def test_a_database_without_its_keys_is_refused(self, capsys: Output, somewhere: Path) -> None:
        assert cli.run(["migrate"]) == 0

        said = refused(capsys, "serve", "--keys-dir", "elsewhere", "--port", "0")

        assert "--keys-dir" in said
        assert not (somewhere / "elsewhere").exists()

    def test_keys_that_others_can_read_are_refused(self, capsys: Output, somewhere: Path) -> None:
        assert cli.run(["migrate"]) == 0
        (somewhere / "keys" / "signing.pem").chmod(0o644)

        assert "chmod 600" in refused(capsys, "serve", "--port", "0")

    async def test_a_port_that_is_taken_is_refused_with_a_sentence(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()

            child = await start("serve", "--port", str(taken.getsockname()[1]))
            _, said = await child.communicate()

        assert child.returncode == 2
        assert b"Traceback" not in said
        assert b"port" in said


def test_help_and_version_are_told(capsys: Output) -> None:
    for arguments in (["--help"], ["serve", "--help"], ["keys", "create", "--help"], ["--version"]):
        assert cli.run(arguments) == 0
        assert capsys.readouterr().out.strip()


def test_every_setting_is_in_the_help_with_its_environment_variable(capsys: Output) -> None:
    cli.run(["serve", "--help"])
    said = capsys.readouterr().out

    for field in dataclasses.fields(Settings):
        assert f"--{field.name.replace('_', '-')}" in said
        assert f"{cli.PREFIX}{field.name.upper()}" in said


@pytest.mark.usefixtures("database")
class TestKeys:
    def test_a_key_is_printed_alone_and_once(self, capsys: Output) -> None:
        assert cli.run(["keys", "create", "--name", "shop", "--scope", "dialogs:write", "--scope", "data:read"]) == 0

        key = capsys.readouterr().out
        assert key.startswith("cfl_")
        assert key.count("\n") == 1
        cli.run(["keys", "list"])
        listed = capsys.readouterr().out
        assert "shop" in listed
        assert "dialogs:write data:read" in listed
        assert key.split("_")[1] in listed
        assert key.strip().split("_", 2)[2] not in listed

    def test_a_key_may_be_bound_and_end(self, capsys: Output) -> None:
        arguments = ["--name", "lab", "--scope", "data:read", "--purpose", "improve-chatbot", "--days", "30"]
        assert cli.run(["keys", "create", *arguments]) == 0

        cli.run(["keys", "list"])

        assert "improve-chatbot" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "arguments",
        [["--name", "x"], ["--scope", "data:read"], ["--name", "x", "--scope", "everything"],
         ["--name", "x", "--scope", "data:read", "--days", "0"]],
    )  # fmt: skip
    def test_a_key_needs_a_name_and_a_known_scope(self, capsys: Output, arguments: list[str]) -> None:
        assert refused(capsys, "keys", "create", *arguments)

    def test_a_revoked_key_is_listed_as_such(self, capsys: Output) -> None:
        cli.run(["keys", "create", "--name", "shop", "--scope", "data:read"])
        key_id = capsys.readouterr().out.split("_")[1]

        assert cli.run(["keys", "revoke", key_id]) == 0
        assert cli.run(["keys", "revoke", key_id]) == 0
        assert cli.run(["keys", "revoke", "nobody"]) == 1

        assert "nobody" in capsys.readouterr().err

    def test_everything_that_is_made_is_its_owners_alone(self, somewhere: Path) -> None:
        made = [path for path in somewhere.rglob("*") if path.name != "pycache"]
        assert {path.name for path in made} >= {"data", "keys", "index.key", "consentful.db"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in made)


@pytest.mark.usefixtures("database")
class TestRoots:
    def test_the_signing_key_is_replaced_and_the_old_one_still_listed(self, capsys: Output, somewhere: Path) -> None:
        assert cli.run(["roots", "list"]) == 0
        (signs,) = re.findall(r"(\S{43}) *│ signs", capsys.readouterr().out)

        assert cli.run(["roots", "rotate", "--signing"]) == 0
        assert cli.run(["roots", "list"]) == 0

        said = capsys.readouterr().out
        assert re.findall(r"(\S{43}) *│ verifies", said) == [signs]
        assert signs not in re.findall(r"(\S{43}) *│ signs", said)
        assert sorted(path.name for path in (somewhere / "keys").glob("signing*")) == [
            "signing-0002.pem",
            "signing.jwk",
        ]

    def test_the_epoch_is_ended_now(self, capsys: Output, somewhere: Path) -> None:
        assert cli.run(["roots", "rotate"]) == 0

        assert "Destroyed the old master key" in capsys.readouterr().out
        assert [path.name for path in (somewhere / "keys").glob("wrapping*")] == ["wrapping-0002.key"]

    def test_a_lost_ledger_stops_every_command_until_it_is_rebuilt(self, capsys: Output, somewhere: Path) -> None:
        cli.run(["keys", "create", "--name", "bot", "--scope", "data:read"])
        key_id = capsys.readouterr().out.split("_")[1]
        cli.run(["keys", "revoke", key_id])
        (somewhere / "keys" / "erasures.ledger").unlink()

        assert "rebuild-ledger" in refused(capsys, "keys", "list")

        assert cli.run(["roots", "rebuild-ledger"]) == 0
        assert "0 erasures, 0 retractions, 1 revoked API keys" in capsys.readouterr().out
        assert cli.run(["keys", "list"]) == 0


class TestMigrate:
    def test_a_new_database_is_brought_to_the_schema_once(self, capsys: Output) -> None:
        assert cli.run(["migrate"]) == 0
        assert "0001" in capsys.readouterr().out

        assert cli.run(["migrate"]) == 0
        assert capsys.readouterr().out.strip() == "The schema is up to date."

    def test_a_file_that_is_no_database_is_refused(self, capsys: Output, somewhere: Path) -> None:
        (somewhere / "data").mkdir()
        (somewhere / "data" / "x.db").write_bytes(b"not a database " * 500)

        assert "not an SQLite database" in refused(capsys, "migrate", "--database", "sqlite:///data/x.db")


class TestServe:
    async def test_it_starts_keeps_what_is_granted_and_stops(self, somewhere: Path) -> None:
        async with serving("--port", "0") as (url, said, child), ClientSession(url) as http:
            assert await get(http, "/readyz") == {"status": "ready", "retention": "running"}
            async with connect(http, "") as live:
                await live.open("alice", dialog_id="d-1")
                await live.say("contraband-4711")
                await live.grant()
            child.terminate()
            assert await child.wait() == 0
        assert (somewhere / "data" / "consentful.db").exists()
        assert (somewhere / "keys").stat().st_mode & 0o077 == 0
        assert "Traceback" not in "".join(said)
        assert not any(word in "".join(said) for word in ("contraband", "alice"))

        async with serving("--port", "0") as (url, _, _), ClientSession(url) as http:
            assert [item["text"] for item in (await get(http, "/v1/messages"))["items"]] == ["contraband-4711"]

    @pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
    async def test_a_signal_drains_and_a_second_one_ends_the_patience(self, stop: signal.Signals) -> None:
        async with serving("--port", "0", "--grace", "600") as (url, _, child), ClientSession(url) as http:
            async with connect(http, "") as live:
                await live.open()
                await live.say("first")
                child.send_signal(stop)
                closing = await live.next_frame()
                assert (type(closing).__name__, getattr(closing, "reason", None)) == ("Closing", "draining")
                async with http.get("/readyz") as response:
                    assert response.status == 503
                await live.say("second")

                child.send_signal(stop)
                assert (await live.until_closed())[1] == 4001
            async with asyncio.timeout(20):
                assert await child.wait() == 0

    async def test_a_dialog_that_ends_within_the_grace_time_lets_it_go(self) -> None:
        async with serving("--port", "0", "--grace", "600") as (url, _, child), ClientSession(url) as http:
            async with connect(http, "") as live:
                await live.open()
                await live.say("first")
                child.terminate()
                await live.next_frame()
                assert (await live.grant()).messages == 1
                await live.closed()
            async with asyncio.timeout(20):
                assert await child.wait() == 0

    async def test_the_first_start_with_keys_prints_one_that_may_do_everything(self) -> None:
        async with serving("--port", "0", "--auth", "keys") as (url, said, _), ClientSession(url) as http:
            (key,) = [line.strip() for line in said if line.startswith("cfl_")]
            assert (await http.get("/v1/messages")).status == 401
            for path in ("/v1/messages", "/data"):
                assert (await http.get(path, headers=bearer(key))).status == 200

        async with serving("--port", "0", "--auth", "keys") as (url, said, _), ClientSession(url) as http:
            assert not any("cfl_" in line for line in said)
            assert (await http.get("/v1/messages", headers=bearer(key))).status == 200

    async def test_off_loopback_keys_are_the_default(self) -> None:
        async with serving("--port", "0", "--host", "0.0.0.0") as (url, said, _):
            assert any(line.startswith("cfl_") for line in said)
            async with ClientSession(url.replace("0.0.0.0", "127.0.0.1")) as http:
                assert (await http.get("/v1/messages")).status == 401

    async def test_flags_come_before_the_environment_before_the_file(self, somewhere: Path) -> None:
        (somewhere / cli.FILE).write_text('port = 0\nidle_timeout = 11\nmax_messages = 12\ndata_dir = "kept"\n')
        environment = {"CONSENTFUL_MAX_MESSAGES": "22", "CONSENTFUL_MAX_DURATION": "23"}

        async with (
            serving("--max-duration", "33", environment=environment) as (url, _, _),
            ClientSession(url) as http,
            connect(http, "") as live,
        ):
            limits = (await live.open()).limits

        assert (limits.idle_timeout_s, limits.max_messages, limits.max_duration_s) == (11, 22, 33)
        assert (somewhere / "kept" / "consentful.db").exists()

    async def test_with_a_certificate_it_speaks_https(self, tmp_path: Path) -> None:
        pair = make_pair(tmp_path)
        arguments = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
        async with serving("--port", "0", *arguments) as (url, _, child):
            assert url.startswith("https://")
            async with ClientSession(url, connector=TCPConnector(ssl=pair.trusted())) as http:
                assert await get(http, "/readyz") == {"status": "ready", "retention": "running"}
                async with connect(http, "") as live:
                    await live.open()
                    await live.say("Hi")
                    child.terminate()
                    await live.next_frame()
                    await live.grant()
                    await live.closed()
            async with asyncio.timeout(20):
                assert await child.wait() == 0
