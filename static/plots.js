/** The plots, each with its data as a table: for readers who cannot see the plot, with links that filter by a row. */

import { element } from "./element.js";
import { FIGURES } from "./figures.js";
import { SITE } from "./site.js";

const LIBRARY = `${SITE}/explore/plotly.min.js`;
/** Plotly inserts style elements with these ids, which the Content-Security-Policy forbids, unless such ids exist. */
const STYLE_IDS = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];
const COLOURS = ["--accent", "--edge", "--line"];
const paragraph = (text, className = "quiet") => element("p", { className }, text);

export class Plots {
  #rest;
  #figures;
  #query = null;
  #link;
  #request = null;
  #isVisible = false;

  /**
   * @param {HTMLElement} panel  contains the figures; requests are sent when it becomes visible
   * @param {import("./rest.js").RestClient} rest
   * @param {(filters: object) => string} link  returns the URL of the messages that a number counts
   */
  constructor(panel, rest, link) {
    this.#rest = rest;
    this.#link = link;
    this.#figures = FIGURES.map((figure) => ({ ...figure, place: element("figure", {}), counts: null }));
    panel.append(...this.#figures.map(({ place }) => place));
    new IntersectionObserver((entries) => {
      this.#isVisible = entries.at(-1).isIntersecting;
      this.#load();
    }).observe(panel);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
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
    if (!place.hasChildNodes()) place.append(caption(name), paragraph("Loading …"));
    try {
      figure.counts = figure.read(await this.#rest.json({ path: figure.path(query) }, signal));
      if (figure.counts.labels.length) await this.#draw(figure);
      else place.replaceChildren(caption(name), paragraph("No data: no dialog matches the filters."));
    } catch (error) {
      if (signal.aborted) return;
      figure.counts = null;
      place.replaceChildren(caption(name), paragraph(`${error.message} (${error.code ?? error.name})`, "failure"));
    }
    place.ariaBusy = "false";
  }

  async #draw({ name, head, place, counts }) {
    const drawing = element("div", { className: "drawing", role: "img", ariaLabel: `${name}; the data table follows` });
    const numbers = element("details", {}, element("summary", {}, "Data table"), table(head, counts, this.#link));
    place.replaceChildren(caption(name), drawing, numbers);
    try {
      const plotly = await library();
      const { traces, layout } = picture(counts, colours());
      await plotly.newPlot(drawing, traces, layout, { displayModeBar: false, responsive: true });
    } catch {
      drawing.remove(); // the table has the same data
      numbers.open = true;
    }
  }

  #redraw() {
    for (const figure of this.#figures) if (figure.counts?.labels.length) this.#draw(figure);
  }
}

const caption = (name) => element("figcaption", {}, element("h3", {}, name));

function table(head, { labels, series, rate, link }, address) {
  const names = [head, ...Object.keys(series), ...(rate ? ["rate"] : [])];
  const rows = labels.map((label, i) => {
    const filters = link?.(label);
    const numbers = Object.values(series).map((values) => element("td", { className: "number" }, values[i].toLocaleString()));
    if (rate) numbers.push(element("td", { className: "number" }, percent(rate[i])));
    return element("tr", {}, element("td", {}, filters ? element("a", { href: address(filters) }, label) : label), ...numbers);
  });
  const heads = names.map((name, i) => element("th", { scope: "col", className: i ? "number" : "" }, name));
  return element("div", { className: "numbers", tabIndex: 0, role: "region", ariaLabel: `Data by ${head.toLowerCase()}` },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
}

const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);

/** Bars, one colour per series; a rate is a line over them, with its own axis. */
function picture({ labels, series, rate }, { ink, quiet, line, bars }) {
  const isDated = labels.length > 7 && /^\d{4}-\d\d-\d\d$/.test(labels[0]);
  const names = Object.keys(series);
  const traces = names.map((name, i) => ({ type: "bar", name, x: labels, y: series[name], marker: { color: bars[i] } }));
  if (rate) traces.push({ type: "scatter", mode: "lines+markers", name: "rate", x: labels, y: rate, yaxis: "y2", line: { color: ink } });
  const most = Math.max(...labels.map((_, i) => names.reduce((sum, name) => sum + series[name][i], 0)));
  const axis = { color: quiet, gridcolor: line, linecolor: line, zerolinecolor: line, fixedrange: true, automargin: true };
  const layout = {
    height: 240,
    margin: { t: rate ? 32 : 8, r: 8, b: 32, l: 44 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { family: "system-ui, sans-serif", size: 12, color: quiet },
    barmode: "stack",
    bargap: 0.25,
    hovermode: "x unified",
    hoverlabel: { bgcolor: line, font: { color: ink } },
    showlegend: traces.length > 1,
    legend: { orientation: "h", y: 1.03, yanchor: "bottom", traceorder: "normal" },
    xaxis: { ...axis, type: isDated ? "date" : "category", showgrid: false },
    yaxis: { ...axis, rangemode: "tozero", tickformat: ",d", ...(most < 5 && { dtick: 1 }) },
    yaxis2: { ...axis, overlaying: "y", side: "right", range: [0, 1.05], dtick: 0.5, tickformat: ".0%", showgrid: false },
  };
  return { traces, layout };
}

/** The stylesheet's colours in the current colour scheme. */
function colours() {
  const probe = document.body.appendChild(element("span", { hidden: true }));
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { ink: colour("--ink"), quiet: colour("--quiet"), line: colour("--line"), bars: COLOURS.map(colour) };
  probe.remove();
  return found;
}

let loading = null;

/** Plotly, loaded once, when there is something to plot. */
function library() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(...STYLE_IDS.map((id) => element("meta", { id, className: "no-inline-styles" })));
    document.head.append(element("script", { src: LIBRARY, onload: () => resolve(window.Plotly), onerror: reject }));
  });
  return loading;
}
