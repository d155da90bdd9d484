/** One stored dialog: its messages, its consent and its receipt. */

import { button, count, element, facts } from "./element.js";
import { marked } from "./hits.js";
import { check, receiptOf } from "./receipt.js";
import { clock, day, time } from "./times.js";

const paragraph = (text, className = "") => element("p", { className }, text);
const code = (text) => element("code", {}, text);

export class Conversation {
  #panel;
  #rest;
  #shown = ""; // the dialog that is shown whole, with the words that are marked in it
  #request = null; // aborted by a newer one, whose response it must not replace

  /**
   * @param {HTMLElement} panel  with a chip for its state; the body is its last child
   * @param {import("./rest.js").RestClient} rest
   */
  constructor(panel, rest) {
    this.#panel = panel;
    this.#rest = rest;
  }

  close() {
    this.#request?.abort();
    this.#shown = "";
    this.#show("empty", "none", paragraph("Select a row to see its dialog, its consent and its receipt.", "quiet"));
  }

  /**
   * Fetch a dialog and show it; one that is shown already only gets another mark.
   *
   * @param {string} dialogId
   * @param {{seq: number, words: string, filtered: (filters: object) => string}} how  the message to mark (0: none), the
   *   words to mark, and what returns the URL with a filter for a customer or chatbot
   */
  async open(dialogId, how) {
    const { seq, words, filtered } = how;
    const at = () => this.#panel.querySelector(`[data-seq="${seq}"]`);
    if (this.#shown === `${dialogId} ${words}`) {
      point(at());
      return;
    }
    this.#shown = "";
    this.#request?.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#show("loading", "loading …", ...this.#panel.lastElementChild.childNodes);
    let dialog;
    try {
      dialog = await this.#rest.json({ path: `/v1/dialogs/${encodeURIComponent(dialogId)}` }, signal);
    } catch (error) {
      if (!signal.aborted) this.#showError(error, dialogId, how);
      return;
    }
    const receipt = receiptOf(dialog);
    const said = bubbles(dialog, words);
    this.#show("full", count(dialog.messages.length), ...hits(said), ...summary(dialog, filtered), said, receipt);
    this.#panel.lastElementChild.scrollTop = 0;
    this.#shown = `${dialogId} ${words}`;
    point(at());
    const result = await check(dialog.receipt);
    if (!signal.aborted) receipt.firstChild.append(element("span", { className: "chip" }, result));
  }

  #showError({ status, message, code: name }, dialogId, how) {
    const which = element("p", { className: "quiet" }, "Dialog ", code(dialogId));
    if (status === 410) {
      this.#show("gone", "erased", paragraph("This dialog was erased."), paragraph("The customer withdrew the consent or requested " +
        "erasure, or the retention time expired. The dialog's key is destroyed. Delete the dialog from your copies, too."), which);
    } else if (status === 404) {
      this.#show("absent", "not found", paragraph("Dialog not found, or not accessible with your key."), which);
    } else {
      this.#show("error", "error", element("p", { className: "failure", role: "alert" }, `${message} (${name})`), which,
        element("button", { type: "button", onclick: () => this.open(dialogId, how) }, "Retry"));
    }
  }

  #show(state, chip, ...children) {
    this.#panel.dataset.state = state;
    this.#panel.ariaBusy = String(state === "loading");
    this.#panel.querySelector(".chip").textContent = chip;
    this.#panel.lastElementChild.replaceChildren(...children);
  }
}

function summary(dialog, filtered) {
  const { dialog_id, customer, customer_id, bot, language, metadata, notice, purposes, given_by, stored_at, expires_at } = dialog;
  const own = element("dl", { className: "facts" }, ...facts({
    Dialog: code(dialog_id),
    Customer: element("a", { href: filtered({ customer }) }, code(customer)),
    "Customer id": customer_id,
    Chatbot: bot && element("a", { href: filtered({ bot }) }, bot),
    Language: language,
    Purposes: purposes.join(", "),
    Notice: `${notice.id} (${notice.language}), agreed to by ${given_by === "self" ? "the customer" : "a representative"}`,
    Stored: time(stored_at),
    "Retained until": time(expires_at),
  }));
  if (!metadata) return [own];
  return [own, element("h3", {}, "Metadata"), element("dl", { className: "facts", dir: "auto" }, ...facts(metadata))];
}

/** Mark a message, and scroll to it within the panel alone. */
function point(message) {
  if (!message) return;
  message.closest("ol").querySelector("[aria-current]")?.removeAttribute("aria-current");
  message.setAttribute("aria-current", "true");
  const pane = message.closest("ol").parentElement;
  const top = message.getBoundingClientRect().top - pane.getBoundingClientRect().top;
  pane.scrollTop += top - (pane.clientHeight - message.offsetHeight) / 3;
}

/** What leads from hit to hit; nothing if there is none. */
function hits(said) {
  const found = [...said.querySelectorAll("li:has(mark)")];
  if (!found.length) return [];
  const place = element("span", { role: "status" }, `${found.length} matching`);
  const step = (by) => {
    const current = said.querySelector("[aria-current]");
    const at = found.indexOf(current);
    const next = at >= 0 ? at + by : by > 0 ? 0 : found.length - 1;
    const to = (next + found.length) % found.length;
    point(found[to]);
    place.textContent = `${to + 1} of ${found.length} matching`;
  };
  return [element("p", { className: "row hits" }, button("Previous match", () => step(-1)), button("Next match", () => step(1)), place)];
}

/** The messages as bubbles, with a line at the start of each day. */
function bubbles({ messages }, words) {
  let previous = "";
  const lines = messages.flatMap(({ seq, role, language, text, sent_at, received_at }) => {
    const at = sent_at ?? received_at;
    const today = day(new Date(at));
    const newDay = today === previous ? [] : [element("li", { className: "day quiet" }, time(at, day))];
    previous = today;
    return [...newDay, element("li", { data: { role, seq } },
      element("p", { className: "quiet" }, [`${seq} · ${role}`, language].filter(Boolean).join(", "), " · ", time(at, clock)),
      element("p", { className: "words", dir: "auto", lang: language ?? "" }, ...marked(text, words)))];
  });
  return element("ol", { className: "said", tabIndex: 0, ariaLabel: "Messages of the dialog" }, ...lines);
}
