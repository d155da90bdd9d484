import { count, element, facts, time } from "./element.js";

const EXACT = { dateStyle: "medium", timeStyle: "medium" };
const paragraph = (text) => element("p", {}, text);

/** What the server keeps of one dialog, as its REST interface tells: nothing, all of it, or that it is gone. */
export class Kept {
  #panel;
  #turn = 0; // an answer that comes late is not shown over a newer one

  /** @param {HTMLElement} panel  with a chip for its state, and a body last */
  constructor(panel) {
    this.#panel = panel;
    this.clear();
  }

  clear() {
    this.#turn++;
    this.#show("empty", "nothing", paragraph("Until the customer says yes, the words are in the memory of this one connection " +
      "and nowhere else. Grant or decline, and the server is asked here what it keeps."));
  }

  /**
   * Ask the server what it keeps, and show it.
   *
   * @param {string} dialogId
   * @param {{token?: string, withdrawalCode?: string, onErased?: () => void}} about
   */
  async ask(dialogId, about = {}) {
    const answer = await this.#request("GET", dialogId, about);
    if (!answer) return;
    const { line, status, body } = answer;
    if (status === 200) await this.#showDialog(line, body, about);
    else if (status === 404) this.#show("absent", "nothing", line, paragraph("Nothing was stored."));
    else if (status === 410) this.#show("gone", "erased", line, paragraph("It was erased, and its key with it."));
    else this.#fail("cannot tell", answer, dialogId, about);
  }

  async #erase(dialogId, about) {
    const answer = await this.#request("DELETE", dialogId, about);
    if (!answer) return;
    if (answer.status >= 300 || !answer.status) {
      this.#fail("not erased", answer, dialogId, about);
      return;
    }
    about.onErased?.();
    await this.ask(dialogId, about);
    this.#panel.lastElementChild.prepend(answer.line);
  }

  /** Return what was answered, with the line that tells so; null if something else was asked meanwhile. */
  async #request(method, dialogId, { token }) {
    const turn = ++this.#turn;
    const asked = element("code", {}, `${method} /v1/dialogs/${dialogId}`);
    const outcome = element("b", {}, " …");
    const line = element("p", { className: "quiet" }, asked, outcome);
    this.#show("loading", "asking …", line);
    const began = performance.now();
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    let status = 0;
    let body = null;
    try {
      const answer = await fetch(`/v1/dialogs/${encodeURIComponent(dialogId)}`, { method, headers, cache: "no-store" });
      status = answer.status;
      body = await answer.json();
    } catch {
      // no server, or no body: the status tells which
    }
    outcome.textContent = ` ${status || "no answer"} in ${Math.round(performance.now() - began)} ms`;
    return turn === this.#turn ? { line, status, body } : null;
  }

  async #showDialog(line, dialog, about) {
    const turn = this.#turn;
    const erase = button("Erase this dialog", () => this.#erase(dialog.dialog_id, about));
    erase.className = "no";
    const { check, receiptOf } = await import("./receipt.js"); // only who stores something needs it
    if (turn !== this.#turn) return;
    const receipt = receiptOf(dialog);
    this.#show("full", count(dialog.messages.length), line, summary(dialog), messages(dialog.messages),
      about.withdrawalCode ? withdrawal(about.withdrawalCode) : "", receipt, erase);
    const verdict = await check(dialog.receipt);
    if (turn === this.#turn) receipt.firstChild.append(element("span", { className: "chip" }, verdict));
  }

  #fail(chip, { line, body }, dialogId, about) {
    const problem = `${body?.detail ?? "the server did not answer"} (${body?.code ?? "unavailable"})`;
    this.#show("error", chip, line, element("p", { className: "failure", role: "alert" }, problem),
      button("Ask again", () => this.ask(dialogId, about)));
  }

  #show(state, chip, ...children) {
    this.#panel.dataset.state = state;
    this.#panel.ariaBusy = String(state === "loading");
    this.#panel.querySelector(".chip").textContent = chip;
    this.#panel.lastElementChild.replaceChildren(...children);
  }
}

function button(name, act) {
  const made = element("button", { type: "button" }, name);
  made.addEventListener("click", act);
  return made;
}

function summary({ customer, purposes, notice, stored_at, expires_at, bot }) {
  return element("dl", { className: "facts" }, ...facts({
    Customer: element("code", {}, customer),
    Purposes: purposes.join(", "),
    Notice: `${notice.id} (${notice.language})`,
    Stored: time(stored_at, EXACT),
    "Kept until": time(expires_at, EXACT),
    Bot: bot,
  }));
}

function messages(kept) {
  const heads = ["#", "Role", "Language", "Text", "Received"].map((name) => element("th", { scope: "col" }, name));
  const rows = kept.map(({ seq, role, language, text, received_at }) =>
    element("tr", {},
      element("td", { className: "number" }, String(seq)),
      element("td", {}, role),
      element("td", {}, language ?? "–"),
      element("td", { className: "words", dir: "auto", lang: language ?? "" }, text),
      element("td", {}, time(received_at)),
    ));
  return element("table", { id: "kept-messages" }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

function withdrawal(code) {
  const shown = element("code", { id: "withdrawal-code" }, code);
  const copy = button("Copy", async () => {
    getSelection().selectAllChildren(shown); // where the clipboard is out of reach, Ctrl+C does it
    await navigator.clipboard?.writeText(code).then(() => (copy.textContent = "Copied"), () => {});
  });
  return element("p", { className: "code" }, "Withdrawal code ", shown, copy);
}
