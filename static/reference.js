/** What both reference pages do: read their document, list it at the side, search it, and follow its anchors. */

import { byId, element } from "./element.js";
import { respond } from "./rest.js";
import { SITE } from "./site.js";

/**
 * @typedef {{title: string, entries: {href: string, label: Node[], text: string, target: HTMLElement}[]}} Group
 *   `text` is what the search looks at, `target` what it hides
 */

/**
 * Read a document and show it.
 *
 * @param {string} path  of the document
 * @param {(document: object) => {panels: Node[], groups: Group[]}} draw
 */
export async function show(path, draw) {
  const place = byId("reference");
  try {
    const response = await respond(SITE + path);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const { panels, groups } = draw(await response.json());
    place.replaceChildren(...panels);
    list(groups);
    follow();
    addEventListener("hashchange", follow);
  } catch (error) {
    const again = element("button", { type: "button", onclick: () => show(path, draw) }, "Retry");
    place.replaceChildren(element("p", { className: "failure", role: "alert" }, `${path} could not be read: ${error.message}`), again);
  }
  place.removeAttribute("aria-busy");
}

function list(groups) {
  const entries = groups.flatMap((group) => group.entries);
  for (const entry of entries) entry.link = element("li", {}, element("a", { href: entry.href }, ...entry.label));
  const parts = groups.map(({ title, entries: own }) => {
    const items = element("ul", {}, ...own.map(({ link }) => link));
    return { own, part: element("div", {}, element("h2", {}, title), items) };
  });
  byId("contents").replaceChildren(...parts.map(({ part }) => part));
  const search = byId("find");
  const count = byId("found");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = entries.filter((entry) => {
      const isHit = words.every((word) => entry.text.toLowerCase().includes(word));
      entry.link.hidden = entry.target.hidden = !isHit;
      return isHit;
    });
    for (const { own, part } of parts) part.hidden = own.every(({ link }) => link.hidden);
    for (const section of document.querySelectorAll("#reference > section")) {
      const inside = entries.filter(({ target }) => section.contains(target));
      section.hidden = inside.length > 0 && inside.every(({ target }) => target.hidden);
    }
    count.textContent = words.length ? `${hits.length} found` : "";
    return hits;
  };
  search.addEventListener("input", filter);
  byId("finding").addEventListener("submit", (event) => {
    event.preventDefault();
    const [first] = filter();
    if (first) location.hash = first.href;
  });
}

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  byId("find").closest("details").open = true;
  byId("find").focus();
});

/** Show what the URL's fragment names: it did not exist before the page was drawn, and may be closed. */
function follow() {
  const id = new URLSearchParams(`id=${location.hash.slice(1)}`).get("id"); // decodes without throwing at a stray %
  const target = byId(id);
  if (!target) return;
  target.hidden = false;
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  target.scrollIntoView();
}
