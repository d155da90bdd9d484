import { element } from "./element.js";
import { clock, time } from "./times.js";

const MOST_ROWS = 400;
const MOST_CHARACTERS = 2000;

/** The frame log: a table, newest last, that follows new rows unless the reader has scrolled up. */
export class FrameLog {
  #body;
  #pane;
  #last = null;

  /** @param {HTMLTableSectionElement} body  inside a scrolling element with the role `log` */
  constructor(body) {
    this.#body = body;
    this.#pane = body.closest("[role=log]");
  }

  sent(data) {
    this.#add("sent", "→", ...readFrame(data));
  }

  received(data) {
    this.#add("received", "←", ...readFrame(data));
  }

  event(text) {
    this.#add("event", "·", "", text);
  }

  clear() {
    this.#body.replaceChildren();
    this.#last = null;
  }

  #add(kind, arrow, type, text) {
    const now = Date.now();
    const passed = this.#last === null ? "" : `+${(now - this.#last).toLocaleString()}`;
    this.#last = now;
    const follows = this.#pane.scrollHeight - this.#pane.scrollTop - this.#pane.clientHeight < 40;
    this.#body.append(
      element("tr", { data: { kind, type } },
        element("td", {}, time(now, clock)),
        element("td", { className: "number" }, passed),
        element("td", { className: "arrow" }, element("span", { ariaHidden: "true" }, arrow),
          element("span", { className: "hidden" }, kind)),
        element("td", {}, type),
        element("td", { className: "frame" }, ...frameText(text)),
      ),
    );
    if (this.#body.rows.length > MOST_ROWS) this.#body.rows[0].remove();
    if (follows) this.#pane.scrollTop = this.#pane.scrollHeight;
  }
}

/** A long frame is collapsed; a very long one is truncated, with a note. */
function frameText(text) {
  if (text.length <= 160) return [element("code", { dir: "auto" }, text)];
  const rest = text.length - MOST_CHARACTERS;
  const shown = rest > 0 ? `${text.slice(0, MOST_CHARACTERS)} … ${rest.toLocaleString()} more characters` : text;
  return [element("details", {}, element("summary", {}, element("code", {}, `${text.slice(0, 110)}…`)),
    element("code", { dir: "auto" }, shown))];
}

/** The frame's type and its other fields. Data that is not a frame is shown unchanged. */
function readFrame(data) {
  try {
    const { type, ...rest } = JSON.parse(data);
    if (typeof type === "string") return [type, JSON.stringify(rest)];
  } catch {
    // not JSON: shown unchanged
  }
  return ["", String(data)];
}
