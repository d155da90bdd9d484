/** The page's elements. Text is always text: nothing that was said can become markup. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} properties  DOM properties; `data` holds data attributes
 * @param {...(Node | string)} children
 */
export function element(tag, { data = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

/** Names with what they stand for, for a `<dl>`; without what is not there. */
export function facts(rows) {
  const present = Object.entries(rows).filter(([, value]) => value);
  return present.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
}

export const count = (messages) => `${messages.toLocaleString()} message${messages === 1 ? "" : "s"}`;

export const byId = (id) => document.getElementById(id);

/** Listen to an element; a form is never sent anywhere. */
export function on(id, kind, listen) {
  byId(id).addEventListener(kind, (event) => {
    if (kind === "submit") event.preventDefault();
    listen(event);
  });
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

/** A moment in local time; the exact one shows on hover. */
export function time(moment, format = CLOCK) {
  const at = new Date(moment);
  return element("time", { dateTime: at.toISOString(), title: at.toISOString() }, at.toLocaleString([], format));
}
