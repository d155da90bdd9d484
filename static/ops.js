import { Chart } from "./chart.js";
import { byId, element, facts, on } from "./element.js";
import { eventsOf } from "./events.js";
import { History, total } from "./history.js";
import { bytes, many, number, span } from "./quantities.js";
import { RestClient } from "./rest.js";
import { clock, time } from "./times.js";

const NOW = { path: "/v1/operations" };
const EVENTS = { path: "/v1/operations/events" };
const REFUSED = [401, 403];
const SILENT_MS = 4000; // the server sends an event every two seconds
const AGAIN_MS = [1000, 2000, 5000, 10_000];
const HOUR = 3600;

const rest = new RestClient();
const isKeyed = !byId("key-row").hidden; // the server says so in the page: nothing moves for a form that comes later
const history = new History();
const milliseconds = (value) => `${number(value)} ms`;

/** What is plotted: each series is made of the history. */
const PLOTS = [
  {
    name: "Decisions a second",
    y: "per second",
    format: number,
    series: () => ({ stored: history.rates(({ decisions }) => decisions.stored ?? 0), discarded: history.rates(({ decisions }) => decisions.discarded ?? 0), failed: history.rates(failed) }),
  },
  { name: "Live dialogs", y: "dialogs", series: () => ({ live: history.values(({ dialogs }) => dialogs.live) }) },
  {
    name: "From a grant to stored, within a minute",
    y: "milliseconds",
    format: milliseconds,
    series: () => ({ p50: history.quantiles((now) => now.consent_seconds, 0.5), p99: history.quantiles((now) => now.consent_seconds, 0.99) }),
  },
  {
    name: "Refusals and denials a second",
    y: "per second",
    format: number,
    series: () => ({ refusals: history.rates(({ refusals }) => total(refusals)), denials: history.rates(({ denials }) => total(denials)), "before a request": history.rates(({ turned_away }) => total(turned_away)) }),
  },
  {
    name: "Event loop's lag, within a minute",
    y: "milliseconds",
    format: milliseconds,
    series: () => ({ p99: history.quantiles((now) => now.loop_lag_seconds, 0.99) }),
  },
  {
    name: "Jobs in a group commit, waiting jobs",
    y: "jobs",
    format: number,
    series: () => ({ "in a commit": history.values(perCommit), waiting: history.values(({ store }) => store.queue) }),
  },
].map((plot) => ({ ...plot, chart: new Chart(plot.name) }));

const failed = ({ decisions }) => total(decisions) - (decisions.stored ?? 0) - (decisions.discarded ?? 0);
const perCommit = ({ store: { commit_jobs: { sum, count } } }) => (count ? sum / count : 0);

// The state

function become(state, text, why = "") {
  byId("state").dataset.state = state;
  byId("verdict").textContent = text;
  byId("failure").textContent = why;
  byId("failure").hidden = !why;
}

function show(now) {
  history.add(now);
  isDraining = now.draining;
  const bad = Object.entries(now.parts).filter(([, state]) => state !== "ready");
  if (now.draining) become("lost", "draining", "The server stops: it accepts no new dialogs, and lets live ones finish.");
  else if (bad.length) become("error", "not ready");
  else become("full", "ready");
  byId("parts").replaceChildren(...Object.entries(now.parts).map(([name, state]) =>
    element("li", { className: state === "ready" ? "" : "is-bad" }, `${name} `, element("b", {}, state))));
  byId("service").replaceChildren(...facts({
    Version: now.version,
    Workers: `${now.workers}${now.worker_deaths ? `; ${many(now.worker_deaths, "replacement")}` : ""}`,
    Started: time(now.started_at * 1000),
    Seen: element("span", {}, clock(new Date(now.at * 1000))),
  }));
  byId("limits").replaceChildren(...tiles(now));
  byId("counts").replaceChildren(...counts(now));
  byId("late").replaceChildren(...late(now));
  byId("chores").replaceChildren(chores(now));
  draw();
}

function tiles({ dialogs, disks, store, consent_seconds }) {
  return [
    tile("Live dialogs", number(dialogs.live), `${number(dialogs.opened)} opened; ${number(dialogs.messages)} messages in those that ended`),
    tile("Memory of dialogs", bytes(dialogs.bytes), `of ${bytes(dialogs.limit_bytes)}`, dialogs.bytes, dialogs.limit_bytes),
    tile("Connections", number(dialogs.connections), `of ${number(dialogs.connections_limit)}; ${number(dialogs.streams)} exports`, dialogs.connections, dialogs.connections_limit),
    ...disks.map(({ folder, free_bytes, size_bytes }) =>
      tile(`Disk of ${folder}`, `${bytes(free_bytes)} free`, `of ${bytes(size_bytes)}; reserve ${store.has_reserve ? "held" : "not held: the disk is full"}`, size_bytes - free_bytes, size_bytes)),
    tile("From a grant to stored", span(consent_seconds.p50), `median; p99 ${span(consent_seconds.p99)}`),
  ];
}

/** A number with what it is measured against, and a bar if there is a limit. */
function tile(name, figure, beside, value, limit) {
  const made = element("div", { className: "tile" }, element("p", {}, name), element("p", { className: "figure" }, figure));
  if (limit) made.append(element("meter", { max: limit, low: limit * 0.75, high: limit * 0.9, optimum: 0, value, ariaLabel: name }));
  made.append(element("p", { className: "quiet" }, beside));
  return made;
}

const COUNTS = {
  decisions: "Decisions",
  endings: "Ends of dialogs",
  refusals: "Refusals by code",
  denials: "Denials of access",
  limits_hit: "Limits hit",
  turned_away: "Connections refused",
};

function counts(now) {
  return Object.entries(COUNTS).map(([field, name]) => {
    const rows = Object.entries(now[field]).filter(([, value]) => value).sort(([, one], [, other]) => other - one);
    return table(name, null, rows.map(([code, value]) => [code, amount(value)]));
  });
}

const amount = (value) => element("td", { className: "number" }, value.toLocaleString("en-GB"));

/** A table; the last column are numbers. Cells may be texts or elements of their own. */
function table(name, heads, rows) {
  const made = element("table", {}, ...(name ? [element("caption", {}, name)] : []));
  const head = (words, i) => element("th", { scope: "col", className: i === heads.length - 1 ? "number" : "" }, words);
  if (heads) made.append(element("thead", {}, element("tr", {}, ...heads.map(head))));
  const cells = (row) => row.map((cell) => (cell instanceof HTMLTableCellElement ? cell : element("td", {}, cell)));
  const none = element("tr", {}, element("td", { className: "quiet", colSpan: heads?.length ?? 2 }, "none"));
  made.append(element("tbody", {}, ...(rows.length ? rows.map((row) => element("tr", {}, ...cells(row))) : [none])));
  return made;
}

const when = (at) => (at ? time(at * 1000) : "never");
const flag = (isLate, text) => element("span", { className: isLate ? "is-late" : "" }, text);

function late({ privacy, keys }) {
  const due = privacy.request_due_seconds;
  return facts({
    "Privacy requests pending": flag(due !== null && due < 0, `${privacy.requests_pending}${due === null ? "" : `; the first is due in ${span(due)}`}`),
    "Erasures not complete": flag(false, `${privacy.erasures_incomplete}${privacy.erasures_incomplete ? `; the oldest is ${span(privacy.erasures_incomplete_age_seconds)} old` : ""}`),
    "Erasures that a recipient has not read": flag(privacy.erasure_untold_seconds > 72 * HOUR, privacy.erasure_untold_seconds ? `the oldest is ${span(privacy.erasure_untold_seconds)} old` : "none"),
    Retention: flag(privacy.retention_halted || privacy.retention_lag_seconds > 2 * HOUR, privacy.retention_halted ? "halted: the clock is not trusted" : privacy.retention_lag_seconds ? `${span(privacy.retention_lag_seconds)} late` : "on time"),
    "Master key": `${span(keys.epoch_age_seconds)} old; ${many(keys.epoch_keys_left, "key")} left to rewrap`,
    "Last backup": keys.backup_at ? time(keys.backup_at * 1000) : "not known here",
    "TLS certificate": keys.certificate_expires_at ? element("span", {}, "expires ", time(keys.certificate_expires_at * 1000)) : "none: TLS ends before this server, or is not used",
  });
}

function chores({ chores: all }) {
  return table(null, ["Task", "Last success", "Failures"],
    all.map(({ name, succeeded_at, failures }) => [name, element("td", {}, when(succeeded_at)), amount(failures)]));
}

// The plots

function draw() {
  const labels = history.moments.map(clock);
  if (labels.length < 2) return;
  for (const { chart, series, y, format } of PLOTS) chart.show({ labels, series: series(), form: "lines", x: "Time", y, format });
}

byId("plots").append(...PLOTS.map(({ name, chart }) =>
  element("figure", {}, element("figcaption", {}, name), chart.element)));

// The connection

let attempt = null; // aborts the present one
let isDraining = false; // the server ends its streams by itself

async function watch() {
  attempt?.abort();
  const { signal } = (attempt = new AbortController());
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const { now, settings } = await rest.json(NOW, signal);
      byId("key-row").hidden = !isKeyed && !rest.key;
      byId("settings").replaceChildren(...Object.entries(settings).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value || "–")]));
      show(now);
      for await (const event of eventsOf(await rest.send(EVENTS, signal), SILENT_MS)) {
        failures = 0;
        show(event);
      }
      if (!isDraining) lose("the server ended the connection");
    } catch (error) {
      if (signal.aborted) return;
      if (REFUSED.includes(error.status)) return askForKey(error);
      lose(error.message);
    }
    await pause(AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)], signal);
  }
}

function lose(why) {
  become("lost", "reconnecting …", `Not connected: ${why}.${byId("parts").childElementCount ? " What is below was seen last." : ""}`);
}

function askForKey(error) {
  become("error", error.code, error.message);
  byId("key-row").hidden = false;
  byId("key").focus();
}

const pause = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
});

on("key-row", "submit", () => {
  rest.key = byId("key").value.trim();
  watch();
});
byId("key").value = rest.key;
watch();
