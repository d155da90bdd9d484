/** What happened between the overviews that this page has seen. Pure. */

const MOST = 300; // ten minutes, at two seconds each
const WINDOW = 30; // overviews over which quantiles are taken: a minute

const sum = (counts) => Object.values(counts).reduce((total, each) => total + each, 0);

export class History {
  #seen = [];

  /** Add an overview. The service was restarted if a count went down: what was before says nothing of it. */
  add(overview) {
    const last = this.#seen.at(-1);
    if (last && overview.at <= last.at && overview.started_at === last.started_at) return;
    if (last && overview.started_at !== last.started_at) this.#seen = [];
    this.#seen.push(overview);
    if (this.#seen.length > MOST) this.#seen.shift();
  }

  /** The moments of the overviews but the first, as dates. */
  get moments() {
    return this.#seen.slice(1).map(({ at }) => new Date(at * 1000));
  }

  /** A value at each moment. @param {(overview: object) => number|null} read */
  values(read) {
    return this.#seen.slice(1).map(read);
  }

  /** How fast a count grew until each moment, per second. @param {(overview: object) => number} read */
  rates(read) {
    return this.#pairs(1, (now, before, seconds) => Math.max(0, read(now) - read(before)) / seconds);
  }

  /** The quantile of what was observed within a minute before each moment, in milliseconds; null if nothing was. */
  quantiles(read, share) {
    return this.#pairs(WINDOW, (now, before) => {
      const earlier = read(before).buckets.map(({ count }) => count);
      const value = quantile(read(now).buckets.map(({ le, count }, i) => ({ le, count: count - earlier[i] })), share);
      return value === null ? null : value * 1000;
    });
  }

  #pairs(back, compare) {
    return this.#seen.slice(1).map((now, i) => {
      const before = this.#seen[Math.max(0, i + 1 - back)];
      return compare(now, before, Math.max(now.at - before.at, 0.001));
    });
  }
}

/** The quantile of a histogram with cumulative counts, interpolated within its bucket; null if it is empty. */
export function quantile(buckets, share) {
  const rank = share * (buckets.at(-1)?.count ?? 0);
  if (!rank) return null;
  let [lower, below] = [0, 0];
  for (const { le, count } of buckets) {
    if (count >= rank) return le === null ? lower : lower + ((le - lower) * (rank - below)) / (count - below);
    [lower, below] = [le, count];
  }
  return null;
}

export const total = sum;
