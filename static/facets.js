/** Facets: the values that stored messages have, with how many messages have each, as links that filter by one. */

import { element } from "./element.js";
import { ofDay } from "./figures.js";
import { dayOf } from "./times.js";

const MOST = 8; // values of each facet: the most frequent ones, and of days the last ones
const FACETS = {
  language: { name: "Language" },
  role: { name: "Role" },
  bot: { name: "Chatbot" },
  purpose: { name: "Purpose" },
  day: { name: "Day (UTC)", shown: dayOf, filters: ofDay, order: (one, other) => (one.day < other.day ? 1 : -1) },
};
const byCount = (one, other) => other.messages - one.messages;
const paragraph = (text, className = "quiet") => element("p", { className }, text);

export class Facets {
  #panel;
  #rest;
  #link;
  #query = null; // what is still to be shown
  #request = null;

  /**
   * @param {HTMLDetailsElement} panel  its last child has the lists; nothing is requested before it is open
   * @param {import("./rest.js").RestClient} rest
   * @param {(filters: object) => string} link  returns the URL with these filters changed
   */
  constructor(panel, rest, link) {
    [this.#panel, this.#rest, this.#link] = [panel, rest, link];
    panel.addEventListener("toggle", () => this.#load());
  }

  /** Count the messages of a query, as soon as the panel is open. */
  show(query) {
    this.#request?.abort();
    this.#query = query;
    this.#load();
  }

  async #load() {
    if (!this.#panel.open || !this.#query) return;
    const query = this.#query;
    this.#query = null;
    this.#request = new AbortController();
    const { signal } = this.#request;
    const lists = await Promise.all(Object.keys(FACETS).map((by) => this.#list(by, query, signal)));
    if (!signal.aborted) this.#panel.lastElementChild.replaceChildren(...lists);
  }

  async #list(by, query, signal) {
    const { name, order = byCount } = FACETS[by];
    const title = element("b", { id: `facet-${by}` }, name);
    try {
      const { items } = await this.#rest.json({ path: query.counted(by) }, signal);
      const shown = items.filter((item) => item[by]).sort(order).slice(0, MOST);
      const rows = shown.map((item) => element("li", {}, this.#value(by, item, query)));
      const list = element("ul", {}, ...rows);
      list.setAttribute("aria-labelledby", title.id);
      return element("div", {}, title, rows.length ? list : paragraph("none"));
    } catch (error) {
      return element("div", {}, title, paragraph(error.message, "failure"));
    }
  }

  /** A value with its count. The one that is filtered by leads back to all. */
  #value(by, { [by]: value, messages }, query) {
    const { shown = String, filters: filtersOf = (it) => ({ [by]: it }) } = FACETS[by];
    const filters = filtersOf(value);
    const isOn = Object.entries(filters).every(([name, it]) => query.filters[name] === it);
    const off = Object.fromEntries(Object.keys(filters).map((name) => [name, ""]));
    const link = element("a", { href: this.#link(isOn ? off : filters) }, isOn ? `${shown(value)} ×` : shown(value));
    if (isOn) link.ariaCurrent = "true";
    return element("span", { className: "value" }, link, element("span", { className: "number" }, messages.toLocaleString()));
  }
}
