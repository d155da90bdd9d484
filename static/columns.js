/** Columns: what a row of each view shows, and which of it the reader chose. The choice is kept in this browser. */

import { element } from "./element.js";
import { snippet } from "./hits.js";
import { time } from "./times.js";

const STORED_AS = "consentful columns"; // in localStorage: names of columns and keys of metadata, no values
const MOST_KEYS = 6;
const KEY = "metadata:";
const WIDTHS = { received: 6.9, stored: 6.9, role: 4.9, language: 3.8, length: 4.4, tick: 2.4, dialog: 7.8 }; // in rem; the default columns fit at 1280 px
const OTHER_WIDTH = 7;
const LEAST_TEXT = 11; // what is left is the text's, but not less

const text = (value) => [value ?? "–"];
const link = ({ dialog_id, seq }, { query }) => element("a",
  { href: query.url(dialog_id, seq), title: dialog_id, ariaLabel: `Dialog ${dialog_id}` }, `…${dialog_id.slice(-8)}`);

const TICK = { title: "", long: "Selected for export", cell: (item, { tick }) => [tick(item)], isFixed: true };

/** The columns of each view, in order: a title, the nodes of a cell, and whether it is shown unless chosen otherwise. */
const COLUMNS = {
  messages: {
    tick: TICK,
    received: { title: "Received", cell: ({ received_at }) => [time(received_at)] },
    role: { title: "Role", cell: ({ role }) => [role] },
    language: { title: "Lang.", long: "Language", cell: ({ language }) => text(language) },
    bot: { title: "Chatbot", cell: ({ bot }) => text(bot), isHidden: true },
    customer: { title: "Customer", cell: ({ customer }) => [customer], isHidden: true },
    text: { title: "Text", cell: (item, { query }) => snippet(item.text, query.q), isText: true },
    dialog: { title: "Dialog", cell: (item, how) => [link(item, how), element("small", {}, ` #${item.seq}`)], isFixed: true },
  },
  dialogs: {
    tick: TICK,
    stored: { title: "Stored", cell: ({ stored_at }) => [time(stored_at)] },
    length: { title: "Length", cell: ({ messages }) => [messages.toLocaleString("en-GB")] },
    language: { title: "Lang.", long: "Language", cell: ({ language }) => text(language) },
    text: { title: "First message", cell: (item, { query }) => snippet(item.first_text, query.q), isText: true },
    bot: { title: "Chatbot", cell: ({ bot }) => text(bot), isHidden: true },
    customer: { title: "Customer", cell: ({ customer }) => [customer], isHidden: true },
    annotations: { title: "Annotations", cell: ({ annotations }) => [said(annotations)] },
    dialog: { title: "Dialog", cell: (item, how) => [link(item, how)], isFixed: true, width: 6 },
  },
};

const widthOf = (view, name) => COLUMNS[view][name]?.width ?? WIDTHS[name] ?? OTHER_WIDTH;

/** The review statuses and labels of a dialog, each once. */
const said = (annotations) => [...new Set(annotations.flatMap(({ review, labels }) => [...(review ? [review] : []), ...labels]))].join(" ");

export class Columns {
  #chosen;

  constructor() {
    this.#chosen = JSON.parse(localStorage.getItem(STORED_AS) ?? "{}");
  }

  /** The names of a view's columns, in order; those of metadata before the last. */
  of(view) {
    const chosen = this.#chosen[view] ?? {};
    const own = Object.entries(COLUMNS[view]).filter(([name, it]) => it.isFixed || (chosen[name] ?? !it.isHidden)).map(([name]) => name);
    const last = own.pop();
    return [...own, ...this.keys(view).map((key) => KEY + key), last];
  }

  keys(view) {
    return this.#chosen.keys?.[view] ?? [];
  }

  /** What a reader can choose in a view: name, title and whether it is shown. */
  choices(view) {
    const shown = this.of(view);
    return Object.entries(COLUMNS[view]).filter(([, it]) => !it.isFixed)
      .map(([name, { title, long }]) => ({ name, title: long ?? title, isShown: shown.includes(name) }));
  }

  choose(view, name, isShown) {
    this.#keep({ [view]: { ...this.#chosen[view], [name]: isShown } });
  }

  chooseKeys(view, keys) {
    this.#keep({ keys: { ...this.#chosen.keys, [view]: [...new Set(keys)].slice(0, MOST_KEYS) } });
  }

  /** The choice as a whole, for a saved view. */
  get all() {
    return this.#chosen;
  }

  set all(chosen) {
    this.#chosen = {};
    this.#keep(chosen);
  }

  #keep(changes) {
    this.#chosen = { ...this.#chosen, ...changes };
    localStorage.setItem(STORED_AS, JSON.stringify(this.#chosen));
  }

  /** What the list must ask the server for, so that its columns can be drawn. */
  includes(view) {
    const names = this.of(view);
    const ofDialogs = { first_text: names.includes("text"), annotations: names.includes("annotations") };
    const wanted = { ...(view === "dialogs" && ofDialogs), metadata: this.keys(view).length };
    return Object.keys(wanted).filter((name) => wanted[name]);
  }

  /** The header cells of a view. */
  heads(view) {
    return this.of(view).map((name) => {
      const { title, long, isText } = COLUMNS[view][name] ?? { title: name.slice(KEY.length) };
      const shown = long ? element("abbr", { title: long }, title || "✓") : title;
      const head = element("th", { scope: "col", className: classOf(name) }, shown);
      if (!isText) head.style.width = `${widthOf(view, name)}rem`;
      return head;
    });
  }

  /** The least width of a view's table, in rem; a narrower pane scrolls sideways. */
  least(view) {
    return this.of(view).reduce((sum, name) => sum + (name === "text" ? LEAST_TEXT : widthOf(view, name)), 0);
  }

  /** The cells of an item. @param {{query: import("./query.js").Query, tick: (item: object) => Node}} how */
  cells(view, item, how) {
    return this.of(view).map((name) => {
      const { cell, isText } = COLUMNS[view][name] ?? { cell: ({ metadata }) => text(metadata?.[name.slice(KEY.length)]) };
      const made = element("td", { className: classOf(name) }, ...cell(item, how));
      const whole = isText ? (item.text ?? item.first_text).slice(0, 1000) : made.textContent;
      return Object.assign(made, isText ? { dir: "auto", lang: item.language ?? "", title: whole } : name === "dialog" || name === "tick" ? {} : { title: whole });
    });
  }
}

const classOf = (name) => (name.startsWith(KEY) ? "metadata" : name);
