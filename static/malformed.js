/**
 * Malformed frames by name, for a dialog with `held` messages.
 *
 * @returns {Record<string, string>}
 */
export function malformed(held, longest = 32768) {
  const seq = held + 1;
  const message = { type: "message", seq, text: "Hello" };
  const frames = {
    "unknown field": { ...message, colour: "blue" },
    "unknown type": { type: "shout", text: "Hello" },
    "wrong type": { ...message, seq: "one" },
    "empty text": { ...message, text: "" },
    "gap in seq": { ...message, seq: seq + 5 },
    "text too long": { ...message, text: "x".repeat(longest + 1) },
    "second open": { type: "open", customer_id: "somebody" },
    "grant with a message missing": { type: "consent", granted: true, last_seq: held + 1 },
  };
  const texts = Object.entries(frames).map(([name, frame]) => [name, JSON.stringify(frame)]);
  return Object.fromEntries([["not JSON", '{"type":"message","seq":'], ...texts]);
}
