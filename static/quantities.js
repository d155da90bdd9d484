/** Quantities as people read them. Pure. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const SPANS = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** `1.07 GB` */
export function bytes(number) {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(number, 1)) / 3)));
  return `${Number((number / 1000 ** power).toPrecision(3)).toLocaleString("en-GB")} ${UNITS[power]}`;
}

/** `3 d 4 h`: the two largest units, `0.4 ms` below a second, `–` of nothing. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0) return `${span(-seconds)} ago`;
  if (seconds && seconds < 1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  const first = SPANS.findIndex(([size]) => seconds >= size);
  if (first === -1) return "0 s";
  const parts = SPANS.slice(first, first + 2).map(([size, unit], i) => {
    const above = i ? seconds % SPANS[first][0] : seconds;
    return [Math.floor(above / size), unit];
  });
  return parts.filter(([number]) => number).map((part) => part.join(" ")).join(" ");
}

export const number = (value) => Number(value.toFixed(value < 10 ? 2 : 0)).toLocaleString("en-GB");

/** `1 dialog`, `2,574 dialogs` */
export const many = (value, what) => `${value.toLocaleString("en-GB")} ${what}${value === 1 ? "" : "s"}`;
