/** The list of privacy requests, with their due dates; one request in full, and what is decided about it. */

import { saveFile } from "./files.js";
import { button, byId, element, facts, on } from "./element.js";
import { empty, failure, Panel, table } from "./panel.js";
import { day, moment, time } from "./times.js";

const PATH = "/v1/privacy-requests";
const PAGE = 100;
const DAY_MS = 86_400_000;
const SOON_DAYS = 7;
const WAITING = ["open", "pending"];
const GROUNDS = {
  extend: { name: "extended_for", complexity: "it is complex", number: "there are many requests" },
  refuse: { name: "refused_for", identity: "the person was not identified", unfounded: "manifestly unfounded", excessive: "excessive" },
};
const TELL = {
  extend: "Tell the person within the first month that it takes longer, and why (GDPR art. 12(3)).",
  refuse: "Tell the person within a month why, and that they can complain to a supervisory authority or go to court (GDPR art. 12(4)).",
};

/** What each status means, for those who do not know the service. */
const MEANING = {
  open: "nobody has decided about it yet",
  pending: "the server is still erasing, and tries again by itself",
  unreadable: "nobody can read it any more; a backup can still hold an earlier copy of a key, until the master key is replaced",
  complete: "done",
  incomplete: "dialogs were left out, or the answer was not delivered to its end: answer again",
  answered: "done",
  refused: "the person must be told why",
  withdrawn: "the person no longer asks",
};

/** A status, and what it means. */
export const meaning = (status) => `${status}: ${MEANING[status]}`;

/** How many days are left until a request that waits is due; negative if it is overdue. */
export const daysLeft = ({ due_at }) => (new Date(due_at) - Date.now()) / DAY_MS;

export class Requests {
  constructor(rest, onChange) {
    this.rest = rest;
    this.onChange = onChange;
    this.panel = new Panel("requests");
    byId("status").value = new URLSearchParams(location.search).get("status") ?? "";
    byId("status").value ||= ""; // all, instead of a status that there is not
    on("status", "change", () => {
      const status = byId("status").value;
      history.replaceState(null, "", status ? `?status=${status}` : location.pathname);
      this.load();
    });
    on("receive", "submit", () => this.receive());
  }

  load() {
    return this.panel.attempt(async (signal) => {
      this.items = [];
      await this.more(signal);
    });
  }

  async more(signal, cursor) {
    const status = byId("status").value;
    const query = new URLSearchParams({ order: WAITING.includes(status) ? "due" : "newest", limit: PAGE, ...(status && { status }), ...(cursor && { cursor }) });
    const page = await this.rest.json({ path: `${PATH}?${query}` }, signal);
    this.items.push(...page.items);
    if (!this.items.length && !page.next) {
      this.panel.show("empty", "none", empty(status ? `No request is ${status}.` : "No request yet. Look a person up, or record a request below."));
      return;
    }
    const rows = this.items.map((it) => [due(it), it.kind, it.status, it.reference ?? "–", time(it.received_at, day), it.dialogs, details(it, () => this.show(it.id))]);
    const shown = table("Table of requests", ["Due", "Kind", "Status", "Reference", "Received", "#Dialogs", "Details"], rows);
    const next = page.next ? [element("p", { className: "row" }, button("Load more", () => this.panel.attempt((newer) => this.more(newer, page.next))))] : [];
    this.panel.show("full", page.next ? `${this.items.length} shown, more below` : `${this.items.length} shown`, shown, ...next);
  }

  /** Show one request in full. */
  async show(id) {
    const dialog = byId("request");
    const body = dialog.querySelector(".body");
    body.replaceChildren("Loading …");
    if (!dialog.open) dialog.showModal();
    try {
      const it = await this.rest.json({ path: `${PATH}/${id}` });
      byId("request-title").textContent = `Request for ${it.kind}`;
      body.replaceChildren(element("dl", { className: "facts" }, ...facts(described(it))), ...(it.report ? [report(it)] : []),
        ...(it.status === "open" ? [this.deciding(it)] : []));
    } catch (error) {
      body.replaceChildren(failure(error.message));
    }
  }

  deciding(it) {
    const { id } = it;
    const canExtend = !it.extended_for && daysLeft(it) > 0; // once, and before it is due
    const state = element("div");
    const choose = (decision) => {
      const { name, ...grounds } = GROUNDS[decision] ?? {};
      if (!name) return this.decide(id, { decision }, state);
      const select = element("select", { ariaLabel: "Why" }, ...Object.entries(grounds).map(([value, text]) => element("option", { value }, text)));
      state.replaceChildren(element("p", { className: "quiet" }, TELL[decision]), element("p", { className: "row" }, "because ", select,
        button(decision === "extend" ? "Extend by two months" : "Refuse", () => this.decide(id, { decision, [name]: select.value }, state))));
      return select.focus();
    };
    return element("div", {}, element("h3", {}, "Decide"),
      element("p", { className: "row" }, button("Answered", () => choose("answer")), ...(canExtend ? [button("Extend …", () => choose("extend"))] : []),
        button("Refuse …", () => choose("refuse")), button("Withdrawn by the person", () => choose("withdraw"))), state);
  }

  async decide(id, body, state) {
    try {
      await this.rest.json({ method: "POST", path: `${PATH}/${id}/decisions`, body });
      await this.show(id);
      await this.onChange();
    } catch (error) {
      state.replaceChildren(failure(error.message));
    }
  }

  /** Record a request. What was typed stays if it is refused. */
  async receive() {
    const { value: received } = byId("received");
    const body = { kind: byId("kind").value, ...(byId("reference").value && { reference: byId("reference").value.trim() }),
      ...(received && { received_at: new Date(received).toISOString() }) };
    try {
      const { due_at } = await this.rest.json({ method: "POST", path: `${PATH}/register`, body });
      byId("receive-state").replaceChildren("Recorded, due on ", time(due_at, day), ".");
      byId("receive").reset();
      await this.onChange();
    } catch (error) {
      byId("receive-state").replaceChildren(failure(error.message));
    }
  }
}

/** When a request is due; how late or soon that is, while somebody has to do something about it. */
function due(request) {
  if (!WAITING.includes(request.status)) return time(request.due_at, day);
  const left = daysLeft(request);
  const days = Math.floor(Math.abs(left));
  const text = left < 0 ? `overdue by ${days} d` : days ? `in ${days} d` : "today";
  return element("span", { className: left < 0 ? "late" : left < SOON_DAYS ? "soon" : "" }, time(request.due_at, day), ` · ${text}`);
}

function details({ id, kind, reference }, open) {
  const made = button("Details", open);
  made.ariaLabel = `Details of the ${kind} request ${reference ?? id.slice(-8)}`;
  return made;
}

function described(it) {
  return {
    Status: meaning(it.status), Reference: it.reference, Received: time(it.received_at, moment), Due: time(it.due_at, moment),
    "Extended, because": GROUNDS.extend[it.extended_for], "Refused, because": GROUNDS.refuse[it.refused_for], Dialogs: String(it.dialogs), Messages: String(it.messages),
    "Made by": it.requested_by, Purposes: it.purposes?.join(", "), Damaged: it.damaged?.join(", "), "Belongs to": it.answers,
    Id: element("code", {}, it.id),
  };
}

function report({ id, report: text }) {
  return element("p", { className: "row" }, button("Download the signed report", () => saveFile(`erasure-${id}.jws`, new Blob([text], { type: "application/jose" }))));
}
