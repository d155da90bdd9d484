/** One stored dialog: its messages, its consent and its receipt. */

import { count, element, facts } from "./element.js";
import { check, receiptOf } from "./receipt.js";
import { clock, day, time } from "./times.js";

const paragraph = (text, className = "") => element("p", { className }, text);
const code = (text) => element("code", {}, text);

export class Conversation {
  #panel;
  #rest;
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
    this.#show("empty", "none", paragraph("Select a message to see its dialog, its consent and its receipt.", "quiet"));
  }

  /** Fetch a dialog and show it. `filtered` returns the URL with a filter for a customer or chatbot. */
  async open(dialogId, filtered) {
    this.#request?.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#show("loading", "loading …", ...this.#panel.lastElementChild.childNodes);
    let dialog;
    try {
      dialog = await this.#rest.json({ path: `/v1/dialogs/${encodeURIComponent(dialogId)}` }, signal);
    } catch (error) {
      if (!signal.aborted) this.#showError(error, dialogId, filtered);
      return;
    }
    const receipt = receiptOf(dialog);
    this.#show("full", count(dialog.messages.length), ...summary(dialog, filtered), bubbles(dialog), receipt);
    this.#panel.lastElementChild.scrollTop = 0;
    const result = await check(dialog.receipt);
    if (!signal.aborted) receipt.firstChild.append(element("span", { className: "chip" }, result));
  }

  #showError({ status, message, code: name }, dialogId, filtered) {
    const which = element("p", { className: "quiet" }, "Dialog ", code(dialogId));
    if (status === 410) {
      this.#show("gone", "erased", paragraph("This dialog was erased."), paragraph("The customer withdrew the consent or requested " +
        "erasure, or the retention time expired. The dialog's key is destroyed. Delete the dialog from your copies, too."), which);
    } else if (status === 404) {
      this.#show("absent", "not found", paragraph("Dialog not found, or not accessible with your key."), which);
    } else {
      this.#show("error", "error", element("p", { className: "failure", role: "alert" }, `${message} (${name})`), which,
        element("button", { type: "button", onclick: () => this.open(dialogId, filtered) }, "Retry"));
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

/** The messages as bubbles, with a line at the start of each day. */
function bubbles({ messages }) {
  let previous = "";
  const lines = messages.flatMap(({ seq, role, language, text, sent_at, received_at }) => {
    const at = sent_at ?? received_at;
    const today = day(new Date(at));
    const newDay = today === previous ? [] : [element("li", { className: "day quiet" }, time(at, day))];
    previous = today;
    return [...newDay, element("li", { data: { role } },
      element("p", { className: "quiet" }, [`${seq} · ${role}`, language].filter(Boolean).join(", "), " · ", time(at, clock)),
      element("p", { className: "words", dir: "auto", lang: language ?? "" }, text))];
  });
  return element("ol", { className: "said", ariaLabel: "Messages of the dialog" }, ...lines);
}
