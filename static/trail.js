/** The access log: its entries, its head, and whose data a credential saw (GDPR art. 33). */

import { saveFile } from "./files.js";
import { button, byId, element, on } from "./element.js";
import { empty, Panel, table } from "./panel.js";
import { many } from "./quantities.js";
import { time } from "./times.js";

const PAGE = 50;
const ALL = 1000;
const exact = (id) => (byId(id).value ? new Date(byId(id).value).toISOString() : undefined);

export class Trail {
  constructor(rest) {
    this.rest = rest;
    this.panel = new Panel("log");
    on("tracing", "submit", () => this.load());
    on("saw", "click", () => this.saw());
  }

  /** The filters of the form that were given. */
  get filters() {
    const given = { who: byId("log-who").value.trim(), since: exact("log-since"), until: exact("log-until") };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
  }

  load() {
    return this.panel.attempt(async (signal) => {
      this.items = [];
      await this.more(signal);
    });
  }

  async more(signal, cursor) {
    const customer_id = byId("log-customer").value.trim();
    const wanted = { ...this.filters, limit: PAGE, ...(cursor && { cursor }) };
    const request = customer_id
      ? { method: "POST", path: "/v1/access-log/search", body: { ...wanted, customer_id } }
      : { path: `/v1/access-log?${new URLSearchParams(wanted)}` };
    const page = await this.rest.json(request, signal);
    this.items.push(...page.items);
    const rows = this.items.map(({ at, who, kind, action, dialogs, rows, subject }) =>
      [time(at), kind === "credential" ? who : element("i", {}, who), action, dialogs, rows, subject ? element("code", {}, subject) : "–"]);
    const shown = rows.length ? table("Entries", ["Time", "Who", "Action", "#Dialogs", "#Rows", "Subject"], rows) : empty("No entry matches.");
    const next = page.next ? [element("p", { className: "row" }, button("Load more", () => this.panel.attempt((newer) => this.more(newer, page.next))))] : [];
    this.panel.show(rows.length ? "full" : "empty", page.next ? `${rows.length} shown, more below` : `${rows.length} shown`, shown, ...next, head(page.head));
  }

  /** List the dialogs that the credential was shown, all of them: the report for the authority. */
  saw() {
    const { who, ...times } = this.filters;
    if (!who) {
      byId("log-who").setCustomValidity("Name the credential.");
      byId("log-who").reportValidity();
      byId("log-who").setCustomValidity("");
      return null;
    }
    return this.panel.attempt(async (signal) => {
      const found = [];
      let page = { next: "" };
      while (page.next !== null) {
        page = await this.rest.json({ path: `/v1/access-log/dialogs?${new URLSearchParams({ who, ...times, limit: ALL, ...(page.next && { cursor: page.next }) })}` }, signal);
        found.push(...page.items);
      }
      const customers = new Set(found.map(({ customer }) => customer).filter(Boolean));
      const rows = found.slice(0, ALL).map(({ dialog_id, customer, erased_at }) =>
        [element("code", {}, dialog_id), customer ? element("code", {}, customer) : "–", erased_at ? time(erased_at) : "–"]);
      const report = { who, ...times, dialogs: found, unfinished: page.unfinished };
      this.panel.show(found.length ? "full" : "empty", many(found.length, "dialog"),
        element("p", {}, element("strong", {}, who), ` was shown ${many(found.length, "dialog")} of ${many(customers.size, "customer")}.`,
          page.unfinished.length ? ` ${many(page.unfinished.length, "stream")} without an end in the log may have sent more.` : ""),
        table("Dialogs that the credential saw", ["Dialog", "Customer", "Erased"], rows),
        element("p", { className: "row" }, button("Download as JSON", () => saveFile("seen.json", new Blob([JSON.stringify(report, null, 1)], { type: "application/json" }))),
          button("Back to the entries", () => this.load())));
    });
  }
}

function head(text) {
  return element("p", { className: "quiet" }, "Head ", element("code", {}, text), ". Save it elsewhere: ", element("a", { href: "#chain" }, "verify the log"), " with it later, to prove that no entry up to it was altered.");
}
