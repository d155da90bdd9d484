/** Hits: the places where a text contains the words of a search, marked for reading. */

import { element } from "./element.js";

const BEFORE = 12; // characters that a snippet shows before its first hit

/** The parts of a text in turn: every second one is a hit. As the server's search: composed, without case. */
export function parts(text, words) {
  if (!words) return [text];
  const escaped = words.normalize("NFC").replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  return text.normalize("NFC").split(new RegExp(`(${escaped})`, "giu"));
}

/** A text as nodes, with its hits in `<mark>`. */
export function marked(text, words) {
  return parts(text, words).map((part, i) => (i % 2 ? element("mark", {}, part) : part)).filter((node) => node !== "");
}

/** The same, without what stands far before the first hit. */
export function snippet(text, words) {
  const first = parts(text, words)[0];
  if (first.length <= BEFORE || first.length >= text.length) return marked(text, words);
  let from = first.length - BEFORE;
  if (/[\uDC00-\uDFFF]/.test(first[from])) from -= 1; // not between the halves of a character
  return ["…", ...marked(text.normalize("NFC").slice(from), words)];
}
