/** The line to the server: a WebSocket that can be watched, shouted into and cut. For diagnosis only. */

/**
 * Return what `openDialog` takes as `WebSocket`: its traffic is reported exactly as it is on the wire, and its static
 * `send(text)` and `cut()` act on the connection in use.
 *
 * @param {{sent(data: string): void, received(data: string): void, event(text: string): void}} watcher
 */
export function watchedLine(watcher) {
  return class Line extends WebSocket {
    static #current = null;

    constructor(url, protocols) {
      super(url, protocols);
      Line.#current = this;
      watcher.event("connecting");
      this.addEventListener("open", () => watcher.event(`connected: ${this.protocol}`));
      this.addEventListener("message", ({ data }) => Line.#current === this && watcher.received(data));
      this.addEventListener("close", ({ code }) => Line.#current === this && watcher.event(`closed ${code}`));
    }

    send(data) {
      super.send(data);
      watcher.sent(data);
    }

    /** Send anything at all, behind the SDK's back. Returns whether there was a line. */
    static send(text) {
      const open = Line.#current?.readyState === WebSocket.OPEN;
      if (open) Line.#current.send(text);
      return open;
    }

    /** To the SDK the network dies here and now: 1006, and nothing more is heard. Returns whether there was a line. */
    static cut() {
      const line = Line.#current;
      if (line?.readyState !== WebSocket.OPEN) return false;
      Line.#current = null;
      watcher.event("cut: closed 1006");
      const { onclose } = line;
      line.onopen = line.onmessage = line.onclose = null;
      line.close(); // a browser cannot drop a TCP connection without a word
      onclose?.call(line, new CloseEvent("close", { code: 1006 }));
      return true;
    }
  };
}
