import { Conversation } from "./conversation.js";
import { Door } from "./door.js";
import { DOWNLOADS, download } from "./download.js";
import { byId, count, element, on, time } from "./element.js";
import { Plots } from "./plots.js";
import { exact, FILTERS, local, Question } from "./question.js";
import { recipes } from "./recipes.js";
import { Rows } from "./rows.js";

const PAGE = 200;
const MOMENT = { dateStyle: "short", timeStyle: "short" };
const TIMES = ["since", "until"];
const KNOWN = { language: "languages", bot: "bots", purpose: "purposes-known" };
const REFUSED = [401, 403];

const door = new Door();
const rows = new Rows(byId("pane"), row, more);
const conversation = new Conversation(byId("dialog"), door);
const plots = new Plots(byId("figures"), door, (filters) => question.with(filters).address());

let question = new Question();
let shown = ""; // the dialog that is open
let next; // the cursor of the page to come; null after the last one, undefined before the first
let asking = null; // the question's requests, and what aborts them
let isAsking = false;
let taking = null;

// The messages

function row({ dialog_id, received_at, role, language, text, seq }) {
  const link = element("a", { href: question.address(dialog_id), title: dialog_id, ariaLabel: `Dialog ${dialog_id}` }, `…${dialog_id.slice(-8)}`);
  const made = element("tr", { data: { dialog: dialog_id } },
    element("td", {}, time(received_at, MOMENT)),
    element("td", {}, role),
    element("td", {}, language ?? "–"),
    element("td", { className: "text", dir: "auto", lang: language ?? "", title: text.slice(0, 1000) }, text),
    element("td", {}, link, element("small", {}, ` #${seq}`)));
  made.ariaSelected = String(dialog_id === shown);
  made.addEventListener("click", (event) => event.target.closest("a") || getSelection().toString() || link.click());
  return made;
}

/** Fetch the next page, unless one is on its way or there is none. */
async function more() {
  if (isAsking || next === null) return;
  isAsking = true;
  const { signal } = asking;
  try {
    const page = await door.json(question.asked({ limit: PAGE, ...(next && { cursor: next }) }), signal);
    next = question.filters.order === "stored" && !page.more ? null : page.next;
    rows.add(page.items);
    told();
  } catch (error) {
    if (signal.aborted) return;
    next = null;
    fail(error);
  } finally {
    if (!signal.aborted) isAsking = false;
  }
  if (!signal.aborted) rows.look();
}

/** Say how far the table goes. */
function told() {
  const read = rows.count;
  become(read || next ? "full" : "empty", next ? `${read.toLocaleString()} read, more below` : count(read));
  if (next) byId("end").replaceChildren(question.q && !read ? "Looking for the words …" : "Reading on …");
  else byId("end").replaceChildren(...(read ? ["That is all."] : nothing()));
}

function nothing() {
  const isFiltered = Object.keys(question.filters).length || question.q;
  if (isFiltered) return [element("p", {}, "No message fits. Take a filter away, or "), element("a", { href: "?" }, "clear all of them"), "."];
  return [element("p", {}, "Nothing was kept yet. "), element("a", { href: "/" }, "Hold a dialog"), " and grant it, or run ", element("code", {}, "consentful demo"), "."];
}

function fail(error) {
  const isKeyNeeded = REFUSED.includes(error.status);
  if (isKeyNeeded) byId("key-row").hidden = false;
  if (isKeyNeeded) byId("key").focus();
  become("error", error.code ?? error.name);
  byId("end").replaceChildren(
    element("p", { className: "failure", role: "alert" }, `${error.message} (${error.code ?? error.name})`),
    element("button", { type: "button", onclick: () => ask(question) }, "Ask again"));
}

function become(state, words) {
  byId("messages").dataset.state = state;
  byId("messages").ariaBusy = String(state === "loading");
  byId("count").textContent = words;
}

// The address and the form

/** Show what the address asks for; what is on show already stays as it is. */
function visit(q = question.q) {
  const address = new URLSearchParams(location.search);
  const asked = Question.at(address, q);
  if (!asking || !asked.equals(question)) ask(asked);
  show(address.get("show") ?? "");
}

function ask(asked) {
  asking?.abort();
  asking = new AbortController();
  isAsking = false;
  question = asked;
  next = undefined;
  fill();
  rows.clear();
  become("loading", "asking …");
  byId("end").replaceChildren("Reading …");
  more();
  plots.show(question);
  byId("plots-of").textContent = ["counted by whole days of UTC", ...ignored(question)].join("; ");
  writeRecipes();
  suggest();
}

const ignored = ({ uncounted }) => (uncounted.length ? [`without regard to ${uncounted.join(", ")}`] : []);

function show(dialogId) {
  shown = dialogId;
  rows.refresh();
  if (dialogId) conversation.open(dialogId, (filters) => question.with(filters).address(shown));
  else conversation.close();
}

/** Go to an address of this page; the one without filters is without words, too. */
function go(address) {
  history.pushState(null, "", address);
  visit(address === "?" ? "" : question.q);
}

/** Put the question into the form. */
function fill() {
  byId("q").value = question.q;
  for (const name of FILTERS) byId(name).value = TIMES.includes(name) ? local(question.filters[name]) : question.filters[name] ?? "";
  byId("order").value = question.filters.order ?? "newest";
  byId("more").open ||= ["bot", "purpose", "customer", "dialog_id", "order"].some((name) => question.filters[name]);
}

/** The form's question. A time that was not touched stays exact to the second. */
function written() {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, byId(name).value.trim()]));
  for (const name of TIMES) {
    const before = question.filters[name];
    filters[name] = local(before) === filters[name] ? before : exact(filters[name]);
  }
  return new Question(filters, byId("q").value.trim());
}

/** Offer the languages, chatbots and purposes that there are. */
async function suggest() {
  const { signal } = asking;
  for (const [name, list] of Object.entries(KNOWN)) {
    if (byId(list).childElementCount) continue;
    const { items } = await door.json({ path: `/v1/stats?by=${name}` }, signal).catch(() => ({ items: [] }));
    byId(list).replaceChildren(...items.filter((item) => item[name]).map((item) => element("option", { value: item[name] })));
  }
}

// What can be taken along

function writeRecipes() {
  const texts = recipes(question, { origin: location.origin, isKeyed: Boolean(door.key) });
  byId("recipes").replaceChildren(...Object.entries(texts).map(([name, text]) => {
    const code = element("pre", { tabIndex: 0 }, text);
    const copy = element("button", { type: "button", ariaLabel: `Copy the ${name} lines` }, "Copy");
    copy.addEventListener("click", async () => {
      getSelection().selectAllChildren(code); // where the clipboard is out of reach, Ctrl+C does it
      await navigator.clipboard?.writeText(text).then(() => (copy.textContent = "Copied"), () => {});
    });
    return element("div", {}, element("div", { className: "head" }, element("h3", {}, name), copy), code);
  }));
}

/** Keep the key for this tab, or forget it. */
function keep(key) {
  door.key = key;
  byId("key").value = "";
  byId("key").placeholder = key ? "kept for this tab" : "";
  byId("key-row").hidden = byId("forget-key").hidden = !key;
}

async function take({ name, about, file }) {
  taking?.abort();
  taking = new AbortController();
  const { signal } = taking;
  const say = (...words) => signal.aborted || byId("download-state").replaceChildren(...words);
  const stop = element("button", { type: "button" }, "Stop");
  const size = element("span", {}, `${name}: asking …`);
  stop.addEventListener("click", () => {
    say(`${name}: stopped.`);
    taking.abort();
  });
  say(size, " ", stop);
  try {
    const bytes = await download(door, question.asked(about), file, (sum) => (size.textContent = `${name}: ${amount(sum)} …`), signal);
    say(`${file}: ${amount(bytes)}, complete.`);
  } catch (error) {
    say(element("span", { className: "failure" }, `${file} is not there: ${error.code ? error.message : "the stream broke off"}.`));
  }
}

function amount(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

byId("downloads").append(...DOWNLOADS.map((what) => {
  const button = element("button", { type: "button" }, what.name);
  button.addEventListener("click", () => take(what));
  return button;
}));
on("asking", "submit", () => {
  if (byId("key").value) keep(byId("key").value.trim());
  const asked = written();
  history.pushState(null, "", asked.address(shown));
  ask(asked);
});
on("clear", "click", () => go("?"));
on("forget-key", "click", () => {
  keep("");
  ask(question);
  show(shown);
});
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
  if (shown && matchMedia("(max-width: 60rem)").matches) byId("dialog").scrollIntoView();
});
addEventListener("popstate", () => visit());
keep(door.key);
visit();
