/** The figures: which counts each one requests from the server, and how it reads them. Pure functions. */

const DAY_MS = 86_400_000;
const OUTCOMES = ["granted", "declined", "dropped"];
const UNKNOWN = "unknown";

/**
 * What a chart draws; `link` returns the filters of a label.
 *
 * @typedef {import("./chart.js").Data & {link?: (label: string) => object}} Counts
 */
export const FIGURES = [
  {
    name: "Dialogs per day",
    head: "Day",
    path: (query) => query.counted("day"),
    read: ({ items }) => daily(items, ["dialogs"]),
  },
  {
    name: "Messages by language",
    head: "Language",
    path: (query) => query.counted("language"),
    read: ({ items }) => ({
      ...counts(sorted(items, ({ messages }) => -messages), "language", ["messages"], ofLanguage), form: "across", x: "Messages",
    }),
  },
  {
    name: "Dialogs by length",
    head: "Messages",
    path: (query) => query.counted("length"),
    read: ({ items }) => ({
      ...counts(sorted(items, ({ length }) => parseInt(length, 10)), "length", ["dialogs"]), x: "Messages in the dialog", y: "Dialogs",
    }),
  },
  {
    name: "Outcomes and consent rate",
    head: "Day",
    path: (query) => query.outcomes,
    read: ({ items }) => outcomes(daily(byDay(items), OUTCOMES)),
  },
];

function counts(items, label, names, link) {
  const series = names.map((name) => [name, items.map((item) => item[name])]);
  return { labels: items.map((item) => item[label] ?? UNKNOWN), series: Object.fromEntries(series), link };
}

/** The outcomes of each day, summed over all chatbots. */
function byDay(items) {
  const days = new Map();
  for (const { day, ...numbers } of items) {
    const sum = days.get(day) ?? { day, granted: 0, declined: 0, dropped: 0 };
    for (const outcome of OUTCOMES) sum[outcome] += numbers[outcome];
    days.set(day, sum);
  }
  return [...days.values()];
}

/** Counts by day, with a label for each day from the first to the last. The current day is not over. */
function daily(items, names) {
  const byDay = new Map(items.map((item) => [item.day, item]));
  const ends = sorted(items, ({ day }) => day);
  const days = [];
  for (let at = Date.parse(ends[0]?.day); at <= Date.parse(ends.at(-1)?.day); at += DAY_MS) days.push(new Date(at).toISOString().slice(0, 10));
  const full = days.map((day) => ({ ...Object.fromEntries(names.map((name) => [name, 0])), ...byDay.get(day), day }));
  const today = new Date().toISOString().slice(0, 10);
  const tick = (day) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }).format(Date.parse(day));
  return { ...counts(full, "day", names, ofDay), partial: days.map((day) => day >= today), tick, x: "Day (UTC)", y: "Dialogs" };
}

/** The rate counts customers who decided; dialogs without a decision are excluded. */
function outcomes(days) {
  const { granted, declined } = days.series;
  const rate = granted.map((yes, i) => (yes + declined[i] ? yes / (yes + declined[i]) : null));
  return { ...days, rate };
}

const sorted = (items, by) => items.toSorted((one, other) => (by(one) < by(other) ? -1 : 1));
const ofLanguage = (language) => (language === UNKNOWN ? null : { language });

/** The filters of one day, from midnight to midnight in UTC. */
export function ofDay(day) {
  const since = Date.parse(`${day}T00:00:00Z`);
  const at = (moment) => new Date(moment).toISOString().replace(".000Z", "Z");
  return { since: at(since), until: at(since + DAY_MS) };
}
