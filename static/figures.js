/** What is plotted: for each figure the counts that it asks the server for, and what they mean. Pure. */

const DAY_MS = 86_400_000;
const OUTCOMES = ["granted", "declined", "dropped"];
const NOT_SAID = "not said";

/**
 * Labels in the order of drawing, and under each name a number for each of them. `link` makes the filters that a label
 * stands for; `rate`, if there is one, is a share of 1 for each label.
 *
 * @typedef {{labels: string[], series: Record<string, number[]>, rate?: (number|null)[], link?: (label: string) => object}} Counts
 */
export const FIGURES = [
  {
    name: "Dialogs a day",
    head: "Day",
    path: (question) => question.counted("day"),
    read: ({ items }) => counts(sorted(items, ({ day }) => day), "day", ["dialogs"], ofDay),
  },
  {
    name: "Messages by language",
    head: "Language",
    path: (question) => question.counted("language"),
    read: ({ items }) => counts(sorted(items, ({ messages }) => -messages), "language", ["messages"], ofLanguage),
  },
  {
    name: "Dialogs by length",
    head: "Messages",
    path: (question) => question.counted("length"),
    read: ({ items }) => counts(sorted(items, ({ length }) => parseInt(length, 10)), "length", ["dialogs"]),
  },
  {
    name: "Consent: how dialogs ended",
    head: "Day",
    path: (question) => question.ended,
    read: ({ items }) => outcomes(sorted(byDay(items), ({ day }) => day)),
  },
];

function counts(items, label, names, link) {
  const series = names.map((name) => [name, items.map((item) => item[name])]);
  return { labels: items.map((item) => item[label] ?? NOT_SAID), series: Object.fromEntries(series), link };
}

/** A day's outcomes, of all chatbots together. */
function byDay(items) {
  const days = new Map();
  for (const { day, ...numbers } of items) {
    const sum = days.get(day) ?? { day, granted: 0, declined: 0, dropped: 0 };
    for (const outcome of OUTCOMES) sum[outcome] += numbers[outcome];
    days.set(day, sum);
  }
  return [...days.values()];
}

/** The rate is of those who were asked and answered: who left said neither. */
function outcomes(days) {
  const rate = days.map(({ granted, declined }) => (granted + declined ? granted / (granted + declined) : null));
  return { ...counts(days, "day", OUTCOMES, ofDay), rate };
}

const sorted = (items, by) => items.toSorted((one, other) => (by(one) < by(other) ? -1 : 1));
const ofLanguage = (language) => (language === NOT_SAID ? null : { language });

/** From this day's midnight to the next one's, in UTC. */
function ofDay(day) {
  const since = Date.parse(`${day}T00:00:00Z`);
  const at = (moment) => new Date(moment).toISOString().replace(".000Z", "Z");
  return { since: at(since), until: at(since + DAY_MS) };
}
