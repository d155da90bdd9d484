import { copyButton } from "./copy.js";
import { button, element } from "./element.js";
import { entryOf, line, matches, pretty, session } from "./frame.js";
import { exactClock, time } from "./times.js";

const MOST_ROWS = 400;
const MOST_KEPT = 5000;
const MOST_CHARACTERS = 20_000;
const ARROWS = { sent: "→", received: "←", event: "·" };

/**
 * The frame log: a table, newest last, that follows new rows unless its reader has scrolled up. It shows the last rows
 * that match the filter, and says how many are not shown.
 */
export class FrameLog {
  #body;
  #pane;
  #status;
  #sendAgain;
  #filter = { direction: "", type: "", text: "" };
  #entries = [];
  #forgotten = 0;
  #shown = [];
  #beyond = 0; // of those that match, the ones before the first row
  #arrived = []; // since the last drawing; a burst is drawn at once, because each layout of a long page takes a while

  /**
   * @param {HTMLTableSectionElement} body  inside a scrolling element with the role `log`
   * @param {HTMLElement} status  gets the counts
   * @param {(data: string) => void} sendAgain  sends a frame unchanged
   */
  constructor(body, status, sendAgain) {
    this.#body = body;
    this.#pane = body.closest("[role=log]");
    this.#status = status;
    this.#sendAgain = sendAgain;
  }

  sent(data) {
    this.#add(entryOf("sent", data, Date.now()));
  }

  received(data) {
    this.#add(entryOf("received", data, Date.now()));
  }

  event(text) {
    this.#add(entryOf("event", text, Date.now()));
  }

  clear() {
    this.#entries = [];
    this.#forgotten = 0;
    this.filter(this.#filter);
  }

  /** Show the entries that match. @param {{direction: string, type: string, text: string}} filter */
  filter(filter) {
    this.#filter = filter;
    this.#arrived = [];
    const matching = this.#entries.filter((entry) => matches(entry, filter));
    this.#shown = matching.slice(-MOST_ROWS);
    this.#beyond = matching.length - this.#shown.length;
    this.#body.replaceChildren(...this.#shown.map((entry, i) => this.#row(entry, this.#shown[i - 1])));
    this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#count();
  }

  /** Everything that is kept, as a file. */
  session() {
    return session(this.#entries);
  }

  #add(entry) {
    this.#entries.push(entry);
    if (this.#entries.length > MOST_KEPT) {
      this.#forgotten++;
      this.#beyond -= matches(this.#entries.shift(), this.#filter);
    }
    if (!this.#arrived.length) requestAnimationFrame(() => this.#draw());
    this.#arrived.push(entry);
  }

  #draw() {
    const matching = this.#arrived.filter((entry) => matches(entry, this.#filter));
    this.#arrived = [];
    const follows = this.#pane.scrollHeight - this.#pane.scrollTop - this.#pane.clientHeight < 40;
    const added = matching.slice(-MOST_ROWS);
    this.#body.append(...added.map((entry, i) => this.#row(entry, added[i - 1] ?? this.#shown.at(-1))));
    this.#shown.push(...added);
    const gone = this.#shown.splice(0, this.#shown.length - MOST_ROWS).length;
    for (const row of [...this.#body.rows].slice(0, gone)) row.remove();
    this.#beyond += gone + matching.length - added.length;
    if (follows) this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#count();
  }

  #count() {
    const all = this.#entries.length;
    const matching = this.#shown.length + this.#beyond;
    const isFiltered = Object.values(this.#filter).some(Boolean);
    const parts = [isFiltered ? `${matching.toLocaleString("en-GB")} of ${rows(all)}` : rows(all)];
    if (this.#beyond) parts.push(`${this.#beyond.toLocaleString("en-GB")} earlier not shown`);
    if (this.#forgotten) parts.push(`${this.#forgotten.toLocaleString("en-GB")} forgotten`);
    this.#status.textContent = all ? parts.join(", ") : "sent and received";
  }

  #row(entry, before) {
    const { at, kind, type } = entry;
    return element("tr", { data: { kind, type } },
      element("td", {}, time(at, exactClock)),
      element("td", { className: "number" }, before ? `+${(at - before.at).toLocaleString("en-GB")}` : ""),
      element("td", { className: "arrow" }, element("span", { ariaHidden: "true" }, ARROWS[kind]),
        element("span", { className: "hidden" }, kind)),
      element("td", {}, type),
      element("td", { className: "frame" }, kind === "event" ? element("code", { dir: "auto" }, entry.data) : this.#frame(entry)));
  }

  /** One line of the frame; opened, the whole frame and what can be done with it. */
  #frame(entry) {
    const box = element("details", {}, element("summary", {}, element("code", { dir: "auto" }, line(entry).slice(0, 300))));
    box.addEventListener("toggle", () => box.open && box.childElementCount === 1 && box.append(...this.#whole(entry)));
    return box;
  }

  #whole(entry) {
    const text = pretty(entry);
    const rest = text.length - MOST_CHARACTERS;
    const code = element("pre", { tabIndex: 0, dir: "auto" }, rest > 0 ? `${text.slice(0, MOST_CHARACTERS)} … ${rest.toLocaleString("en-GB")} more characters` : text);
    const acts = element("p", { className: "row" }, copyButton(entry.data, code, "Copy the frame"));
    if (entry.kind === "sent") acts.append(button("Send again", () => this.#sendAgain(entry.data)));
    return [code, acts];
  }
}

const rows = (number) => `${number.toLocaleString("en-GB")} ${number === 1 ? "row" : "rows"}`;
