/** Server-Sent Events over fetch: an `EventSource` could not send the caller's key. */

/**
 * Yield the data of each event of a response, until it ends.
 *
 * @param {Response} response
 * @param {number} silentMs  how long the server may send nothing
 * @throws if it sends nothing for longer: a connection whose other end is gone may stay open
 */
export async function* eventsOf(response, silentMs) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let read = await within(silentMs, reader.read()); !read.done; read = await within(silentMs, reader.read())) {
      const events = (rest + read.value).split("\n\n");
      rest = events.pop();
      for (const event of events) if (event.startsWith("data: ")) yield JSON.parse(event.slice(6));
    }
  } finally {
    reader.cancel().catch(() => {}); // it has failed already, or falls silent
  }
}

async function within(ms, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`the server has sent nothing for ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
