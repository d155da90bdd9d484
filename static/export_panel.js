/**
 * The export panel: what matches the filters, or what is selected, as a file; and examples that request the same data.
 * It is loaded after the first rows: nobody exports before there is something to see.
 */

import { DOWNLOADS, download } from "./download.js";
import { button, byId, element } from "./element.js";
import { copied, FORMS, saved } from "./picked.js";
import { recipes } from "./recipes.js";
import { SITE } from "./site.js";

export class ExportPanel {
  #rest;
  #query;
  #ticked;
  #running = null; // aborts the current export

  /** @param {import("./rest.js").RestClient} rest */
  constructor(rest) {
    this.#rest = rest;
    byId("downloads").append(...DOWNLOADS.map((what) => button(what.name, () => this.#save(what))));
    byId("picks").append(...FORMS.map((form) => button(form.name, () => tell(`${form.file}: ${saved(form, this.#ticked.items)}, complete.`))),
      button("Copy", () => this.#copy()));
  }

  /**
   * Offer what matches a query, or what is selected in its view.
   *
   * @param {import("./query.js").Query} query
   * @param {import("./ticked.js").Ticked} ticked
   */
  show(query, ticked) {
    [this.#query, this.#ticked] = [query, ticked];
    const isPicked = query.view === "messages" && ticked.count > 0;
    byId("exported").textContent = ticked.count ? SELECTED[query.view](ticked) : "all messages that match the filters";
    byId("downloads").hidden = isPicked;
    byId("picks").hidden = !isPicked;
    const texts = recipes(query, { origin: SITE, isKeyed: Boolean(this.#rest.key) });
    byId("recipes").replaceChildren(...Object.entries(texts).map(([name, text]) => recipe(name, text)));
  }

  async #save({ name, parameters, file }) {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const { signal } = running;
    const status = (...nodes) => signal.aborted || tell(...nodes);
    const size = element("span", {}, `${name}: starting …`);
    const cancel = button("Cancel", () => {
      status(`${name}: cancelled.`);
      running.abort();
    });
    status(size, " ", cancel);
    const dialogIds = this.#query.view === "dialogs" ? this.#ticked.keys : [];
    try {
      const bytes = await download(this.#rest, this.#query.exported(parameters, dialogIds), file, (sum) => (size.textContent = `${name}: ${formatted(sum)} …`), signal);
      status(`${file}: ${formatted(bytes)}, complete.`);
    } catch (error) {
      status(failure(`${file} was not saved: ${error.code ? error.message : "the stream was interrupted"}.`));
    }
  }

  async #copy() {
    try {
      tell(`${await copied(this.#ticked.items)} copied as NDJSON.`);
    } catch { // there is no clipboard over HTTP, but for localhost; and it can be forbidden
      tell(failure("Not copied: the browser does not let this page write to the clipboard. Save a file instead."));
    }
  }
}

/** What an export has of each view. Single messages are no export of the server's: the page makes them of its rows. */
const SELECTED = {
  messages: ({ count: number }) => `${number.toLocaleString("en-GB")} selected message${number === 1 ? "" : "s"}, made by this page from the rows that it loaded`,
  dialogs: ({ count: number, isFull }) => `the messages of ${number.toLocaleString("en-GB")} selected dialog${number === 1 ? "" : "s"}${isFull ? ", the most that one export can name" : ""}`,
};

const tell = (...nodes) => byId("download-state").replaceChildren(...nodes);
const failure = (text) => element("span", { className: "failure" }, text);
const formatted = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function recipe(name, text) {
  const code = element("pre", { tabIndex: 0 }, text);
  const copy = button("Copy", async () => {
    getSelection().selectAllChildren(code); // without clipboard access, Ctrl+C copies the selection
    await navigator.clipboard?.writeText(text).then(() => (copy.textContent = "Copied"), () => {});
  });
  copy.ariaLabel = `Copy the ${name} example`;
  return element("div", {}, element("div", { className: "head" }, element("h3", {}, name), copy), code);
}
