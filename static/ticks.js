/** Where an axis is labelled. Pure functions. */

/** The numbers from 0 to at least `most`, at most `count` steps of 1, 2 or 5 times a power of ten, or of whole numbers. */
export function ticks(most, count, isWhole = true) {
  if (!most) return [0, 1]; // a line of zeros, on the axis and not on the edge of nothing
  const rough = Math.max(most, isWhole ? 1 : Number.MIN_VALUE) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough * (1 - 1e-9));
  const whole = isWhole ? Math.max(1, Math.round(step)) : step;
  return Array.from({ length: Math.ceil(most / whole - 1e-9) + 1 || 1 }, (_, i) => i * whole);
}

/** The indices of the labels that fit: the first of each `n`, so that no two overlap. */
export function labelled(count, slot, widest) {
  const every = Math.max(1, Math.ceil((widest + 10) / slot));
  return Array.from({ length: Math.ceil(count / every) }, (_, i) => i * every);
}
