/** A table of any length: only the rows in sight are in the document, and more are fetched before they are needed. */

import { element } from "./element.js";

const BEYOND = 12; // rows drawn above and below what is seen
const SCREENS_AHEAD = 3; // and fetched ahead

export class Rows {
  #pane;
  #body;
  #draw;
  #more;
  #items = [];
  #drawn = new Map();
  #above = spacer();
  #below = spacer();
  #active = 0; // the row that Tab reaches
  #waits = false;

  /**
   * @param {HTMLElement} pane  scrolls; it holds one table, and its `--row` is how high every row is
   * @param {(item: object, index: number) => HTMLTableRowElement} draw  a row with one link
   * @param {() => void} more  called when the end comes near
   */
  constructor(pane, draw, more) {
    this.#pane = pane;
    this.#body = pane.querySelector("tbody");
    this.#draw = draw;
    this.#more = more;
    pane.addEventListener("scroll", () => this.#soon(), { passive: true });
    pane.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(() => this.#again()).observe(pane);
    this.clear();
  }

  get count() {
    return this.#items.length;
  }

  clear() {
    this.#items = [];
    this.#drawn.clear();
    this.#active = 0;
    this.#pane.scrollTop = 0;
    this.#body.replaceChildren(this.#above, this.#below);
    this.#lay();
  }

  /** Add a page's items at the end. */
  add(items) {
    this.#items.push(...items);
    this.#lay();
  }

  /** Look again whether the end is near. */
  look() {
    const left = this.#items.length * this.#height - this.#pane.scrollTop - this.#pane.clientHeight;
    if (left < SCREENS_AHEAD * this.#pane.clientHeight) this.#more();
  }

  /** Draw what is in sight anew. */
  #again() {
    for (const row of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.#lay();
  }

  refresh() {
    const focused = this.#body.contains(document.activeElement);
    this.#again();
    if (focused) this.#drawn.get(this.#active)?.querySelector("a").focus({ preventScroll: true });
  }

  get #height() {
    return parseFloat(getComputedStyle(this.#pane).getPropertyValue("--row"));
  }

  #soon() {
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() => {
      this.#waits = false;
      this.#lay();
      this.look();
    });
  }

  #lay() {
    const height = this.#height;
    const first = Math.max(0, Math.floor(this.#pane.scrollTop / height) - BEYOND);
    const last = Math.min(this.#items.length, Math.ceil((this.#pane.scrollTop + this.#pane.clientHeight) / height) + BEYOND);
    for (const [index, row] of this.#drawn) {
      if (index >= first && index < last) continue;
      row.remove();
      this.#drawn.delete(index);
    }
    let before = this.#above;
    for (let index = first; index < last; index++) {
      const row = this.#drawn.get(index) ?? this.#make(index);
      if (before.nextSibling !== row) before.after(row);
      before = row;
    }
    this.#above.style.height = `${first * height}px`;
    this.#below.style.height = `${(this.#items.length - last) * height}px`;
    const reached = this.#drawn.get(this.#active) ?? this.#drawn.get(Math.min(first + BEYOND, last - 1));
    if (reached) this.#reach(Number(reached.dataset.index));
  }

  #make(index) {
    const row = this.#draw(this.#items[index], index);
    row.dataset.index = index;
    row.ariaRowIndex = String(index + 2); // the head is the first
    row.querySelector("a").tabIndex = -1;
    this.#drawn.set(index, row);
    return row;
  }

  /** Let Tab reach this row's link, and no other. */
  #reach(index) {
    const link = (at) => this.#drawn.get(at)?.querySelector("a");
    const [was, is] = [link(this.#active), link(index)];
    if (was) was.tabIndex = -1;
    if (is) is.tabIndex = 0;
    this.#active = index;
  }

  /** Go from row to row with the arrows, by a screen, or to an end. */
  #step(event) {
    const screen = Math.max(1, Math.floor(this.#pane.clientHeight / this.#height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: screen, PageUp: -screen, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || !this.#body.contains(event.target)) return;
    event.preventDefault();
    const from = Number(event.target.closest("tr").dataset.index);
    const to = Math.max(0, Math.min(this.#items.length - 1, from + steps[event.key]));
    const top = to * this.#height;
    const head = this.#pane.querySelector("thead").offsetHeight;
    const room = this.#pane.clientHeight - head - this.#height;
    if (top < this.#pane.scrollTop) this.#pane.scrollTop = top;
    else if (top > this.#pane.scrollTop + room) this.#pane.scrollTop = top - room;
    this.#lay();
    this.#reach(to);
    this.#drawn.get(to).querySelector("a").focus({ preventScroll: true });
    this.look();
  }
}

function spacer() {
  return element("tr", { className: "spacer", ariaHidden: "true" }, element("td", { colSpan: 5 }));
}
