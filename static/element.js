/** DOM elements. Message text is always set as text, so it cannot become markup. */

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

/** Names and values for a `<dl>`; entries without a value are omitted. */
export function facts(rows) {
  const present = Object.entries(rows).filter(([, value]) => value);
  return present.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
}

export const count = (messages) => `${messages.toLocaleString("en-GB")} message${messages === 1 ? "" : "s"}`;

export const byId = (id) => document.getElementById(id);

/** Add an event listener. A form is never submitted to a server. */
export function on(id, kind, listen) {
  byId(id).addEventListener(kind, (event) => {
    if (kind === "submit") event.preventDefault();
    listen(event);
  });
}

export function button(name, act) {
  const made = element("button", { type: "button" }, name);
  made.addEventListener("click", act);
  return made;
}
