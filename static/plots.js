/** The plots, and under each its numbers as a table: for those who do not see it, and for taking one as a filter. */

import { element } from "./element.js";
import { FIGURES } from "./figures.js";

const LIBRARY = "/explore/plotly.min.js";
/** Plotly and its maps write stylesheets into the page, which the policy forbids, unless there is something of these ids. */
const INSTEAD_OF_STYLES = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];
const COLOURS = ["--accent", "--edge", "--line"];
const paragraph = (text, className = "quiet") => element("p", { className }, text);

export class Plots {
  #door;
  #figures;
  #question = null;
  #link;
  #asking = null;
  #isSeen = false;

  /**
   * @param {HTMLElement} panel  with a place for the figures; nothing is asked before it is looked at
   * @param {import("./door.js").Door} door
   * @param {(filters: object) => string} link  makes the address of what a number counts
   */
  constructor(panel, door, link) {
    this.#door = door;
    this.#link = link;
    this.#figures = FIGURES.map((figure) => ({ ...figure, place: element("figure", {}), counts: null }));
    panel.append(...this.#figures.map(({ place }) => place));
    new IntersectionObserver((entries) => {
      this.#isSeen = entries.at(-1).isIntersecting;
      this.#ask();
    }).observe(panel);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
  }

  /** Plot what fits the question, when it is looked at. */
  show(question) {
    this.#asking?.abort();
    this.#question = question;
    this.#ask();
  }

  #ask() {
    if (!this.#isSeen || !this.#question) return;
    const question = this.#question;
    this.#question = null;
    this.#asking = new AbortController();
    for (const figure of this.#figures) this.#plot(figure, question, this.#asking.signal);
  }

  async #plot(figure, question, signal) {
    const { name, place } = figure;
    place.ariaBusy = "true";
    if (!place.hasChildNodes()) place.append(caption(name), paragraph("Counting …"));
    try {
      figure.counts = figure.read(await this.#door.json({ path: figure.path(question) }, signal));
      if (figure.counts.labels.length) await this.#draw(figure);
      else place.replaceChildren(caption(name), paragraph("Nothing to plot: no dialog fits."));
    } catch (error) {
      if (signal.aborted) return;
      figure.counts = null;
      place.replaceChildren(caption(name), paragraph(`${error.message} (${error.code ?? error.name})`, "failure"));
    }
    place.ariaBusy = "false";
  }

  async #draw({ name, head, place, counts }) {
    const drawing = element("div", { className: "drawing", role: "img", ariaLabel: `${name}; the numbers are below` });
    const numbers = element("details", {}, element("summary", {}, "The numbers"), table(head, counts, this.#link));
    place.replaceChildren(caption(name), drawing, numbers);
    try {
      const plotly = await library();
      const { traces, layout } = picture(counts, colours());
      await plotly.newPlot(drawing, traces, layout, { displayModeBar: false, responsive: true });
    } catch {
      drawing.remove(); // the numbers say the same
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
  return element("div", { className: "numbers", tabIndex: 0, role: "region", ariaLabel: `${head}: the numbers` },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
}

const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);

/** Bars, one colour for each series; a rate is a line over them, with an axis of its own. */
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

/** The stylesheet's colours, as they are in the present scheme. */
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

/** Plotly, fetched once, and only when there is something to plot. */
function library() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(...INSTEAD_OF_STYLES.map((id) => element("meta", { id, className: "no-inline-styles" })));
    document.head.append(element("script", { src: LIBRARY, onload: () => resolve(window.Plotly), onerror: reject }));
  });
  return loading;
}
