import { Annotating } from "./annotating.js";
import { Conversation } from "./conversation.js";
import { DOWNLOADS, download } from "./download.js";
import { byId, count, element, on } from "./element.js";
import { Facets } from "./facets.js";
import { snippet } from "./hits.js";
import { Plots } from "./plots.js";
import { exact, FILTERS, local, Query } from "./query.js";
import { recipes } from "./recipes.js";
import { RestClient } from "./rest.js";
import { Rows } from "./rows.js";
import { SITE } from "./site.js";
import { time } from "./times.js";

const PAGE = 200;
const TIMES = ["since", "until"];
const SUGGESTED = { language: "languages", bot: "bots", purpose: "purposes-known" };
const REFUSED = [401, 403];

const rest = new RestClient();
const rows = new Rows(byId("pane"), row, more);
const conversation = new Conversation(byId("dialog"), rest);
const annotating = new Annotating(byId("annotate"), byId("dialog"), rest, step);
const facets = new Facets(byId("facets"), rest, (filters) => query.with(filters).url(shown, marked));
const plots = new Plots(byId("figures"), rest, (filters) => query.with(filters).url(), go);

let query = new Query();
let shown = ""; // the id of the open dialog
let marked = 0; // the seq of the message that is marked in it; 0 if none is
let next; // the cursor of the next page; null after the last page, undefined before the first
let requests = null; // aborts the requests of the current query
let isLoading = false;
let exporting = null; // aborts the current export

// Messages

function row({ dialog_id, received_at, role, language, text, seq }) {
  const link = element("a", { href: query.url(dialog_id, seq), title: dialog_id, ariaLabel: `Dialog ${dialog_id}` }, `…${dialog_id.slice(-8)}`);
  const made = element("tr", { data: { dialog: dialog_id } },
    element("td", {}, time(received_at)),
    element("td", {}, role),
    element("td", {}, language ?? "–"),
    element("td", { className: "text", dir: "auto", lang: language ?? "", title: text.slice(0, 1000) }, ...snippet(text, query.q)),
    element("td", {}, link, element("small", {}, ` #${seq}`)));
  made.ariaSelected = String(dialog_id === shown && (!marked || seq === marked));
  made.addEventListener("click", (event) => event.target.closest("a") || getSelection().toString() || link.click());
  return made;
}

/** Fetch the next page, unless a page is being loaded or there is none. */
async function more() {
  if (isLoading || next === null) return;
  isLoading = true;
  const { signal } = requests;
  try {
    const page = await rest.json(query.request({ limit: PAGE, ...(next && { cursor: next }) }), signal);
    next = query.filters.order === "stored" && !page.more ? null : page.next;
    rows.add(page.items);
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

/** Show how many messages are loaded, and whether there are more. */
function showProgress() {
  const loaded = rows.count;
  become(loaded || next ? "full" : "empty", next ? `${loaded.toLocaleString()} loaded, more below` : count(loaded));
  if (next) byId("end").replaceChildren(query.q && !loaded ? "Searching …" : "Loading more …");
  else byId("end").replaceChildren(...(loaded ? ["End of the list."] : emptyText()));
}

function emptyText() {
  const isFiltered = Object.keys(query.filters).length || query.q;
  if (isFiltered) return [element("p", {}, "No message matches. Remove a filter, or "), element("a", { href: "?" }, "clear all filters"), "."];
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
  const wanted = Query.from(parameters, history.state?.q ?? "");
  if (!requests || !wanted.equals(query)) load(wanted); // one that is loaded already is not loaded again
  show(parameters.get("show") ?? "", Number(parameters.get("seq")) || 0);
}

function load(wanted) {
  requests?.abort();
  requests = new AbortController();
  isLoading = false;
  query = wanted;
  next = undefined;
  fill();
  acquit();
  rows.clear();
  become("loading", "loading …");
  byId("end").replaceChildren("Loading …");
  more();
  facets.show(query);
  plots.show(query);
  byId("plots-of").textContent = ["counted by day (UTC)", ...ignored(query)].join("; ");
  writeRecipes();
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

/** Go to a URL of this page. The URL without filters also clears the text search. */
function go(url) {
  history.pushState({ q: url === "?" ? "" : query.q }, "", url);
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
  for (const name of FILTERS) byId(name).value = TIMES.includes(name) ? local(query.filters[name]) : query.filters[name] ?? "";
  byId("order").value = query.filters.order ?? "newest";
  byId("more").open ||= ["bot", "purpose", "customer", "dialog_id", "label", "review", "order"].some((name) => query.filters[name]);
}

/** Read the query from the form. A time that was not edited keeps its seconds, which the form does not show. */
function fromForm() {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, byId(name).value.trim()]));
  for (const name of TIMES) {
    const before = query.filters[name];
    filters[name] = local(before) === filters[name] ? before : exact(filters[name]);
  }
  return new Query(filters, byId("q").value.trim());
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

// Export

function writeRecipes() {
  const texts = recipes(query, { origin: SITE, isKeyed: Boolean(rest.key) });
  byId("recipes").replaceChildren(...Object.entries(texts).map(([name, text]) => {
    const code = element("pre", { tabIndex: 0 }, text);
    const copy = element("button", { type: "button", ariaLabel: `Copy the ${name} example` }, "Copy");
    copy.addEventListener("click", async () => {
      getSelection().selectAllChildren(code); // without clipboard access, Ctrl+C copies the selection
      await navigator.clipboard?.writeText(text).then(() => (copy.textContent = "Copied"), () => {});
    });
    return element("div", {}, element("div", { className: "head" }, element("h3", {}, name), copy), code);
  }));
}

/** Store the key for this tab, or remove it. */
function setKey(key) {
  rest.key = key;
  byId("key").value = "";
  byId("key").placeholder = key ? "stored for this tab" : "";
  byId("key-row").hidden = byId("forget-key").hidden = !key;
}

async function save({ name, parameters, file }) {
  exporting?.abort();
  exporting = new AbortController();
  const { signal } = exporting;
  const status = (...nodes) => signal.aborted || byId("download-state").replaceChildren(...nodes);
  const cancel = element("button", { type: "button" }, "Cancel");
  const size = element("span", {}, `${name}: starting …`);
  cancel.addEventListener("click", () => {
    status(`${name}: cancelled.`);
    exporting.abort();
  });
  status(size, " ", cancel);
  try {
    const bytes = await download(rest, query.request(parameters), file, (sum) => (size.textContent = `${name}: ${formatted(sum)} …`), signal);
    status(`${file}: ${formatted(bytes)}, complete.`);
  } catch (error) {
    status(element("span", { className: "failure" }, `${file} was not saved: ${error.code ? error.message : "the stream was interrupted"}.`));
  }
}

function formatted(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

byId("downloads").append(...DOWNLOADS.map((what) => {
  const button = element("button", { type: "button" }, what.name);
  button.addEventListener("click", () => save(what));
  return button;
}));
on("asking", "submit", () => {
  if (byId("key").value) setKey(byId("key").value.trim());
  const wanted = fromForm();
  history.pushState({ q: wanted.q }, "", wanted.url(shown, marked));
  load(wanted);
  show(shown, marked);
});
on("clear", "click", () => go("?"));
on("forget-key", "click", () => {
  setKey("");
  load(query);
  show(shown, marked);
});
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
  if (shown && matchMedia("(max-width: 60rem)").matches) byId("dialog").scrollIntoView();
});
on("to-messages", "click", () => {
  go(query.url());
  byId("messages").scrollIntoView();
  byId("messages").focus({ preventScroll: true });
});
addEventListener("popstate", visit);
byId("facets").open = matchMedia("(min-width: 60.01rem)").matches; // on a phone it would push the messages away
setKey(rest.key);
visit();
