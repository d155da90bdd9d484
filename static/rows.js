/** A table of any length: only visible rows are in the document, and more are fetched before they are needed. */

import { element } from "./element.js";

const MARGIN_ROWS = 12; // rows drawn above and below the visible ones
const SCREENS_AHEAD = 3; // screens fetched ahead

export class Rows {
  #pane;
  #body;
  #draw;
  #more;
  #items = [];
  #drawn = new Map();
  #above = spacer();
  #below = spacer();
  #active = 0; // the row whose link and check box are in the Tab order
  #isScheduled = false;

  /**
   * @param {HTMLElement} pane  the scrolling element with one table; its `--row` is the height of every row
   * @param {(item: object, index: number) => HTMLTableRowElement} draw  returns a row with one link
   * @param {() => void} more  called when the reader comes near the end
   */
  constructor(pane, draw, more) {
    this.#pane = pane;
    this.#body = pane.querySelector("tbody");
    this.#draw = draw;
    this.#more = more;
    pane.addEventListener("scroll", () => this.#schedule(), { passive: true });
    pane.addEventListener("keydown", (event) => this.#move(event));
    new ResizeObserver(() => this.#redraw()).observe(pane);
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
    for (const space of [this.#above, this.#below]) space.firstChild.colSpan = this.#pane.querySelectorAll("th").length;
    this.#body.replaceChildren(this.#above, this.#below);
    this.#layOut();
  }

  get items() {
    return this.#items;
  }

  /** Append the items of a page. */
  add(items) {
    this.#items.push(...items);
    this.#layOut();
  }

  /** Request more items if the end is near. */
  fetchAhead() {
    const left = this.#items.length * this.#height - this.#pane.scrollTop - this.#pane.clientHeight;
    if (left < SCREENS_AHEAD * this.#pane.clientHeight) this.#more();
  }

  #redraw() {
    for (const row of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.#layOut();
  }

  /** Redraw the visible rows, and keep the focus. */
  refresh() {
    const focused = this.#body.contains(document.activeElement);
    this.#redraw();
    if (focused) this.#drawn.get(this.#active)?.querySelector("a").focus({ preventScroll: true });
  }

  get #height() {
    return parseFloat(getComputedStyle(this.#pane).getPropertyValue("--row"));
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#layOut();
      this.fetchAhead();
    });
  }

  #layOut() {
    const height = this.#height;
    const first = Math.max(0, Math.floor(this.#pane.scrollTop / height) - MARGIN_ROWS);
    const end = Math.ceil((this.#pane.scrollTop + this.#pane.clientHeight) / height);
    const last = Math.min(this.#items.length, end + MARGIN_ROWS);
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
    const active = this.#drawn.get(this.#active) ?? this.#drawn.get(Math.min(first + MARGIN_ROWS, last - 1));
    if (active) this.#activate(Number(active.dataset.index));
  }

  #make(index) {
    const row = this.#draw(this.#items[index], index);
    row.dataset.index = index;
    row.ariaRowIndex = String(index + 2); // the header is row 1
    tabbable(row, false);
    this.#drawn.set(index, row);
    return row;
  }

  /** Put this row into the Tab order, instead of the previous one. */
  #activate(index) {
    tabbable(this.#drawn.get(this.#active), false);
    tabbable(this.#drawn.get(index), true);
    this.#active = index;
  }

  /** Move the focus with the arrow keys, Page Up, Page Down, Home and End. */
  #move(event) {
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
    this.#layOut();
    this.#activate(to);
    this.#drawn.get(to).querySelector("a").focus({ preventScroll: true });
    this.fetchAhead();
  }
}

function tabbable(row, isIn) {
  for (const inner of row?.querySelectorAll("a, input") ?? []) inner.tabIndex = isIn ? 0 : -1;
}

function spacer() {
  return element("tr", { className: "spacer", ariaHidden: "true" }, element("td", {}));
}
