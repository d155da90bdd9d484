/** Server-Sent Events over fetch: an `EventSource` could not send the caller's key. */

/** Yield the data of each event of a response, until it ends. @param {Response} response */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const events = (rest + read.value).split("\n\n");
      rest = events.pop();
      for (const event of events) if (event.startsWith("data: ")) yield JSON.parse(event.slice(6));
    }
  } finally {
    reader.cancel().catch(() => {}); // it has failed already
  }
}
