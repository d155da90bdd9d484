/** What a part of a page shows when its request failed: why, and a button that repeats this request alone. */

import { button, element } from "./element.js";

const REFUSED = [401, 403]; // a key that is missing, or may not do this: a retry would be refused, too

/**
 * @param {Error & {code?: string, status?: number}} error
 * @param {string} what  the part's name, for the button
 * @param {() => void} again
 * @returns {Node[]}
 */
export function failed({ message, code, name, status }, what, again) {
  const told = element("p", { className: "failure" }, `${message} (${code ?? name})`);
  if (REFUSED.includes(status)) return [told];
  return [told, Object.assign(button("Retry", again), { ariaLabel: `Retry: ${what}` })];
}
