/** Ticked: the dialogs that the reader selected for an export. */

import { element } from "./element.js";

const MOST = 1000; // that one request can name

export class Ticked {
  #ids = new Set();
  #told;

  /** @param {(count: number, isFull: boolean) => void} told  called when it changes */
  constructor(told) {
    this.#told = told;
  }

  get ids() {
    return [...this.#ids];
  }

  /** A check box for a dialog. */
  box({ dialog_id }) {
    const box = element("input", { type: "checkbox", checked: this.#ids.has(dialog_id), ariaLabel: `Select dialog ${dialog_id}` });
    box.addEventListener("click", (event) => event.stopPropagation()); // does not open the dialog
    box.addEventListener("change", () => {
      if (!box.checked) this.#ids.delete(dialog_id);
      else if (this.#ids.size < MOST) this.#ids.add(dialog_id);
      box.checked = this.#ids.has(dialog_id);
      this.#tell();
    });
    return box;
  }

  /** Tick as many of these as fit. */
  add(ids) {
    for (const id of ids) if (this.#ids.size < MOST) this.#ids.add(id);
    this.#tell();
  }

  clear() {
    this.#ids.clear();
    this.#tell();
  }

  #tell() {
    this.#told(this.#ids.size, this.#ids.size >= MOST);
  }
}
