/** Facets: the values that stored messages have, with how many messages have each, as links that filter by one. */

import { element } from "./element.js";
import { failed } from "./failed.js";
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
const quiet = (text) => element("p", { className: "quiet" }, text);

export class Facets {
  #panel;
  #rest;
  #link;
  #query = null; // what is still to be shown
  #request = null;
  #places;

  /**
   * @param {HTMLDetailsElement} panel  its last child has the lists; nothing is requested before it is open
   * @param {import("./rest.js").RestClient} rest
   * @param {(filters: object) => string} link  returns the URL with these filters changed
   */
  constructor(panel, rest, link) {
    [this.#panel, this.#rest, this.#link] = [panel, rest, link];
    this.#places = Object.entries(FACETS).map(([by, { name }]) => element("div", {}, titled(by, name), quiet("Loading …")));
    panel.lastElementChild.append(...this.#places);
    panel.addEventListener("toggle", () => this.#load());
  }

  /** Count the messages of a query, as soon as the panel is open. */
  show(query) {
    this.#request?.abort();
    this.#query = query;
    this.#load();
  }

  #load() {
    if (!this.#panel.open || !this.#query) return;
    const query = this.#query;
    this.#query = null;
    this.#request = new AbortController();
    for (const [at, by] of Object.keys(FACETS).entries()) this.#fill(this.#places[at], by, query, this.#request.signal);
  }

  /** Count by one of them. What its place shows stays until then, unless it is a failure. */
  async #fill(place, by, query, signal) {
    const { name } = FACETS[by];
    place.ariaBusy = "true";
    if (!place.querySelector("ul")) place.replaceChildren(titled(by, name), quiet("Loading …"));
    try {
      const { items } = await this.#rest.json({ path: query.counted(by) }, signal);
      if (signal.aborted) return;
      place.replaceChildren(titled(by, name), this.#list(by, items, query));
    } catch (error) {
      if (signal.aborted) return;
      place.replaceChildren(titled(by, name), ...failed(error, name, () => this.#fill(place, by, query, signal)));
    }
    place.ariaBusy = "false";
  }

  #list(by, items, query) {
    const shown = items.filter((item) => item[by]).sort(FACETS[by].order ?? byCount).slice(0, MOST);
    if (!shown.length) return quiet("none");
    const list = element("ul", {}, ...shown.map((item) => element("li", {}, this.#value(by, item, query))));
    list.setAttribute("aria-labelledby", `facet-${by}`);
    return list;
  }

  /** A value with its count. The one that is filtered by leads back to all. */
  #value(by, { [by]: value, messages }, query) {
    const { shown = String, filters: filtersOf = (it) => ({ [by]: it }) } = FACETS[by];
    const filters = filtersOf(value);
    const isOn = Object.entries(filters).every(([name, it]) => query.filters[name] === it);
    const off = Object.fromEntries(Object.keys(filters).map((name) => [name, ""]));
    const link = element("a", { href: this.#link(isOn ? off : filters) }, isOn ? `${shown(value)} ×` : shown(value));
    if (isOn) link.ariaCurrent = "true";
    return element("span", { className: "value" }, link, element("span", { className: "number" }, messages.toLocaleString("en-GB")));
  }
}

const titled = (by, name) => element("b", { id: `facet-${by}` }, name);
