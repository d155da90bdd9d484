/** Exports: all messages that match the filters, as one file. */

import { saveFile } from "./files.js";

/** The exports, in the order of the buttons: name, parameters and file name. Excel reads UTF-8 only after a BOM. */
export const DOWNLOADS = [
  { name: "NDJSON", parameters: { format: "ndjson" }, file: "messages.ndjson" },
  { name: "CSV", parameters: { format: "csv", bom: true }, file: "messages.csv" },
  { name: "Parquet", parameters: { format: "parquet" }, file: "messages.parquet" },
  { name: "Arrow", parameters: { format: "arrow" }, file: "messages.arrows" },
  { name: "Chats, NDJSON", parameters: { format: "ndjson", shape: "chat" }, file: "chats.ndjson" },
  { name: "Chats, Parquet", parameters: { format: "parquet", shape: "chat" }, file: "chats.parquet" },
];

/**
 * Fetch a complete stream, then save it as a file. An interrupted stream is not saved. A plain link could carry neither
 * the key nor a search text.
 *
 * @param {import("./rest.js").RestClient} rest
 * @param {{method: string, path: string, body?: object}} request
 * @param {(bytes: number) => void} onProgress
 * @returns {Promise<number>} the file's bytes
 */
export async function download(rest, request, file, onProgress, signal) {
  const response = await rest.send(request, signal);
  const parts = [];
  let bytes = 0;
  for await (const part of chunks(response.body.getReader())) {
    parts.push(part);
    onProgress((bytes += part.length));
  }
  saveFile(file, new Blob(parts, { type: response.headers.get("content-type") }));
  return bytes;
}

async function* chunks(reader) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
