import { element, time } from "./element.js";

const MOST_ROWS = 400;
const MOST_CHARACTERS = 2000;

/** The log of what went over the line: a table, newest last, that follows its end unless it is being read. */
export class FrameLog {
  #body;
  #pane;
  #last = null;

  /** @param {HTMLTableSectionElement} body  in an element of role `log`, which scrolls */
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
        element("td", {}, time(now)),
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

/** A long frame is folded; a very long one is cut, and says so. */
function frameText(text) {
  if (text.length <= 160) return [element("code", { dir: "auto" }, text)];
  const rest = text.length - MOST_CHARACTERS;
  const shown = rest > 0 ? `${text.slice(0, MOST_CHARACTERS)} … ${rest.toLocaleString()} more characters` : text;
  return [element("details", {}, element("summary", {}, element("code", {}, `${text.slice(0, 110)}…`)),
    element("code", { dir: "auto" }, shown))];
}

/** The frame's type, and the rest of it; what is no frame is shown as it is. */
function readFrame(data) {
  try {
    const { type, ...rest } = JSON.parse(data);
    if (typeof type === "string") return [type, JSON.stringify(rest)];
  } catch {
    // shown as it is
  }
  return ["", String(data)];
}
