/** A chart: a drawing, and a legend that shows the totals, or the numbers of the label under the pointer. */

import { across, upright } from "./drawing.js";
import { element } from "./element.js";

const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);
const isNumber = (value) => value !== null && value !== undefined;

/**
 * @typedef {object} Data
 * @property {string[]} labels  in drawing order
 * @property {Record<string, (number|null)[]>} series  by name, with one number per label; null is a gap
 * @property {"bars"|"across"|"lines"} [form]  "across" draws the first series alone
 * @property {string} x  the title of the axis with the labels; across, of the one with the numbers
 * @property {string} [y]  the title of the axis with the numbers
 * @property {(number|null)[]} [rate]  a share from 0 to 1 per label, drawn as a line over the bars
 * @property {boolean[]} [partial]  by label: the number will still grow; drawn pale, with a dashed edge
 * @property {(label: string) => string} [tick]  how a label is written at its axis
 * @property {(number: number) => string} [format]  how a number is written
 */

export class Chart {
  #pick;
  #data = null;
  #drawn = null;
  #legend = element("p", { className: "legend", ariaHidden: "true" });
  #place = element("div", { className: "plot", role: "img" }, element("p", { className: "quiet" }, "Waiting for numbers …"));
  #width = 0;

  /** The chart as an element. Its drawing fits the element's width, also when that changes. */
  element = element("div", { className: "chart" }, this.#legend, this.#place);

  /**
   * @param {string} name  for those who cannot see the drawing; a table with the same numbers should follow
   * @param {(index: number) => void} [pick]  called with the label that was clicked
   */
  constructor(name, pick) {
    this.#place.ariaLabel = name; // from the start: the first data may be a while in coming
    this.#pick = pick;
    this.#place.classList.toggle("picks", Boolean(pick));
    this.#place.addEventListener("pointermove", (event) => this.#point(this.#at(event)));
    this.#place.addEventListener("pointerleave", () => this.#point(null));
    this.#place.addEventListener("click", (event) => this.#drawn && this.#pick?.(this.#at(event)));
    new ResizeObserver(([{ contentRect }]) => this.#fit(Math.floor(contentRect.width))).observe(this.#place);
  }

  /** Draw the data in place of what was drawn before. @param {Data} data */
  show(data) {
    this.#data = data;
    if (this.#width) this.#draw();
  }

  #fit(width) {
    if (width === this.#width || !width) return;
    this.#width = width;
    if (this.#data) this.#draw();
  }

  #draw() {
    this.#drawn = (this.#data.form === "across" ? across : upright)(this.#data, this.#width);
    this.#place.replaceChildren(this.#drawn.drawing);
    this.#point(null);
  }

  #at(event) {
    const { left, top } = this.#place.getBoundingClientRect();
    return this.#drawn.at(event.clientX - left, event.clientY - top);
  }

  /** Mark a label and write its numbers; with null, the totals. */
  #point(index) {
    if (!this.#drawn) return;
    const mark = this.#drawn.drawing.querySelector(".mark");
    mark.toggleAttribute("hidden", index === null);
    if (index !== null) for (const [name, value] of Object.entries(this.#drawn.mark(index))) mark.setAttribute(name, value);
    this.#legend.replaceChildren(...legend(this.#data, index));
  }
}

function legend({ labels, series, rate, form, partial = [], format = (number) => number.toLocaleString("en-GB") }, index) {
  const at = (values) => (index !== null ? values[index] : form === "lines" ? values.findLast(isNumber) : values.reduce((sum, value) => sum + (value ?? 0), 0));
  const entries = Object.entries(series).map(([name, values], i) => {
    const value = at(values);
    return entry(`s${i}`, name, isNumber(value) ? format(value) : "–");
  });
  if (rate) entries.push(entry("rate", "rate", index === null ? "" : percent(rate[index])));
  const label = index === null ? "" : `${labels[index]}${partial[index] ? ", not over" : ""}`;
  return [element("b", {}, label), ...entries];
}

const entry = (kind, name, value) => element("span", {}, element("i", { className: `key ${kind}` }), `${name} `, element("b", {}, value));
