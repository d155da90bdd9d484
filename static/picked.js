/**
 * Picked: single messages, as a file or on the clipboard. They are made of rows that the page has loaded, with the
 * fields and the spelling of the server's exports: its NDJSON and its CSV of the same messages have the same bytes.
 */

import { count } from "./element.js";
import { saveFile } from "./files.js";

const FIELDS = ["dialog_id", "seq", "customer", "customer_id", "role", "text", "language", "bot", "sent_at", "received_at", "stored_at"];
const TIMES = ["sent_at", "received_at", "stored_at"];
const BOM = "\ufeff"; // Excel reads UTF-8 only after it

// At each of these places a spreadsheet could find a formula; see the server's `exports/formats/csv.py`.
const SKIPPED = String.raw`(?:(?![\t\r\n])[\p{Cc}\p{White_Space}\p{Default_Ignorable_Code_Point}"])*`;
const DANGEROUS = new RegExp(`^(?=${SKIPPED}[\\t\\r\\n])|(?:^|(?<=[;\\t\\r\\n]))(?=${SKIPPED}[=+\\-@＝＋－＠])`, "gu");
const QUOTED = /[",;\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]/;
const SEPARATORS = /[\x85\u2028\u2029]/g; // some programs split lines at them

export const FORMS = [
  { name: "NDJSON", file: "messages.ndjson", type: "application/x-ndjson", of: ndjson },
  { name: "CSV", file: "messages.csv", type: "text/csv", of: csv },
];

/** Save messages as a file; return how many they are, in words. */
export function saved({ file, type, of }, messages) {
  saveFile(file, new Blob([of(messages)], { type }));
  return count(messages.length);
}

/** Copy messages as NDJSON; the same. */
export async function copied(messages) {
  await navigator.clipboard.writeText(ndjson(messages));
  return count(messages.length);
}

/** One JSON object a line. */
function ndjson(messages) {
  const lines = messages.map((message) => JSON.stringify(message, FIELDS.filter((name) => name in message)));
  return lines.map((line) => `${line.replace(SEPARATORS, escaped)}\n`).join("");
}

const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** CSV (RFC 4180) with a byte order mark, in which no spreadsheet finds a formula. */
function csv(messages) {
  const lines = messages.map((message) => FIELDS.map((name) => cell(name, message[name] ?? "")).join(","));
  return BOM + [FIELDS.join(","), ...lines, ""].join("\r\n");
}

function cell(name, value) {
  if (TIMES.includes(name) && value) return value.includes(".") ? value : value.replace("Z", ".000000Z");
  const text = String(value).replace(DANGEROUS, "'");
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
