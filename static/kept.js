import { button, count, element } from "./element.js";
import { respond } from "./rest.js";
import { SITE } from "./site.js";

const paragraph = (text) => element("p", {}, text);
const parts = () => Promise.all([import("./receipt.js"), import("./kept_dialog.js")]); // only if a dialog is stored

/** The stored data of one dialog, read over REST. */
export class Kept {
  #panel;
  #initial;
  #turn = 0; // the number of the latest request; responses to earlier ones are ignored

  /** @param {HTMLElement} panel  with a chip for its state; the body is its last child */
  constructor(panel) {
    this.#panel = panel;
    this.#initial = panel.lastElementChild.firstElementChild;
  }

  clear() {
    this.#turn++;
    this.#show("empty", "none", this.#initial);
  }

  /**
   * Request the stored dialog, and show it.
   *
   * @param {string} dialogId
   * @param {{token?: string, language?: string, withdrawalCode?: string, receipt?: string, onErased?: () => void}} about  what `stored` told is
   *   shown whatever the server answers: a token that may not read has no other way to it
   */
  async ask(dialogId, about = {}) {
    const response = await this.#request("GET", dialogId, about);
    if (!response) return;
    const { line, status, body } = response;
    if (status === 200) await this.#showDialog(line, body, about);
    else if (status === 404) this.#show("absent", "none", line, paragraph("Nothing is stored."));
    else if (status === 410) this.#show("gone", "erased", line, paragraph("The dialog was erased and its key destroyed."));
    else await this.#fail("error", response, dialogId, about);
  }

  /** Ask first: it cannot be undone. */
  #confirmErasure(dialogId, about) {
    const ask = element("dialog", { ariaLabel: "Erase this dialog?" },
      element("h3", {}, "Erase this dialog?"),
      element("p", {}, "Its key is destroyed. Nobody can read its messages again, and its id cannot be used again."),
      element("form", { method: "dialog", className: "row" },
        element("button", { value: "erase", className: "no" }, "Erase for good"), element("button", { value: "", autofocus: true }, "Keep it")));
    ask.addEventListener("close", () => {
      ask.remove();
      if (ask.returnValue === "erase") this.#erase(dialogId, about);
    });
    this.#panel.prepend(ask); // the body is the panel's last child
    ask.showModal();
  }

  async #erase(dialogId, about) {
    const response = await this.#request("DELETE", dialogId, about);
    if (!response) return;
    if (response.status >= 300 || !response.status) {
      await this.#fail("not erased", response, dialogId, about);
      return;
    }
    about.onErased?.();
    await this.ask(dialogId, about);
    this.#panel.lastElementChild.prepend(response.line);
  }

  /** Return the response, with a line that describes it; null if a newer request was sent meanwhile. */
  async #request(method, dialogId, { token }) {
    const turn = ++this.#turn;
    const request = element("code", {}, `${method} /v1/dialogs/${dialogId}`);
    const outcome = element("b", {}, " …");
    const line = element("p", { className: "quiet" }, request, outcome);
    this.#show("loading", "loading …", line);
    const began = performance.now();
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    let status = 0;
    let body = null;
    try {
      const response = await respond(`${SITE}/v1/dialogs/${encodeURIComponent(dialogId)}`, { method, headers, cache: "no-store" });
      status = response.status;
      body = await response.json();
    } catch (error) {
      if (!status) body = { detail: error.message, code: error.code }; // otherwise the response has no body
    }
    outcome.textContent = ` ${status || "no response"} in ${Math.round(performance.now() - began)} ms`;
    return turn === this.#turn ? { line, status, body } : null;
  }

  async #showDialog(line, dialog, about) {
    const turn = this.#turn;
    const erase = button("Erase this dialog", () => this.#confirmErasure(dialog.dialog_id, about));
    erase.className = "no";
    const [{ check, receiptOf }, { messages, summary, withdrawal }] = await parts();
    if (turn !== this.#turn) return;
    const receipt = receiptOf(dialog);
    this.#show("full", count(dialog.messages.length), line, summary(dialog), messages(dialog.messages),
      about.withdrawalCode ? withdrawal(about.withdrawalCode, about) : "", receipt, erase);
    const result = await check(dialog.receipt);
    if (turn === this.#turn) receipt.firstChild.append(element("span", { className: "chip" }, result));
  }

  async #fail(chip, { line, status, body }, dialogId, about) {
    const turn = this.#turn;
    const problem = `${body?.detail ?? `HTTP ${status}`} (${body?.code ?? "http"})`;
    const told = [];
    if (about.withdrawalCode) {
      const [{ receiptOf }, { withdrawal }] = await parts();
      told.push(withdrawal(about.withdrawalCode, about), receiptOf(about));
    }
    if (turn !== this.#turn) return;
    this.#show("error", chip, line, element("p", { className: "failure", role: "alert" }, problem),
      button("Retry", () => this.ask(dialogId, about)), ...told);
  }

  #show(state, chip, ...children) {
    this.#panel.dataset.state = state;
    this.#panel.ariaBusy = String(state === "loading");
    this.#panel.querySelector(".chip").textContent = chip;
    this.#panel.lastElementChild.replaceChildren(...children);
  }
}
