/** The figures: which counts each one requests from the server, and how it reads them. Pure functions. */

const DAY_MS = 86_400_000;
const OUTCOMES = ["granted", "declined", "dropped"];
const UNKNOWN = "unknown";

/**
 * Labels in drawing order, and series with one number per label. `link` returns the filters of a label; `rate`, if
 * present, has a share from 0 to 1 per label.
 *
 * @typedef {{labels: string[], series: Record<string, number[]>, rate?: (number|null)[], link?: (label: string) => object}} Counts
 */
export const FIGURES = [
  {
    name: "Dialogs per day",
    head: "Day",
    path: (query) => query.counted("day"),
    read: ({ items }) => counts(sorted(items, ({ day }) => day), "day", ["dialogs"], ofDay),
  },
  {
    name: "Messages by language",
    head: "Language",
    path: (query) => query.counted("language"),
    read: ({ items }) => counts(sorted(items, ({ messages }) => -messages), "language", ["messages"], ofLanguage),
  },
  {
    name: "Dialogs by length",
    head: "Messages",
    path: (query) => query.counted("length"),
    read: ({ items }) => counts(sorted(items, ({ length }) => parseInt(length, 10)), "length", ["dialogs"]),
  },
  {
    name: "Outcomes and consent rate",
    head: "Day",
    path: (query) => query.outcomes,
    read: ({ items }) => outcomes(sorted(byDay(items), ({ day }) => day)),
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

/** The rate counts customers who decided; dialogs without a decision are excluded. */
function outcomes(days) {
  const rate = days.map(({ granted, declined }) => (granted + declined ? granted / (granted + declined) : null));
  return { ...counts(days, "day", OUTCOMES, ofDay), rate };
}

const sorted = (items, by) => items.toSorted((one, other) => (by(one) < by(other) ? -1 : 1));
const ofLanguage = (language) => (language === UNKNOWN ? null : { language });

/** The filters of one day, from midnight to midnight in UTC. */
function ofDay(day) {
  const since = Date.parse(`${day}T00:00:00Z`);
  const at = (moment) => new Date(moment).toISOString().replace(".000Z", "Z");
  return { since: at(since), until: at(since + DAY_MS) };
}
