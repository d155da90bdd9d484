/** One entry of the frame log: what was on the wire, when, and how it is written in the log. */

/**
 * @typedef {{at: number, kind: "sent"|"received"|"event", type: string, data: string}} Entry
 *   `type` is the frame's; empty for events, and for data that is no frame
 */

/** @returns {Entry} */
export function entryOf(kind, data, at) {
  const text = String(data);
  return { at, kind, type: kind === "event" ? "" : (read(text)?.type ?? ""), data: text };
}

/** The frame's other fields in one line; data that is not a frame is unchanged. */
export function line({ kind, type, data }) {
  if (kind === "event" || !type) return data;
  const { type: _, ...rest } = read(data);
  return JSON.stringify(rest);
}

/** The whole frame, indented. */
export function pretty({ data }) {
  const value = read(data);
  return value ? JSON.stringify(value, null, 2) : data;
}

/** Whether an entry has one of the types, is of the direction, and contains the text; what is empty does not filter. */
export function matches({ kind, type, data }, { direction, type: wanted, text }) {
  return (!direction || kind === direction) && (!wanted || type === wanted) && data.toLowerCase().includes(text.toLowerCase());
}

/** The entries as NDJSON: the time in UTC, the direction, and the frame as it was on the wire. */
export function session(entries) {
  return entries.map(({ at, kind, data }) => `${JSON.stringify({ at: new Date(at).toISOString(), kind, data })}\n`).join("");
}

function read(text) {
  try {
    const value = JSON.parse(text);
    return typeof value?.type === "string" ? value : null;
  } catch {
    return null; // free text
  }
}
