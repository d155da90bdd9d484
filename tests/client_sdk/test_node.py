"""The JavaScript SDK in Node, where a chatbot's server uses it."""

import subprocess
from pathlib import Path
from time import monotonic

import pytest

from consentful import wire
from javascript import SDK, in_node
from needs import install_from_npm, need
from ports import free_port

from .scripted import ScriptedServer, task

WITH_WS = 'const { WebSocket } = await import("ws");'
EMITTER = """
const { EventEmitter } = await import("node:events");
class WebSocket extends EventEmitter { // as `ws` is: an error that nobody listens to ends the process
  constructor() {
    super();
    setImmediate(() => {
      this.emit("error", new Error("ECONNREFUSED"));
      this.emit("close", 1006);
    });
  }
  set onopen(listen) { this.on("open", listen); }
  set onmessage(listen) { this.on("message", (data) => listen({ data })); }
  set onerror(listen) { this.on("error", (error) => listen({ error })); }
  set onclose(listen) { this.on("close", (code) => listen({ code })); }
  close() { setImmediate(() => this.emit("error", new Error("closed before the connection was established"))); }
}
"""
FORBIDDEN = """
class WebSocket { // as Chromium's, where the page's Content-Security-Policy forbids the connection
  readyState = 3;
  constructor() {
    setImmediate(() => this.onerror({}));
  }
  close() {}
}
"""
UNREACHABLE = """
const opening = sdk.openDialog(given, { customerId: "c-1", WebSocket, token: "t", reconnectForMs: 100 });
console.log(JSON.stringify(await opening.catch(({ name, code }) => `${name} ${code}`)));
"""


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `ws`."""
    folder = tmp_path_factory.mktemp("ws")
    install_from_npm("ws@8.18.3", folder)
    return folder


TYPED = """
import { ConsentfulError, Dialog, OutcomeUnknown, openDialog, withdraw, type Stored } from "./consentful.mjs";

type Exactly<A, B> = [A, B] extends [B, A] ? (0 extends 1 & A ? "any" : "yes") : "no";
const is = <A, B>(exactly: Exactly<A, B>) => exactly;

export async function chat(): Promise<Stored> {
  const dialog = await openDialog("http://chat.test", { customerId: "c-1", token: async () => "t" });
  is<typeof dialog, Dialog>("yes");
  is<typeof dialog.opened, Promise<void>>("yes");
  is<typeof dialog.limits.max_text_bytes, number>("yes");
  await dialog.say("Hi", { role: "bot", sentAt: new Date() });
  // @ts-expect-error
  await dialog.say("Hi", { role: "assistant" });
  // @ts-expect-error
  new Dialog("http://chat.test", {});
  try {
    return await dialog.grant({ purposes: ["improve-chatbot"] });
  } catch (error) {
    if (!(error instanceof ConsentfulError)) throw error;
    is<typeof error.code, string>("yes");
    if (!(error instanceof OutcomeUnknown)) throw error;
    is<typeof error.dialog, Dialog>("yes");
    return await error.dialog.grant();
  }
}

export async function leave(code: string): Promise<Date | string[]> {
  const outcome = await withdraw("http://chat.test", code);
  return outcome.status === "narrowed" ? outcome.purposes : outcome.erasedAt;
}
"""


def test_typescript_reads_the_types_from_the_comments(tmp_path: Path) -> None:
    install_from_npm("typescript@5.9.3", tmp_path)
    (tmp_path / "consentful.mjs").write_text(SDK.read_text("utf-8"), "utf-8")
    (tmp_path / "bot.ts").write_text(TYPED, "utf-8")
    options = ["--noEmit", "--strict", "--allowJs", "--target", "es2022", "--module", "nodenext", "bot.ts"]

    done = subprocess.run(
        [need("node"), "node_modules/typescript/bin/tsc", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("", 0)


async def test_without_a_websocket_the_error_says_how_to_get_one() -> None:
    script = """
    const opening = sdk.openDialog("http://chat.test", { customerId: "c-1", token: "t" });
    console.log(JSON.stringify(await opening.catch(({ name, code, message }) => [name, code, message])));
    """

    name, code, message = await in_node(script, before="delete globalThis.WebSocket;")

    assert (name, code) == ("Refused", "websocket")
    assert "npm install ws" in message
    assert "token" not in message


async def test_an_error_event_of_a_socket_does_not_end_the_process() -> None:
    assert await in_node(UNREACHABLE, "http://chat.test", before=EMITTER) == "Unavailable unavailable"


async def test_an_error_event_without_a_close_event_is_a_loss() -> None:
    """Not a silence, in which a server has 20 seconds to answer."""
    began = monotonic()

    outcome = await in_node(UNREACHABLE, f"http://127.0.0.1:{free_port()}", before=FORBIDDEN)

    assert outcome == "Unavailable unavailable"
    assert monotonic() - began < 15


async def test_a_server_that_is_down_does_not_end_the_process_with_ws(ws: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    assert await in_node(UNREACHABLE, url, before=WITH_WS, folder=ws) == "Unavailable unavailable"


async def test_where_no_server_is_reached_the_error_says_why(ws: Path) -> None:
    """Such as a certificate that is not trusted: the wait for a better moment would be in vain."""
    script = """
    const opening = sdk.openDialog(given, { customerId: "c-1", WebSocket, token: "t", reconnectForMs: 100 });
    console.log(JSON.stringify(await opening.catch(({ message }) => message)));
    """
    url = f"http://127.0.0.1:{free_port()}"

    assert "no server is reachable (connect ECONNREFUSED" in await in_node(script, url, before=WITH_WS, folder=ws)


@pytest.mark.parametrize("token", ["t", None])
async def test_an_address_without_the_service_is_refused_at_once(
    ws: Path, server: ScriptedServer, token: str | None
) -> None:
    """As by the Python SDK, and not after two minutes."""
    server.refusals += [(404, {}), (404, {})]
    script = """
    const opening = sdk.openDialog(given[0], { customerId: "c-1", WebSocket, token: given[1] ?? undefined });
    console.log(JSON.stringify(await opening.catch(({ name, code, message }) => [name, code, message])));
    """

    refusal = await in_node(script, [server.url, token], before=WITH_WS, folder=ws)

    assert refusal == ["Refused", "http_404", "no dialog can be opened at this address (HTTP 404); check the URL"]


async def test_a_404_between_two_servers_does_not_end_a_dialog(ws: Path, server: ScriptedServer) -> None:
    script = """
    const dialog = await sdk.openDialog(given, { customerId: "c-1", WebSocket });
    await dialog.say("one");
    console.log(JSON.stringify((await dialog.grant()).messages));
    """

    granting = task(in_node(script, server.url, before=WITH_WS, folder=ws))
    peer = await server.accept_open()
    server.refusals += [(404, {}), (404, {})]
    await peer.hear_out()
    await peer.drop()
    again = await server.accept_open()
    await again.hear_out()
    await again.store(1)

    assert await granting == 1


async def test_a_killed_server_is_replaced_with_ws(ws: Path, server: ScriptedServer) -> None:
    script = """
    const dialog = await sdk.openDialog(given, { customerId: "c-1", WebSocket });
    await dialog.say("one");
    await dialog.say("two", { role: "bot" });
    console.log(JSON.stringify((await dialog.grant()).messages));
    """

    granting = task(in_node(script, server.url, before=WITH_WS, folder=ws))
    peer = await server.accept_open()
    await peer.hear_out()
    await peer.drop()
    again = await server.accept_open()
    messages, consent = await again.hear_out()
    assert [(message.text, message.role) for message in messages] == [("one", "customer"), ("two", "bot")]
    await again.send(wire.Ack(2))
    await again.store(consent.last_seq)

    assert await granting == 2


async def test_a_no_is_sent_after_a_text_that_is_no_unicode(ws: Path, server: ScriptedServer) -> None:
    """Platforms of before 2023 have no `toWellFormed`."""
    script = r"""
    const dialog = await sdk.openDialog(given, { customerId: "c-1", WebSocket });
    await dialog.say("Hi \ud83d");
    console.log(JSON.stringify((await dialog.decline()).messages));
    """
    older = "delete String.prototype.toWellFormed;"

    declining = task(in_node(script, server.url, before=older + WITH_WS, folder=ws))
    peer = await server.accept_open()
    messages, consent = await peer.hear_out()
    assert ([message.text for message in messages], consent.granted) == (["Hi \ufffd"], False)
    await peer.discard(1)

    assert await declining == 1
