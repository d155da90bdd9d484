/** Saved views: queries with their columns, under names, in this browser alone. */

import { button, element } from "./element.js";

const STORED_AS = "consentful views"; // in localStorage

/**
 * @typedef {object} View
 * @property {string} name
 * @property {string} url  the query, without words
 * @property {object} columns  the choice of columns
 * @property {{q?: string, metadata?: string}} [words]  what was searched for, if the reader ticked that it be kept
 */

export class SavedViews {
  #list;
  #go;

  /**
   * @param {HTMLElement} list
   * @param {(view: View) => void} go  shows a view
   */
  constructor(list, go) {
    [this.#list, this.#go] = [list, go];
    this.#draw();
  }

  /** @returns {View[]} */
  get #all() {
    return JSON.parse(localStorage.getItem(STORED_AS) ?? "[]");
  }

  set #all(views) {
    if (views.length) localStorage.setItem(STORED_AS, JSON.stringify(views));
    else localStorage.removeItem(STORED_AS);
    this.#draw();
  }

  /** Save a view; one with its name is replaced. @param {View} view */
  save(view) {
    this.#all = [...this.#all.filter(({ name }) => name !== view.name), view];
  }

  #draw() {
    const views = this.#all;
    const rows = views.map((view) => {
      const link = element("a", { href: view.url }, view.name);
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        event.stopPropagation(); // other links keep the words that are searched for now
        this.#go(view);
      });
      const remove = button("Delete", () => (this.#all = this.#all.filter(({ name }) => name !== view.name)));
      remove.ariaLabel = `Delete the view ${view.name}`;
      return element("li", {}, link, " ", ...(view.words ? [element("small", {}, "with its search")] : []), " ", remove);
    });
    this.#list.replaceChildren(...(rows.length ? rows : [element("li", { className: "quiet" }, "No view is saved in this browser.")]));
  }
}
