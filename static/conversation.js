/** One kept dialog, whole: what was said, as it was said, and what proves that it may be kept. */

import { count, element, facts, time } from "./element.js";
import { check, receiptOf } from "./receipt.js";

const EXACT = { dateStyle: "medium", timeStyle: "medium" };
const DAY = { dateStyle: "full" };
const paragraph = (text, className = "") => element("p", { className }, text);
const code = (text) => element("code", {}, text);

export class Conversation {
  #panel;
  #door;
  #asking = null; // an answer that comes late is not shown over a newer one

  /**
   * @param {HTMLElement} panel  with a chip for its state, and a body last
   * @param {import("./door.js").Door} door
   */
  constructor(panel, door) {
    this.#panel = panel;
    this.#door = door;
  }

  close() {
    this.#asking?.abort();
    this.#show("empty", "none", paragraph("Pick a message, and the whole dialog shows here: what was said before and after, " +
      "what the customer agreed to, and the receipt.", "quiet"));
  }

  /** Ask for a dialog and show it. `filtered` makes the address of all messages of a customer or chatbot. */
  async open(dialogId, filtered) {
    this.#asking?.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.#show("loading", "asking …", ...this.#panel.lastElementChild.childNodes);
    let dialog;
    try {
      dialog = await this.#door.json({ path: `/v1/dialogs/${encodeURIComponent(dialogId)}` }, signal);
    } catch (error) {
      if (!signal.aborted) this.#tell(error, dialogId, filtered);
      return;
    }
    const receipt = receiptOf(dialog);
    this.#show("full", count(dialog.messages.length), ...about(dialog, filtered), said(dialog), receipt);
    this.#panel.lastElementChild.scrollTop = 0;
    const verdict = await check(dialog.receipt);
    if (!signal.aborted) receipt.firstChild.append(element("span", { className: "chip" }, verdict));
  }

  #tell({ status, message, code: name }, dialogId, filtered) {
    const which = element("p", { className: "quiet" }, "Dialog ", code(dialogId));
    if (status === 410) {
      this.#show("gone", "erased", paragraph("This dialog was erased."), paragraph("The customer took the consent back, asked for " +
        "erasure, or its time was over. Its key is destroyed, so nobody can read it any more. Take it out of your copies, too."), which);
    } else if (status === 404) {
      this.#show("absent", "not here", paragraph("There is no such dialog, or your key may not read it."), which);
    } else {
      this.#show("error", "cannot tell", element("p", { className: "failure", role: "alert" }, `${message} (${name})`), which,
        element("button", { type: "button", onclick: () => this.open(dialogId, filtered) }, "Ask again"));
    }
  }

  #show(state, chip, ...children) {
    this.#panel.dataset.state = state;
    this.#panel.ariaBusy = String(state === "loading");
    this.#panel.querySelector(".chip").textContent = chip;
    this.#panel.lastElementChild.replaceChildren(...children);
  }
}

function about(dialog, filtered) {
  const { dialog_id, customer, customer_id, bot, language, metadata, notice, purposes, given_by, stored_at, expires_at } = dialog;
  const own = element("dl", { className: "facts" }, ...facts({
    Dialog: code(dialog_id),
    Customer: element("a", { href: filtered({ customer }) }, code(customer)),
    "Customer id": customer_id,
    Chatbot: bot && element("a", { href: filtered({ bot }) }, bot),
    Language: language,
    Purposes: purposes.join(", "),
    Notice: `${notice.id} (${notice.language}), agreed to by ${given_by === "self" ? "the customer" : "a representative"}`,
    Stored: time(stored_at, EXACT),
    "Kept until": time(expires_at, EXACT),
  }));
  if (!metadata) return [own];
  return [own, element("h3", {}, "Metadata"), element("dl", { className: "facts", dir: "auto" }, ...facts(metadata))];
}

/** Bubbles, with a line where a new day begins. */
function said({ messages }) {
  let before = "";
  const lines = messages.flatMap(({ seq, role, language, text, sent_at, received_at }) => {
    const at = sent_at ?? received_at;
    const day = new Date(at).toDateString();
    const begins = day === before ? [] : [element("li", { className: "day quiet" }, time(at, DAY))];
    before = day;
    return [...begins, element("li", { data: { role } },
      element("p", { className: "quiet" }, [`${seq} · ${role}`, language].filter(Boolean).join(", "), " · ", time(at)),
      element("p", { className: "words", dir: "auto", lang: language ?? "" }, text))];
  });
  return element("ol", { className: "said", ariaLabel: "What was said" }, ...lines);
}
