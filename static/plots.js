/** The plots, each with its data as a table: for readers who cannot see the plot, with links that filter by a row. */

import { element } from "./element.js";
import { failed } from "./failed.js";
import { FIGURES } from "./figures.js";
import { Refused } from "./rest.js";

/** What draws is loaded with the first counts: many readers never scroll to the plots. */
const drawing = () => import("./chart.js").catch(() => {
  throw new Refused(0);
});
const quiet = (text) => element("p", { className: "quiet" }, text);

export class Plots {
  #rest;
  #figures;
  #query = null;
  #link;
  #go;
  #request = null;
  #isVisible = false;

  /**
   * @param {HTMLElement} panel  contains the figures; requests are sent when it becomes visible
   * @param {import("./rest.js").RestClient} rest
   * @param {(filters: object) => string} link  returns the URL of the messages that a number counts
   * @param {(url: string) => void} go  shows the messages of a URL
   */
  constructor(panel, rest, link, go) {
    this.#rest = rest;
    this.#link = link;
    this.#go = go;
    this.#figures = FIGURES.map((figure) => ({ ...figure, place: element("figure", {}) }));
    panel.append(...this.#figures.map(({ place }) => place));
    new IntersectionObserver((entries) => {
      this.#isVisible = entries.at(-1).isIntersecting;
      this.#load();
    }).observe(panel);
  }

  /** Plot the counts of a query, as soon as the panel is visible. */
  show(query) {
    this.#request?.abort();
    this.#query = query;
    this.#load();
  }

  #load() {
    if (!this.#isVisible || !this.#query) return;
    const query = this.#query;
    this.#query = null;
    this.#request = new AbortController();
    for (const figure of this.#figures) this.#plot(figure, query, this.#request.signal);
  }

  async #plot(figure, query, signal) {
    const { name, place } = figure;
    place.ariaBusy = "true";
    if (!place.querySelector("svg")) place.replaceChildren(caption(name), quiet("Loading …"));
    try {
      const [answer, { Chart }] = await Promise.all([this.#rest.json({ path: figure.path(query) }, signal), drawing()]);
      if (signal.aborted) return;
      const counts = figure.read(answer);
      if (counts.labels.length) this.#draw(Chart, figure, counts);
      else place.replaceChildren(caption(name), quiet("No data: no dialog matches the filters."));
    } catch (error) {
      if (signal.aborted) return;
      place.replaceChildren(caption(name), ...failed(error, name, () => this.#plot(figure, query, signal)));
    }
    place.ariaBusy = "false";
  }

  #draw(Chart, { name, head, place }, counts) {
    const numbers = element("details", {}, element("summary", {}, "Data table"), table(head, counts, this.#link));
    const chart = new Chart(`${name}; the data table follows`, counts.link && ((index) => this.#pick(counts, index)));
    place.replaceChildren(caption(name), chart.element, numbers);
    chart.show(counts);
  }

  #pick({ labels, link }, index) {
    const filters = link(labels[index]);
    if (filters) this.#go(this.#link(filters));
  }
}

const caption = (name) => element("figcaption", {}, element("h3", {}, name));

function table(head, { labels, series, rate, link }, address) {
  const names = [head, ...Object.keys(series), ...(rate ? ["rate"] : [])];
  const rows = labels.map((label, i) => {
    const filters = link?.(label);
    const numbers = Object.values(series).map((values) => element("td", { className: "number" }, values[i].toLocaleString("en-GB")));
    if (rate) numbers.push(element("td", { className: "number" }, percent(rate[i])));
    return element("tr", {}, element("td", {}, filters ? element("a", { href: address(filters) }, label) : label), ...numbers);
  });
  const heads = names.map((name, i) => element("th", { scope: "col", className: i ? "number" : "" }, name));
  return element("div", { className: "numbers", tabIndex: 0, role: "region", ariaLabel: `Data by ${head.toLowerCase()}` },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
}

const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);
