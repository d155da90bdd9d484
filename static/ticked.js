/** Ticked: the rows of one list that the reader selected for an export. They stay selected when the filters change. */

import { element } from "./element.js";

export class Ticked {
  #items = new Map();
  #kind;
  #told;

  /**
   * @param {{key: (item: object) => string, name: (item: object) => string, most: number}} kind  what identifies a row,
   *   what it is called, and how many of them one export can have
   * @param {() => void} told  called when the selection changes
   */
  constructor(kind, told) {
    [this.#kind, this.#told] = [kind, told];
  }

  /** The keys of the rows, in the order in which they were selected. */
  get keys() {
    return [...this.#items.keys()];
  }

  get items() {
    return [...this.#items.values()];
  }

  get count() {
    return this.#items.size;
  }

  get isFull() {
    return this.#items.size >= this.#kind.most;
  }

  /** A check box for a row. */
  box(item) {
    const key = this.#kind.key(item);
    const box = element("input", { type: "checkbox", checked: this.#items.has(key), ariaLabel: `Select ${this.#kind.name(item)}` });
    box.addEventListener("click", (event) => event.stopPropagation()); // does not open the dialog
    box.addEventListener("change", () => {
      if (!box.checked) this.#items.delete(key);
      else if (!this.isFull) this.#items.set(key, item);
      box.checked = this.#items.has(key);
      this.#told();
    });
    return box;
  }

  /** Tick as many of these as fit. */
  add(items) {
    for (const item of items) if (!this.isFull) this.#items.set(this.#kind.key(item), item);
    this.#told();
  }

  clear() {
    this.#items.clear();
    this.#told();
  }
}
