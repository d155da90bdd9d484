/** Everything that fits, as one file. */

/** What can be taken, in the order of the buttons: a name, what it is asked for with, and how the file ends. */
export const DOWNLOADS = [
  { name: "NDJSON", about: { format: "ndjson" }, file: "messages.ndjson" },
  { name: "CSV", about: { format: "csv" }, file: "messages.csv" },
  { name: "Parquet", about: { format: "parquet" }, file: "messages.parquet" },
  { name: "Arrow", about: { format: "arrow" }, file: "messages.arrows" },
  { name: "Chats, NDJSON", about: { format: "ndjson", shape: "chat" }, file: "chats.ndjson" },
  { name: "Chats, Parquet", about: { format: "parquet", shape: "chat" }, file: "chats.parquet" },
];

/**
 * Fetch a stream whole, then hand it to the browser as a file: one that breaks off becomes none. A plain link could not
 * carry the key, nor words to look for.
 *
 * @param {import("./door.js").Door} door
 * @param {{method: string, path: string, body?: object}} asked
 * @param {(bytes: number) => void} onProgress
 * @returns {Promise<number>} its bytes
 */
export async function download(door, asked, file, onProgress, signal) {
  const answer = await door.ask(asked, signal);
  const parts = [];
  let bytes = 0;
  for await (const part of chunks(answer.body.getReader())) {
    parts.push(part);
    onProgress((bytes += part.length));
  }
  const url = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("content-type") }));
  Object.assign(document.createElement("a"), { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after the click
  return bytes;
}

async function* chunks(reader) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
