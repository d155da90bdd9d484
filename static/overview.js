/** What an officer watches: recipients, notices, the retention calendar, and the alarms that follow from all of it. */

import { button, element } from "./element.js";
import { empty, Panel, table } from "./panel.js";
import { many } from "./quantities.js";
import { daysLeft } from "./requests.js";
import { day, dayOf, time } from "./times.js";

const SOON_DAYS = 7;
const UNTOLD_DAYS = 3;
const number = (count) => count.toLocaleString("en-GB");
const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");

export class Overview {
  constructor(rest) {
    this.rest = rest;
    this.alarms = new Panel("alarms");
    this.panels = Object.fromEntries(["recipients", "notices", "retention"].map((name) => [name, new Panel(name)]));
  }

  /** Load everything, and raise the alarms. */
  async load() {
    const told = {};
    const panels = Promise.all(["recipients", "notices", "retention"].map((name) => this.panels[name].attempt(async (signal) => {
      told[name] = await this.rest.json({ path: `/v1/${name}` }, signal);
      SHOW[name](this.panels[name], told[name]);
    })));
    await this.alarms.attempt(async (signal) => {
      const waiting = await Promise.all(["open", "pending"].map((status) =>
        this.rest.json({ path: `/v1/privacy-requests?${new URLSearchParams({ status, order: "due", limit: 1000 })}` }, signal)));
      await panels;
      signal.throwIfAborted(); // newer work has aborted the panels, too: what they would have told is not unknown
      this.open = waiting[0].items;
      this.unknown = ["recipients", "retention"].filter((name) => !told[name]);
      this.found = alarmsOf(waiting.flatMap(({ items }) => items), told);
      this.raise();
    });
  }

  /** Tell how the access log was altered; null if it was not. The alarm stays until a verification finds nothing. */
  logged(fault) {
    this.fault = fault;
    if (fault || this.found) this.raise();
  }

  /** Show the alarms. Nothing is in order as long as something is unknown. */
  raise() {
    const altered = { level: "late", title: "Access log altered", text: `${this.fault}: save the database, and tell whoever is responsible for its security (GDPR art. 33)` };
    const alarms = [...(this.fault ? [altered] : []), ...(this.found ?? [])];
    const items = alarms.map(({ level, title, text }) => element("li", { data: { level } }, element("strong", {}, title), element("small", {}, text)));
    if (this.unknown?.length) {
      items.push(element("li", { data: { level: "soon" } }, element("strong", {}, "Not known"),
        element("small", {}, `${this.unknown.join(" and ")}: could not be read`), button("Retry", () => this.load())));
    }
    if (items.length) this.alarms.show("full", number(items.length), element("ul", { tabIndex: 0, ariaLabel: "What needs attention" }, ...items));
    else this.alarms.show("empty", "all in order", element("p", { className: "quiet" }, "No request is due within a week, and every recipient has read of erasures."));
  }
}

/** Return what has to be done now, the worst first. */
function alarmsOf(waiting, { recipients, retention }) {
  const alarms = [];
  const add = (level, title, text) => alarms.push({ level, title, text });
  const late = waiting.filter((it) => daysLeft(it) < 0);
  const soon = waiting.filter((it) => daysLeft(it) >= 0 && daysLeft(it) < SOON_DAYS);
  if (late.length) add("late", `${number(late.length)} overdue`, "requests whose time is over (GDPR art. 12(3)): answer them now");
  if (retention?.purge === "halted") add("late", "Purge halted", "the server's clock cannot be trusted: expired dialogs stay until it can");
  if (soon.length) add("soon", `${number(soon.length)} due within ${SOON_DAYS} days`, "requests to answer, extend or refuse");
  const pending = waiting.filter(({ status }) => status === "pending");
  if (pending.length) add("soon", `${many(pending.length, "erasure")} pending`, "an earlier copy of a key may be left; the server retries every 30 s");
  const untold = (recipients?.items ?? []).filter(({ unconfirmed_since: since }) => since && Date.now() - new Date(since) > UNTOLD_DAYS * 86_400_000);
  if (untold.length) add("soon", `${many(untold.length, "recipient")} behind`, `have not read of erasures for ${UNTOLD_DAYS} days (art. 19): ${untold.map(({ who }) => who).join(", ")}`);
  return alarms;
}

const SHOW = {
  recipients(panel, { items }) {
    if (!items.length) return panel.show("empty", "none", empty("Nobody has read or exported a dialog yet."));
    const rows = items.map(({ who, dialogs, erased, unconfirmed, unconfirmed_since: since, exports }) =>
      [who, dialogs, erased, unconfirmed ? element("span", { className: "soon" }, number(unconfirmed)) : 0, since ? time(since, day) : "–", stale(exports)]);
    return panel.show("full", many(items.length, "credential"), table("Table of recipients", ["Credential", "#Dialogs", "#Erased", "#Not read of", "Since", "Stale exports"], rows));
  },

  notices(panel, { items }) {
    const rows = items.map(({ notice, is_on_offer: isOnOffer, added_at, retired_at, opened, granted, declined, dropped }) => [
      element("span", { title: `SHA-256 ${notice.sha256}` }, `${notice.id} `, element("small", {}, isOnOffer ? "on offer" : retired_at ? "retired" : "replaced")),
      notice.language, time(retired_at ?? added_at, day), opened, percent(granted, opened), percent(declined, opened), percent(dropped, opened)]);
    return panel.show("full", many(items.length, "wording"), table("Table of notices", ["Notice", "Language", "Since", "#Shown", "#Granted", "#Declined", "#Left"], rows));
  },

  retention(panel, { items, overdue, purge }) {
    if (!items.length) return panel.show("empty", "nothing stored", empty("No dialog is stored, so nothing expires."));
    const most = Math.max(...items.map(({ dialogs }) => dialogs));
    const rows = items.map(({ day: on, dialogs }) => [element("time", { dateTime: on }, dayOf(on)), dialogs, bar(dialogs / most)]);
    const late = overdue ? [element("p", { className: purge === "halted" ? "late" : "quiet" }, `${many(overdue, "dialog")} past retention; ${purge === "halted" ? "the purge is halted" : "the server erases what has expired within the hour"}.`)] : [];
    return panel.show("full", many(items.length, "day"), ...late, table("Retention calendar", ["Day", "#Dialogs", "Share"], rows));
  },
};

function stale(exports) {
  if (!exports.length) return "–";
  const listed = exports.map(({ id, erased, dialogs }) => element("li", {}, element("code", {}, id), ` ${number(erased)} of ${number(dialogs)}`));
  return element("details", {}, element("summary", {}, number(exports.length)), element("ul", {}, ...listed));
}

function bar(share) {
  const made = element("span", { className: "bar" });
  made.style.width = `${Math.round(100 * share)}%`;
  return made;
}
