/** A query: the filters of the form, of the page's URL and of requests. */

export const FILTERS = ["language", "role", "since", "until", "bot", "purpose", "customer", "dialog_id", "label", "review", "order", "seed"];
export const VIEWS = ["messages", "dialogs"];

const COUNTED = ["language", "bot", "purpose", "since", "until"]; // the filters that the server's counters have
const DAY_MS = 86_400_000;
const OF_DIALOGS = ["longest", "shortest", "random"]; // orders that messages do not have

export class Query {
  /**
   * @param {Record<string, string>} filters  empty and default values are removed; `view` is one of `VIEWS`
   * @param {{q?: string, metadata?: string}} words  a text to search for, and `key=value` of the metadata; never in a
   *   URL, because URLs are logged
   */
  constructor(filters = {}, { q = "", metadata = "" } = {}) {
    this.view = filters.view === "dialogs" ? "dialogs" : "messages";
    const isSet = ([name, value]) => value && !(name === "order" && (value === "newest" || (this.view === "messages" && OF_DIALOGS.includes(value))));
    const set = Object.fromEntries(FILTERS.map((name) => [name, filters[name]]).filter(isSet));
    if (set.order !== "random") delete set.seed;
    this.filters = set;
    this.q = q;
    this.metadata = metadata;
  }

  /** @param {URLSearchParams} parameters */
  static from(parameters, words) {
    return new Query(Object.fromEntries(parameters), words);
  }

  /** What is searched for, which is in the history's state instead of the URL. */
  get words() {
    return { q: this.q, metadata: this.metadata };
  }

  get isFiltered() {
    return Boolean(Object.keys(this.filters).some((name) => name !== "order" && name !== "seed") || this.q || this.metadata);
  }

  /** A query with these filters changed; an empty value removes a filter. */
  with(changes) {
    return new Query({ ...this.filters, view: this.view, ...changes }, this.words);
  }

  equals(other) {
    return this.q === other.q && this.metadata === other.metadata && this.url() === other.url();
  }

  /** The page's URL, which can be shared. `show` is the id of the dialog that is open, `seq` the message marked in it. */
  url(show = "", seq = 0) {
    const view = this.view === "dialogs" ? { view: "dialogs" } : {};
    return `?${new URLSearchParams({ ...view, ...this.filters, ...(show && { show }), ...(show && seq && { seq }) })}`;
  }

  /** The request for a page of the view. */
  page(parameters) {
    if (this.view === "messages") return this.exported(parameters);
    return this.#request("/v1/dialogs", "/v1/dialogs:search", { ...this.filters, ...parameters });
  }

  /** The request for messages: all that match, in an order that they have; or those of some dialogs. */
  exported(parameters = {}, dialogIds = []) {
    return this.#request("/v1/messages", "/v1/messages/search", dialogIds.length ? { dialog_ids: dialogIds, ...parameters } : { ...this.ofMessages, ...parameters }, dialogIds.length);
  }

  /** The filters that messages have. */
  get ofMessages() {
    const { seed, order, ...filters } = this.filters;
    return order && !OF_DIALOGS.includes(order) ? { ...filters, order } : filters;
  }

  /** The metadata to search for, as an object; null if there is none. */
  get pairs() {
    const at = this.metadata.indexOf("=");
    return at > 0 ? { [this.metadata.slice(0, at).trim()]: this.metadata.slice(at + 1).trim() } : null;
  }

  #request(path, search, parameters, isNamed = false) {
    if (isNamed) return { method: "POST", path: search, body: parameters };
    const words = { ...(this.q && { q: this.q }), ...(this.pairs && { metadata: this.pairs }) };
    if (Object.keys(words).length) {
      const { seed, ...others } = parameters;
      return { method: "POST", path: search, body: { ...others, ...(seed && { seed: Number(seed) }), ...words } };
    }
    const query = new URLSearchParams(parameters);
    return { method: "GET", path: `${path}${query.size ? `?${query}` : ""}` };
  }

  /** The path of the counts, by day in UTC: the server's counters have no smaller unit. */
  counted(by) {
    return `/v1/stats?${this.#countFilters({ by }, ["language", "bot", "purpose"])}`;
  }

  /**
   * How many rows the list has, from the counts by role; null if no counter knows. The language and role of a dialog
   * are those of any of its messages, which nobody counts.
   */
  total({ items, totals }) {
    const { role, language, since, until } = this.filters;
    const isOfDays = [since, until].every((time) => !time || Date.parse(time) % DAY_MS === 0);
    if (!isOfDays || this.uncounted.some((name) => name !== "role")) return null;
    if (this.view === "dialogs") return role || language ? null : totals.dialogs;
    return role ? items.find((item) => item.role === role)?.messages ?? 0 : totals.messages;
  }

  /** Whether a total is near the truth, but not it: the list goes by the time of receipt, the counters by the day of storing. */
  get isTotalRough() {
    return Boolean(this.filters.since || this.filters.until);
  }

  /** The path of the outcomes of dialogs. */
  get outcomes() {
    return `/v1/stats/outcomes?${this.#countFilters({}, ["bot"])}`;
  }

  #countFilters(query, names) {
    const parameters = new URLSearchParams(query);
    for (const name of names) if (this.filters[name]) parameters.set(name, this.filters[name]);
    const { since, until } = this.filters;
    if (Date.parse(since)) parameters.set("since", new Date(since).toISOString().slice(0, 10));
    if (Date.parse(until)) parameters.set("until", new Date(Date.parse(until) + DAY_MS - 1).toISOString().slice(0, 10));
    return parameters;
  }

  /** The filters that the counts ignore. */
  get uncounted() {
    const ignored = Object.keys(this.filters).filter((name) => !COUNTED.includes(name) && name !== "order" && name !== "seed");
    return [...(this.q ? ["text"] : []), ...(this.metadata ? ["metadata"] : []), ...ignored];
  }
}

const two = (number) => String(number).padStart(2, "0");

/** A time as the value of a `datetime-local` input; empty if it is invalid. */
export function local(moment) {
  const at = new Date(moment ?? NaN);
  if (Number.isNaN(at.getTime())) return "";
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The value of a `datetime-local` input as RFC 3339, in UTC. */
export const exact = (value) => (value ? new Date(value).toISOString().replace(".000Z", "Z") : "");
