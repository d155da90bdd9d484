/** A query: the filters of the form, of the page's URL and of requests. */

export const FILTERS = ["language", "role", "since", "until", "bot", "purpose", "customer", "dialog_id", "label", "review", "order"];

const COUNTED = ["language", "bot", "purpose", "since", "until"]; // the filters that the server's counters have
const DAY_MS = 86_400_000;

export class Query {
  /**
   * @param {Record<string, string>} filters  empty and default values are removed
   * @param {string} q  text to search for; never in a URL, because URLs are logged
   */
  constructor(filters = {}, q = "") {
    const set = FILTERS.map((name) => [name, filters[name]]).filter(([name, value]) => value && !(name === "order" && value === "newest"));
    this.filters = Object.fromEntries(set);
    this.q = q;
  }

  /** @param {URLSearchParams} parameters */
  static from(parameters, q = "") {
    return new Query(Object.fromEntries(parameters), q);
  }

  /** A query with these filters changed; an empty value removes a filter. */
  with(changes) {
    return new Query({ ...this.filters, ...changes }, this.q);
  }

  equals(other) {
    return this.q === other.q && this.url() === other.url();
  }

  /** The page's URL, which can be shared. `show` is the id of the dialog that is open, `seq` the message marked in it. */
  url(show = "", seq = 0) {
    return `?${new URLSearchParams({ ...this.filters, ...(show && { show }), ...(show && seq && { seq }) })}`;
  }

  /** The request for the messages; a text search has a body. */
  request(parameters = {}) {
    if (this.q) return { method: "POST", path: "/v1/messages/search", body: { ...this.filters, q: this.q, ...parameters } };
    const query = new URLSearchParams({ ...this.filters, ...parameters });
    return { method: "GET", path: `/v1/messages${query.size ? `?${query}` : ""}` };
  }

  /** The path of the counts, by day in UTC: the server's counters have no smaller unit. */
  counted(by) {
    return `/v1/stats?${this.#countFilters({ by }, ["language", "bot", "purpose"])}`;
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
    const ignored = Object.keys(this.filters).filter((name) => !COUNTED.includes(name) && name !== "order");
    return this.q ? ["text", ...ignored] : ignored;
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
