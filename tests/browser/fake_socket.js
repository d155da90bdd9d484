// A WebSocket whose other end is the test: `answer` is called with each frame that the SDK sends.
globalThis.FakeSocket = class FakeSocket {
  static made = [];
  static answer = () => {};
  static notice = { id: "n-1", language: "en", text: "May we?", sha256: "", purposes: ["a", "b"] };
  static limits = { max_text_bytes: 10, max_dialog_bytes: 1000, max_messages: 100, idle_timeout_s: 900 };

  sent = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    FakeSocket.made.push(this);
    queueMicrotask(() => this.onopen?.({}));
  }

  send(data) {
    const frame = JSON.parse(data);
    this.sent.push(frame);
    const { notice, limits } = FakeSocket;
    if (frame.type === "open" && !FakeSocket.mute) this.hear({ type: "opened", dialog_id: frame.dialog_id, notice, limits });
    FakeSocket.answer(frame, this);
  }

  hear(frame) {
    queueMicrotask(() => this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) }));
  }

  store(id = "d-1") {
    const [stored_at, receipt, withdrawal_code] = ["2026-01-01T00:00:00Z", "r", "w"];
    this.hear({ type: "stored", dialog_id: id, messages: 1, stored_at, receipt, withdrawal_code });
  }

  end(code) {
    queueMicrotask(() => this.onclose?.({ code }));
  }

  close() {}
};

/** What the SDK does with it: `run(async ({ sdk, open, Socket }) => …)`, with no jitter, so that nothing waits. */
globalThis.run = async (test) => {
  const sdk = await import("/static/consentful.js");
  Math.random = () => 0;
  const open = (options = {}) => sdk.openDialog("http://chat.test", { customerId: "c-1", WebSocket: FakeSocket, ...options });
  const failure = (promise) => promise.then(() => "fulfilled", ({ name, code }) => `${name} ${code}`);
  return await test({ sdk, open, failure, Socket: FakeSocket });
};
