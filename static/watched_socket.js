/** A WebSocket that reports its traffic, sends raw text and can be cut. For diagnosis only. */

/**
 * Return a class for the option `WebSocket`. It reports all traffic exactly as it is on the wire; its static `send(text)`
 * and `cut()` act on the current connection.
 *
 * @param {{sent(data: string): void, received(data: string): void, event(text: string): void}} watcher
 */
export function watchedSocket(watcher) {
  return class WatchedSocket extends WebSocket {
    static #current = null;

    constructor(url, protocols) {
      super(url, protocols);
      WatchedSocket.#current = this;
      watcher.event("connecting");
      this.addEventListener("open", () => watcher.event(`connected: ${this.protocol}`));
      this.addEventListener("message", ({ data }) => WatchedSocket.#current === this && watcher.received(data));
      this.addEventListener("close", ({ code }) => WatchedSocket.#current === this && watcher.event(`closed ${code}`));
    }

    send(data) {
      super.send(data);
      watcher.sent(data);
    }

    /** Send any text, bypassing the SDK. Return whether there is a connection. */
    static send(text) {
      const open = WatchedSocket.#current?.readyState === WebSocket.OPEN;
      if (open) WatchedSocket.#current.send(text);
      return open;
    }

    /** Simulate a network failure: the SDK gets close code 1006. Return whether there was a connection. */
    static cut() {
      const socket = WatchedSocket.#current;
      if (socket?.readyState !== WebSocket.OPEN) return false;
      WatchedSocket.#current = null;
      watcher.event("cut: closed 1006");
      const { onclose } = socket;
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(); // a browser cannot abort a TCP connection, so the server gets a regular close
      onclose?.call(socket, new CloseEvent("close", { code: 1006 }));
      return true;
    }
  };
}
