import { Annotating } from "./annotating.js";
import { Conversation } from "./conversation.js";
import { Columns } from "./columns.js";
import { byId, count, element, on } from "./element.js";
import { Facets } from "./facets.js";
import { Plots } from "./plots.js";
import { exact, FILTERS, local, Query, VIEWS } from "./query.js";
import { RestClient } from "./rest.js";
import { Rows } from "./rows.js";
import { SavedViews } from "./saved_views.js";
import { SITE } from "./site.js";
import { Ticked } from "./ticked.js";

const PAGE = 200;
const TIMES = ["since", "until"];
const SUGGESTED = { language: "languages", bot: "bots", purpose: "purposes-known" };
const REFUSED = [401, 403];
const MOST_DIALOGS = 1000; // that one request can name
const BY_DIALOG = ["longest", "shortest", "random"];

const rest = new RestClient();
const isKeyed = !byId("key-row").hidden; // the server says so in the page: nothing moves for a field that comes later
const rows = new Rows(byId("pane"), row, more);
const conversation = new Conversation(byId("dialog"), rest);
const annotating = new Annotating(byId("annotate"), byId("dialog"), rest, step);
const facets = new Facets(byId("facets"), rest, (filters) => query.with(filters).url(shown, marked));
const plots = new Plots(byId("figures"), rest, (filters) => query.with(filters).url(), go);

const columns = new Columns();
const ticked = {
  messages: new Ticked({ key: ({ dialog_id, seq }) => `${dialog_id}@${seq}`, name: ({ dialog_id, seq }) => `message ${seq} of dialog ${dialog_id}`, most: Infinity }, tellTicked),
  dialogs: new Ticked({ key: ({ dialog_id }) => dialog_id, name: ({ dialog_id }) => `dialog ${dialog_id}`, most: MOST_DIALOGS }, tellTicked),
};
const savedViews = new SavedViews(byId("saved-views"), openView);

let query = new Query();
let shown = ""; // the id of the open dialog
let marked = 0; // the seq of the message that is marked in it; 0 if none is
let total = null; // how many rows there are, as far as the server's counters know
let next; // the cursor of the next page; null after the last page, undefined before the first
let requests = null; // aborts the requests of the current query
let isLoading = false;
let exportPanel = null; // a promise of it: it is loaded after the first rows

// The list

function row(item) {
  const { dialog_id, seq } = item;
  const made = element("tr", { data: { dialog: dialog_id } }, ...columns.cells(query.view, item, { query, tick: (it) => ticked[query.view].box(it) }));
  made.ariaSelected = String(dialog_id === shown && (!marked || !seq || seq === marked));
  made.addEventListener("click", (event) => event.target.closest("a, input") || getSelection().toString() || made.querySelector("a").click());
  return made;
}

/** Fetch the next page, unless a page is being loaded or there is none. */
async function more() {
  if (isLoading || next === null) return;
  isLoading = true;
  const { signal } = requests;
  try {
    const include = columns.includes(query.view);
    const page = await rest.json(query.page({ limit: PAGE, ...(include.length && { include: include.join() }), ...(next && { cursor: next }) }), signal);
    next = query.filters.order === "stored" && !page.more ? null : page.next;
    rows.add(page.items);
    annotating.suggest(page.items.flatMap(({ annotations = [] }) => annotations.flatMap(({ labels }) => labels)));
    showProgress();
  } catch (error) {
    if (signal.aborted) return;
    next = null;
    fail(error);
  } finally {
    if (!signal.aborted) isLoading = false;
  }
  if (!signal.aborted) rows.fetchAhead();
}

/** Show how many rows are loaded, and of how many, or that there are more. */
function showProgress() {
  const loaded = rows.count;
  const isKnown = total !== null && total >= loaded; // those that were stored or erased since are counted, too
  const part = isKnown ? ` of ${query.isTotalRough ? "about " : ""}${total.toLocaleString("en-GB")}` : " loaded, more below";
  become(loaded || next ? "full" : "empty", next ? `${loaded.toLocaleString("en-GB")}${part}` : counted(loaded));
  if (next) byId("end").replaceChildren((query.q || query.metadata) && !loaded ? "Searching …" : "Loading more …");
  else byId("end").replaceChildren(...(loaded ? ["End of results."] : emptyText()));
}

const dialogs = (number) => `${number.toLocaleString("en-GB")} dialog${number === 1 ? "" : "s"}`;
const counted = (number) => (query.view === "dialogs" ? dialogs : count)(number);

/** Show how many dialogs and messages the server's counters have, as far as they know the filters. */
async function showTotals() {
  const { signal } = requests;
  byId("totals").textContent = "";
  const answer = await rest.json({ path: query.counted("role") }, signal).catch(() => null);
  if (signal.aborted || !answer) return;
  const { totals } = answer;
  total = query.total(answer);
  if (next) showProgress();
  const numbers = `${dialogs(totals.dialogs)}, ${count(totals.messages)}`;
  byId("totals").textContent = query.uncounted.length ? `of ${numbers}` : numbers;
}

function emptyText() {
  const noun = query.view === "dialogs" ? "dialog" : "message";
  if (query.isFiltered) return [element("p", {}, `No ${noun} matches. Remove a filter, or `), element("a", { href: "?", data: { clears: "words" } }, "clear all filters"), "."];
  return [element("p", {}, "No dialog is stored yet. "), element("a", { href: `${SITE}/` }, "Hold a dialog"), " and grant it, or run ", element("code", {}, "consentful demo"), "."];
}

function fail(error) {
  const field = error.status === 400 && byId("asking").querySelector(`#${CSS.escape(error.parameter ?? "")}`);
  if (field) blame(field, error.message);
  const isKeyNeeded = REFUSED.includes(error.status);
  if (isKeyNeeded) byId("key-row").hidden = false;
  if (isKeyNeeded) byId("key").focus();
  become("error", error.code ?? error.name);
  byId("end").replaceChildren(
    element("p", { className: "failure", role: "alert" }, `${error.message} (${error.code ?? error.name})`),
    element("button", { type: "button", onclick: () => load(query) }, "Retry"));
}

/** Tell at a field of the form what is wrong with its value, and let the reader correct it there. */
function blame(field, message) {
  byId("more").open ||= byId("more").contains(field);
  field.after(element("small", { id: "blame", className: "failure" }, message));
  field.ariaInvalid = "true";
  field.setAttribute("aria-describedby", "blame");
  field.focus();
}

function acquit() {
  byId("blame")?.remove();
  for (const field of byId("asking").querySelectorAll("[aria-invalid]")) {
    field.ariaInvalid = null;
    field.removeAttribute("aria-describedby");
  }
}

function become(state, text) {
  byId("messages").dataset.state = state;
  byId("messages").ariaBusy = String(state === "loading");
  byId("count").textContent = text;
}

// The page's URL and the form

/** Show what the page's URL names; the words of a text search are in the history's state, which no server sees. */
function visit() {
  const parameters = new URLSearchParams(location.search);
  const wanted = Query.from(parameters, history.state ?? {});
  if (!requests || !wanted.equals(query)) load(wanted); // one that is loaded already is not loaded again
  show(parameters.get("show") ?? "", Number(parameters.get("seq")) || 0);
}

function load(wanted) {
  requests?.abort();
  requests = new AbortController();
  isLoading = false;
  query = wanted;
  next = undefined;
  total = null;
  fill();
  acquit();
  showView();
  rows.clear();
  become("loading", "loading …");
  byId("end").replaceChildren("Loading …");
  more().then(showExport);
  showTotals();
  facets.show(query);
  plots.show(query);
  byId("plots-of").textContent = ["counted by day (UTC)", ...ignored(query)].join("; ");
  suggest();
}

const ignored = ({ uncounted }) => (uncounted.length ? [`ignored filters: ${uncounted.join(", ")}`] : []);

function show(dialogId, seq) {
  [shown, marked] = [dialogId, seq];
  rows.refresh();
  byId("to-messages").hidden = !dialogId;
  if (dialogId) {
    conversation.open(dialogId, { seq, words: query.q, filtered: (filters) => query.with(filters).url(shown) });
    annotating.open(dialogId, seq);
  } else {
    conversation.close();
    annotating.close();
  }
}

/** Go to a URL of this page. What is searched for stays, unless other words are given. */
function go(url, words = query.words) {
  history.pushState(words, "", url);
  visit();
}

/** Mark another message of the open dialog, without an entry in the history for each. */
function step(seq) {
  history.replaceState(history.state, "", query.url(shown, seq));
  visit();
}

/** Write the query into the form. */
function fill() {
  byId("q").value = query.q;
  byId("metadata").value = query.metadata;
  for (const option of byId("order").options) option.disabled = query.view === "messages" && BY_DIALOG.includes(option.value);
  for (const name of FILTERS) byId(name).value = TIMES.includes(name) ? local(query.filters[name]) : query.filters[name] ?? "";
  byId("order").value = query.filters.order ?? "newest";
  byId("seed-row").hidden = byId("order").value !== "random";
  byId("more").open ||= ["bot", "purpose", "customer", "dialog_id", "label", "review", "order"].some((name) => query.filters[name]) || Boolean(query.metadata);
}

/** Read the query from the form. A time that was not edited keeps its seconds, which the form does not show. */
function fromForm() {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, byId(name).value.trim()]));
  for (const name of TIMES) {
    const before = query.filters[name];
    filters[name] &&= local(before) === filters[name] ? before : exact(filters[name]);
  }
  return new Query({ ...filters, view: query.view }, { q: byId("q").value.trim(), metadata: byId("metadata").value.trim() });
}

/** Suggest the stored languages, chatbots and purposes. */
async function suggest() {
  const { signal } = requests;
  for (const [name, list] of Object.entries(SUGGESTED)) {
    if (byId(list).childElementCount) continue;
    const { items } = await rest.json({ path: `/v1/stats?by=${name}` }, signal).catch(() => ({ items: [] }));
    byId(list).replaceChildren(...items.filter((item) => item[name]).map((item) => element("option", { value: item[name] })));
  }
}

// The view: messages or dialogs, and their columns

function showView() {
  const title = query.view === "dialogs" ? "Dialogs" : "Messages";
  byId("list-title").textContent = title;
  byId("heads").replaceChildren(...columns.heads(query.view));
  byId("pane").style.setProperty("--least", `${columns.least(query.view)}rem`);
  for (const view of VIEWS) {
    const link = byId(`view-${view}`);
    link.href = query.with({ view }).url(shown, marked);
    link.ariaCurrent = view === query.view ? "true" : null;
  }
  tellTicked();
  byId("choices").replaceChildren(...columns.choices(query.view).map(({ name, title: label, isShown }) => {
    const box = element("input", { type: "checkbox", checked: isShown });
    box.addEventListener("change", () => choose(() => columns.choose(query.view, name, box.checked)));
    return element("label", {}, box, ` ${label}`);
  }));
  byId("keys").value = columns.keys(query.view).join(", ");
}

/** Change the columns; rows are requested again if they need what was not asked for. */
function choose(change) {
  const before = columns.includes(query.view);
  change();
  const isKnown = columns.includes(query.view).every((name) => before.includes(name));
  if (!isKnown) return load(query);
  showView();
  rows.refresh();
}

function openView({ url, words, columns: chosen }) {
  columns.all = chosen;
  query = new Query(); // another query, so that it is loaded with these columns
  requests = null;
  history.pushState(words ?? {}, "", url);
  visit();
}

// Export

/** Tell how many rows of this view are selected, beside them and in the export panel. */
function tellTicked() {
  const { count: number } = ticked[query.view];
  byId("to-export").hidden = !number;
  byId("to-export").textContent = `${number.toLocaleString("en-GB")} selected`;
  if (exportPanel) showExport();
}

async function showExport() {
  exportPanel ??= import("./export_panel.js").then((loaded) => new loaded.ExportPanel(rest));
  try {
    (await exportPanel).show(query, ticked[query.view]);
  } catch {
    exportPanel = null;
    byId("download-state").replaceChildren(element("span", { className: "failure" }, "The formats could not be loaded. Check that the server is running, and press Apply."));
  }
  byId("export").hidden = false; // last, when what is above it has its room
}

/** Store the key for this tab, or remove it. */
function setKey(key) {
  rest.key = key;
  byId("key").value = "";
  byId("key").placeholder = key ? "stored for this tab" : "";
  byId("key-row").hidden = !isKeyed && !key;
  byId("forget-key").hidden = !key;
}

on("asking", "submit", () => {
  if (byId("key").value) setKey(byId("key").value.trim());
  const wanted = fromForm();
  history.pushState(wanted.words, "", wanted.url(shown, marked));
  load(wanted);
  show(shown, marked);
});
on("order", "change", () => (byId("seed-row").hidden = byId("order").value !== "random"));
on("clear", "click", () => go("?", {}));
on("keys-form", "submit", () => choose(() => columns.chooseKeys(query.view, byId("keys").value.split(",").map((key) => key.trim()).filter(Boolean))));
on("save-view", "submit", () => {
  const words = byId("with-words").checked ? { words: query.words } : {};
  savedViews.save({ name: byId("view-name").value.trim(), url: query.url(), columns: columns.all, ...words });
  byId("view-name").value = "";
});
on("tick-all", "click", () => {
  ticked[query.view].add(rows.items);
  rows.refresh();
});
on("untick", "click", () => {
  ticked[query.view].clear();
  rows.refresh();
});
on("to-export", "click", () => {
  byId("export").scrollIntoView();
  byId("export").focus({ preventScroll: true });
});
on("forget-key", "click", () => {
  setKey("");
  ticked.messages.clear(); // their texts, too, are gone with the key
  load(query);
  show(shown, marked);
});
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"), link.dataset.clears ? {} : query.words);
  if (shown && matchMedia("(max-width: 60rem)").matches) byId("dialog").scrollIntoView();
});
on("to-messages", "click", () => {
  go(query.url());
  byId("messages").scrollIntoView();
  byId("messages").focus({ preventScroll: true });
});
addEventListener("popstate", visit);
byId("facets").open = matchMedia("(min-width: 60.01rem)").matches; // on a phone it would push the messages away
byId("facets").dataset.drawn = ""; // until then the style closes it there
setKey(rest.key);
visit();
