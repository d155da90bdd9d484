/** The drawings of charts: upright bars, bars across, and lines. Each returns an `<svg>` and where its labels are. */

import { path, svg, text } from "./svg.js";
import { labelled, ticks } from "./ticks.js";

const HEIGHT = 240;
const LETTER = 7; // the usual width of a letter or digit, in pixels
const ROW = 26;
const LONGEST = 22; // characters of a label beside a bar
const percent = (share) => `${Math.round(share * 100)} %`;

/**
 * @typedef {{drawing: SVGElement, at: (x: number, y: number) => number, mark: (index: number) => object}} Drawn
 *   `at` returns the index of the label at a place, `mark` the rectangle that belongs to it
 */

/** Stacked bars, or lines, over an axis of labels; a rate is a line with an axis of its own. @returns {Drawn} */
export function upright({ labels, series, rate, partial = [], tick = String, form, x, y, format }, width) {
  const values = Object.values(series);
  const isLines = form === "lines";
  const sums = labels.map((_, i) => values.reduce((sum, each) => sum + (each[i] ?? 0), 0));
  const most = Math.max(0, ...(isLines ? values.flat().map(Number) : sums));
  const steps = ticks(most, 4, !isLines || !format);
  const numbers = steps.map((step) => (format ?? ((number) => number.toLocaleString("en-GB")))(step));
  const left = 28 + LETTER * Math.max(...numbers.map(({ length }) => length));
  const right = rate ? 62 : 12;
  const [top, bottom] = [10, HEIGHT - 44];
  const slot = (width - left - right) / labels.length;
  const middle = (i) => left + slot * (i + 0.5);
  const height = (number, highest) => bottom - ((bottom - top) * number) / highest;
  const level = (number) => height(number, steps.at(-1) || 1);

  const grid = steps.map((step, i) => svg("g", { class: "grid" },
    svg("line", { x1: left, x2: width - right, y1: level(step), y2: level(step) }),
    text(left - 6, level(step) + 4, numbers[i], "end")));
  const widest = LETTER * Math.max(...labels.map((label) => tick(label).length));
  const names = labelled(labels.length, slot, widest).map((i) => {
    const words = tick(labels[i]);
    return text(Math.min(middle(i), width - (LETTER * words.length) / 2), bottom + 18, words, "middle");
  });
  const titles = [text(left, HEIGHT - 4, x), turned(12, (top + bottom) / 2, y)];
  const shapes = isLines ? lines(values, middle, level) : stacks(values, { labels, partial, slot, left, level });
  if (rate) shapes.push(...rated(rate, middle, (share) => height(share, 1)), ...shares(width - right, (share) => height(share, 1)));
  if (rate) titles.push(turned(width - 8, (top + bottom) / 2, "rate"));
  const at = (px) => Math.min(labels.length - 1, Math.max(0, Math.floor((px - left) / slot)));
  const mark = (i) => ({ x: left + slot * i, y: top, width: slot, height: bottom - top });
  return { drawing: sheet(width, HEIGHT, ...grid, ...names, ...titles, ...shapes), at, mark };
}

/** One bar a row, for labels that are names; the number stands at its end. @returns {Drawn} */
export function across({ labels, series, x }, width) {
  const [values] = Object.values(series);
  const shown = labels.map((label) => (label.length > LONGEST ? `${label.slice(0, LONGEST - 1)}…` : label));
  const left = 12 + LETTER * Math.max(...shown.map(({ length }) => length));
  const room = width - left - 12 - LETTER * Math.max(...values.map((value) => value.toLocaleString("en-GB").length));
  const most = Math.max(1, ...values);
  const rows = labels.map((_, i) => {
    const [y, long] = [i * ROW, Math.max(1, (room * values[i]) / most)];
    return svg("g", {}, text(left - 8, y + 17, shown[i], "end"),
      svg("rect", { x: left, y: y + 4, width: long, height: ROW - 8, class: "bar s0", "data-index": i }),
      text(left + long + 6, y + 17, values[i].toLocaleString("en-GB")));
  });
  const end = labels.length * ROW;
  const at = (_, py) => Math.min(labels.length - 1, Math.max(0, Math.floor(py / ROW)));
  const mark = (i) => ({ x: 0, y: i * ROW, width, height: ROW });
  return { drawing: sheet(width, end + 24, ...rows, text(left, end + 18, x)), at, mark };
}

const sheet = (width, height, ...children) => svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, svg("rect", { class: "mark" }), ...children);

function turned(x, y, words) {
  return svg("text", { transform: `translate(${x} ${y}) rotate(-90)`, class: "middle" }, words);
}

/** Bars upon each other. Narrow ones touch, so that a year of days is still drawn. */
function stacks(values, { labels, partial, slot, left, level }) {
  const gap = slot > 5 ? slot * 0.2 : 0;
  return labels.flatMap((_, i) => {
    let below = 0;
    return values.flatMap((each, series) => {
      if (!each[i]) return [];
      const y = level((below += each[i]));
      const high = Math.max(1, level(below - each[i]) - y);
      const name = `bar s${series}${partial[i] ? " partial" : ""}`;
      return svg("rect", { x: left + slot * i + gap / 2, y, width: slot - gap, height: high, class: name, "data-index": i });
    });
  });
}

const lines = (values, middle, level) => values.map((each, series) => path(each.map((value, i) => [middle(i), value === null ? null : level(value)]), `line s${series}`));

/** A rate: a line where neighbours have one, and a point at each, so that one alone is seen too. */
function rated(rate, middle, height) {
  const points = rate.map((share, i) => [middle(i), share === null ? null : height(share)]);
  const dots = points.filter(([, y]) => y !== null).map(([cx, cy]) => svg("circle", { cx, cy, r: points.length > 120 ? 1 : 2.5, class: "dot" }));
  return [path(points, "line rate"), ...dots];
}

const shares = (x, height) => [0, 0.5, 1].map((share) => text(x + 6, height(share) + 4, percent(share)));
