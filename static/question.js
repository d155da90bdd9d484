/** What is asked for: filters, as the form, the address and a request have them. */

export const FILTERS = ["language", "role", "since", "until", "bot", "purpose", "customer", "dialog_id", "order"];

const STATED = ["language", "bot", "purpose", "since", "until"]; // what the server's counts can be narrowed by
const DAY_MS = 86_400_000;

export class Question {
  /**
   * @param {Record<string, string>} filters  without the empty ones, and without what is the default
   * @param {string} q  words to look for; they go into no address, because addresses are logged
   */
  constructor(filters = {}, q = "") {
    const set = FILTERS.map((name) => [name, filters[name]]).filter(([name, value]) => value && !(name === "order" && value === "newest"));
    this.filters = Object.fromEntries(set);
    this.q = q;
  }

  /** @param {URLSearchParams} address */
  static at(address, q = "") {
    return new Question(Object.fromEntries(address), q);
  }

  /** The same question with one filter set, or taken out if the value is empty. */
  with(changes) {
    return new Question({ ...this.filters, ...changes }, this.q);
  }

  equals(other) {
    return this.q === other.q && this.address() === other.address();
  }

  /** The page's address: what may be shared. `show` names the dialog that is open beside it. */
  address(show = "") {
    return `?${new URLSearchParams({ ...this.filters, ...(show && { show }) })}`;
  }

  /** What to ask the server: a URL, and for a search a body. */
  asked(about = {}) {
    if (this.q) return { method: "POST", path: "/v1/messages/search", body: { ...this.filters, q: this.q, ...about } };
    const query = new URLSearchParams({ ...this.filters, ...about });
    return { method: "GET", path: `/v1/messages${query.size ? `?${query}` : ""}` };
  }

  /** The path to counts for the question, by days of UTC: what is counted in advance knows no smaller ones. */
  counted(by) {
    return `/v1/stats?${this.#narrowed({ by }, ["language", "bot", "purpose"])}`;
  }

  /** The path to how dialogs ended. */
  get ended() {
    return `/v1/stats/outcomes?${this.#narrowed({}, ["bot"])}`;
  }

  #narrowed(query, names) {
    const narrowed = new URLSearchParams(query);
    for (const name of names) if (this.filters[name]) narrowed.set(name, this.filters[name]);
    const { since, until } = this.filters;
    if (Date.parse(since)) narrowed.set("since", new Date(since).toISOString().slice(0, 10));
    if (Date.parse(until)) narrowed.set("until", new Date(Date.parse(until) + DAY_MS - 1).toISOString().slice(0, 10));
    return narrowed;
  }

  /** The filters that counts leave out. */
  get uncounted() {
    const left = Object.keys(this.filters).filter((name) => !STATED.includes(name) && name !== "order");
    return this.q ? ["words", ...left] : left;
  }
}

const two = (number) => String(number).padStart(2, "0");

/** A moment as `datetime-local` has it; empty if it is none. */
export function local(moment) {
  const at = new Date(moment ?? NaN);
  if (Number.isNaN(at.getTime())) return "";
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** What `datetime-local` has as RFC 3339, in UTC. */
export const exact = (value) => (value ? new Date(value).toISOString().replace(".000Z", "Z") : "");
