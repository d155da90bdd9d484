/** A section of a page: its state, its chip and its body; and tables that a keyboard can scroll. */

import { button, byId, element } from "./element.js";

/** Statuses of responses to a key that is missing, or may not do this. */
export const REFUSED = [401, 403];

const NO_KEY = "Enter your API key at the top of this page. Whoever runs this service gives you one.";

export class Panel {
  #running = null; // aborted by newer work, whose result it must not replace

  constructor(id) {
    this.section = byId(id);
    this.chip = this.section.querySelector(".head .chip");
    this.body = this.section.querySelector(".body");
  }

  /** Show a state: `loading`, `full`, `empty`, `error`; what the chip says; and the body, unless it stays. */
  show(state, text, ...nodes) {
    this.section.dataset.state = state;
    this.section.ariaBusy = String(state === "loading");
    this.chip.textContent = text;
    this.chip.hidden = !text;
    if (nodes.length) this.body.replaceChildren(...nodes);
  }

  /**
   * Run some work and show what it fails with, beside a button that runs it again. What it threw is returned.
   *
   * @param {(signal: AbortSignal) => Promise<void>} work  sends its requests with the signal, which newer work aborts
   */
  async attempt(work) {
    this.#running?.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    this.show("loading", "loading …");
    try {
      await work(signal);
      return null;
    } catch (error) {
      if (signal.aborted) return null;
      const name = error.code ?? error.name;
      if (error.status === 401) this.section.dispatchEvent(new CustomEvent("refused", { bubbles: true, detail: error }));
      if (error.status === 401) this.show("error", "no access", empty(NO_KEY));
      else if (error.status === 403) this.show("error", name, empty(`${error.message}.`)); // a retry would be refused, too
      else this.show("error", name, failure(`${error.message} (${name})`), button("Retry", () => this.attempt(work)));
      return error;
    }
  }
}

export const failure = (text) => element("p", { className: "failure", role: "alert" }, text);

export const empty = (...nodes) => element("div", { className: "empty" }, ...nodes);

/**
 * @param {string} label  the table's name for screen readers
 * @param {string[]} heads  the columns; one that begins with `#` is of numbers
 * @param {(Node | string)[][]} rows
 */
export function table(label, heads, rows) {
  const isNumber = heads.map((head) => head.startsWith("#"));
  const body = element("tbody", {}, ...rows.map((cells) => tableRow(cells, isNumber)));
  const head = element("tr", {}, ...heads.map((text, at) =>
    element("th", { scope: "col", className: isNumber[at] ? "number" : "" }, text.replace("#", ""))));
  return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: label },
    element("table", {}, element("thead", {}, head), body));
}

function tableRow(cells, isNumber) {
  return element("tr", {}, ...cells.map((cell, at) =>
    element("td", { className: isNumber[at] ? "number" : "" }, typeof cell === "number" ? cell.toLocaleString("en-GB") : cell)));
}
