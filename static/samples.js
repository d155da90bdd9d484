/** Sample messages of customers, bots and agents, in several languages and scripts. */
export const SAMPLES = [
  { name: "English", language: "en", role: "customer", text: "Where is my parcel?" },
  { name: "Deutsch", language: "de", role: "bot", text: "Ihr Paket kommt morgen zwischen neun und zwölf Uhr." },
  { name: "Español", language: "es", role: "customer", text: "¿Puedo cambiar la dirección de entrega?" },
  { name: "العربية", language: "ar", role: "bot", text: "نعم، أرسل لي العنوان الجديد من فضلك (رقم 17)." },
  { name: "日本語", language: "ja", role: "customer", text: "荷物はいつ届きますか。" },
  { name: "Emoji", language: "en", role: "agent", text: "Done 👍🏽 your parcel 📦 is on its way 👩‍👩‍👧‍👦" },
  { name: "Markup", language: "en", role: "customer", text: "<img src=x onerror=alert(1)> <b>bold?</b>" },
];

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
