/**
 * Consentful for JavaScript: a conversation is stored only if the customer consents.
 *
 *     const dialog = await openDialog("https://chat.example", { customerId: "c-42", language: "EN" });
 *     await dialog.say("Where is my parcel?");
 *     await dialog.say("It arrives tomorrow.", { role: "bot" });
 *     ask(dialog.notice.text);
 *     const stored = await dialog.grant(); // or: await dialog.decline()
 *
 * Runs in browsers, and wherever `WebSocket` and `fetch` are global (Node 22 and later). It throws `ConsentfulError`s:
 * each has a stable `code`, and a message that says what to do next and never contains message text.
 *
 * Theory of operation. A dialog outlives its sockets: a lost one is replaced, and every message is sent again.
 *
 *     connecting ──opened──► open ──lost──► reconnecting ──opened──► open
 *                              │                 │ no server for `reconnectForMs`
 *                              │                 └──► unavailable: no timer, no socket, until the next call
 *                              └──stored, discarded, final close code, close()──► over (`#over` is the reason)
 *
 * Everything runs in event callbacks of one thread. Races, and the line that closes each:
 *
 * (R1) An event of an old socket arrives after its replacement: `listening` ignores all sockets but `#socket`.
 * (R2) A token callback resolves after the dialog ended: `#over` is checked again after each await.
 * (R3) A half-open socket never closes: `#watch` replaces it when a frame is not answered in time.
 * (R4) Consent was sent and the socket is lost: the outcome is unknown (`#doubt`) until a server answers.
 * (R5) The customer declines while a grant is in progress: the grant is rejected, and answers to it are ignored.
 *
 * @typedef {{id: string, language: string, text: string, sha256: string, purposes: string[], terms?: object}} Notice
 * @typedef {Record<"max_frame_bytes"|"max_text_bytes"|"max_dialog_bytes"|"max_messages"|"idle_timeout_s"|"max_duration_s",
 *   number>} Limits  sizes in bytes of UTF-8, times in seconds
 * @typedef {{dialogId: string, messages: number, storedAt: Date, receipt: string, withdrawalCode: string}} Stored
 * @typedef {{dialogId: string, messages: number}} Discarded
 * @typedef {"connecting"|"open"|"reconnecting"|"unavailable"|"stored"|"discarded"|"left"|"failed"} State
 * @typedef {object} Options
 * @property {string} customerId  the chatbot's own id of the customer
 * @property {string} [dialogId]  a UUIDv7 is made if absent
 * @property {string} [language]  BCP 47; the default for messages
 * @property {string} [bot]  which chatbot speaks
 * @property {Record<string, string>} [metadata]  at most 4 KiB
 * @property {string | (() => string | Promise<string>)} [token]  a function is called again for each connection
 * @property {number} [reconnectForMs]  how long to look for a server after a loss; 120 s if absent
 * @property {(frame: object, direction: "sent"|"received") => void} [onFrame]  frames contain message text: do not log them
 * @property {(state: State, about: {delayMs?: number, error?: Error}) => void} [onState]
 * @property {typeof WebSocket} [WebSocket]  another implementation, for tests
 */

const ROLES = ["customer", "bot", "agent"];
const LANGUAGE = /^[a-z]{1,8}(-[a-z0-9]{1,8}){0,8}$/i;
const JSON_V1 = "consentful.v1.json";
/** How many messages may be sent and not yet acknowledged; `say` waits beyond it. */
export const WINDOW = 64;
/** A connection that leaves a frame unanswered for this long is dead. */
const ANSWER_WITHIN_MS = 20_000;
/** A connection that lasted this long was a good one: its loss starts the backoff anew. */
const STEADY_MS = 5_000;

export class ConsentfulError extends Error {
  constructor(detail, code) {
    super(detail);
    this.name = new.target.name;
    this.code = code;
  }
}
/** The text or the dialog would exceed a limit. Nothing was sent; send a shorter text, or decide. */
export class TooLong extends ConsentfulError {}
/** The dialog cannot be decided like this (empty, an unknown notice or purpose). It is still open. */
export class Incomplete extends ConsentfulError {}
/** The dialog is over; open a new one. */
export class Finished extends ConsentfulError {}
/** Idle or open for too long: both sides discarded everything. */
export class TimedOut extends Finished {}
/** A newer connection of the same chatbot and customer took over the dialog. */
export class Superseded extends Finished {}
/** The dialog id belongs to another dialog, customer or credential. */
export class Conflict extends Finished {}
/** The dialog was erased and cannot come back. */
export class Erased extends Finished {}
/** No server could be reached for `reconnectForMs`. Nothing was stored; the dialog may be tried again. */
export class Unavailable extends ConsentfulError {}
/** Consent was sent, but no answer arrived. `dialog` still holds everything: decide again. */
export class OutcomeUnknown extends ConsentfulError {
  constructor(detail, dialog) {
    super(detail, "unknown");
    Object.defineProperty(this, "dialog", { value: dialog }); // not enumerable: loggers print enumerable properties
  }
}
/** The token was refused. A token callback throws this to stop instead of being called again. */
export class Unauthorised extends ConsentfulError {
  constructor(detail = "the token was refused; get another one") {
    super(detail, "unauthenticated");
  }
}
/** The token lacks the scope `dialogs:write`, or the origin is not allowed. */
export class Forbidden extends ConsentfulError {}
/** Any other refusal; `code` tells which. */
export class Refused extends ConsentfulError {}

/** Close codes that end a dialog for good. The sentences here serve if no `error` frame came before the close. */
const ENDINGS = {
  4500: [Refused, "frame"],
  4501: [Unauthorised, "unauthenticated"],
  4503: [Forbidden, "forbidden"],
  4508: [TimedOut, "idle", "nobody spoke for too long"],
  4509: [Conflict, "conflict"],
  4510: [Erased, "erased"],
  4511: [Superseded, "superseded", "a newer connection took this dialog over"],
  4512: [Refused, "open", "the server waited in vain for the dialog to be opened"],
  4513: [TimedOut, "duration", "the dialog was open for too long"],
};
const PROTOCOL_ENDINGS = [1002, 1003, 1007, 1008, 1009, 1010];
/** Error codes that answer a frame. All others are followed by a close code, which decides. */
const ANSWERS = ["frame", "order", "limit", "empty", "notice", "purposes", "incomplete", "storage", "damaged"];

/** The wait before try number `attempt` (0, 1, …) in ms, with full jitter: not all clients come back at once. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(10_000, 200 * 2 ** attempt);
}

/** Return a new UUIDv7 (RFC 9562 §5.7); ids sort by their time of creation. */
export function uuid7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0, rest = now; i < 6; i++, rest = Math.floor(rest / 256)) bytes[5 - i] = rest % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const utf8 = new TextEncoder();

/** Return the URL for live dialogs at a server (`http…` or `ws…`). */
function endpoint(url) {
  const base = new URL(url, globalThis.location?.href);
  base.protocol = base.protocol.replace("http", "ws");
  base.pathname = `${base.pathname.replace(/\/+$/, "")}/v1/dialogs/live`;
  base.search = base.hash = "";
  return base.href;
}

/**
 * Open a dialog. It resolves once a server holds the dialog and `notice` can be shown.
 *
 * @param {string | URL} url  the server's address
 * @param {Options} options
 * @returns {Promise<Dialog>}
 * @throws {Unauthorised | Forbidden | Conflict | Refused | Unavailable}
 */
export async function openDialog(url, options) {
  const dialog = new Dialog(url, options);
  await dialog.opened;
  return dialog;
}

/** One conversation with one customer, held in memory here and at a server until it is decided. */
export class Dialog {
  /** @type {string} */ id;
  /** @type {Notice} The notice to show; `grant` consents to it. */ notice;
  /** @type {Limits} The limits of this dialog. */ limits;

  #url;
  #options;
  #opening = deferred();
  #socket = null; // the present one; events of older ones are ignored (R1)
  #live = false; // whether the server sent `opened` on it
  #liveSince = 0;
  #messages = [];
  #bytes = 0;
  #sent = 0; // on this connection: written to the socket …
  #acked = 0; // … and acknowledged by the server
  #rewound = -1;
  #waiting = []; // say() calls beyond the window
  #consent = null; // the decision that has no answer yet
  #owed = 0; // messages that a new connection must send again
  #doubt = false; // a grant was sent, and its outcome is unknown (R4)
  #told = null; // the last `error` of this connection
  #offered = null;
  #attempt = 0;
  #lostAt = null;
  #timer = null;
  #patience = null;
  #resting = false; // no server was reached: no timer and no socket until the next call
  #over = null; // the reason why the dialog is over

  /** Begin to connect; `opened` settles with the result. Usually called by `openDialog`. */
  constructor(url, options) {
    this.#url = endpoint(url);
    this.#options = { reconnectForMs: 120_000, WebSocket: globalThis.WebSocket, ...options };
    this.id = this.#options.dialogId || uuid7();
    this.#connect();
  }

  /** Settles when a server first holds the dialog, or refuses it. */
  get opened() {
    return this.#opening.promise;
  }

  /** Messages that were added, and messages that the server holds in memory. None is stored yet. */
  get progress() {
    return { said: this.#messages.length, held: this.#acked };
  }

  /**
   * Add one message, and send it. It resolves at once, or when at most `WINDOW` messages are not acknowledged.
   *
   * @param {string} text  1 byte to `limits.max_text_bytes` of UTF-8
   * @param {{role?: "customer"|"bot"|"agent", language?: string, sentAt?: Date | string}} [about]
   * @throws {TooLong | Refused}  nothing was sent; the dialog is still open
   * @throws {ConsentfulError}  the reason why the dialog is over
   */
  async say(text, { role = "customer", language, sentAt = new Date() } = {}) {
    if (this.#over) throw this.#over;
    if (this.#consent || this.#doubt) throw new Refused("the dialog is being decided; nothing can be added", "order");
    if (language && !LANGUAGE.test(language)) throw new Refused("language: not a BCP 47 tag, such as pt-BR", "frame");
    if (!ROLES.includes(role)) throw new Refused("role: one of customer, bot, agent", "frame");
    const words = String(text).toWellFormed?.() ?? String(text);
    const bytes = utf8.encode(words).length;
    this.#measure(bytes);
    const seq = this.#messages.length + 1;
    const year = new Date(sentAt).getUTCFullYear();
    if (!(year > 1 && year < 9999)) throw new Refused("sentAt: a time in the years 2 to 9998", "frame");
    const sent_at = new Date(sentAt).toISOString();
    this.#messages.push(present({ type: "message", seq, text: words, role, language, sent_at }));
    this.#bytes += bytes;
    this.#goOn();
    if (seq - this.#acked <= WINDOW) return;
    const room = deferred();
    this.#waiting.push({ seq, ...room });
    await room.promise;
  }

  /**
   * The customer consents. It resolves once the dialog is stored durably; this object's copy is discarded then.
   *
   * @param {{purposes?: string[], notice?: string, givenBy?: "self"|"representative"}} [about]
   *   if absent: all purposes of the notice, and the notice that was shown first
   * @returns {Promise<Stored>}
   * @throws {Incomplete}  nothing was decided, `code` says why; the dialog is still open
   * @throws {OutcomeUnknown | Unavailable}  no answer arrived in time: decide again
   * @throws {Conflict | Erased}  the id cannot be used
   */
  async grant({ purposes, notice = this.notice?.id, givenBy } = {}) {
    return this.#decide({ granted: true, notice, purposes: purposes && [...purposes], given_by: givenBy });
  }

  /**
   * The customer does not consent. It resolves once nothing of the dialog is stored, an earlier grant included.
   *
   * @returns {Promise<Discarded>}
   * @throws {OutcomeUnknown | Unavailable}  no server could be reached: decline again
   */
  async decline() {
    return this.#decide({ granted: false, retract: this.#doubt || undefined });
  }

  /** Leave without a decision: both sides discard everything. */
  close() {
    this.#end(new Finished("the dialog was left without a decision", "finished"), "left");
  }

  #decide(frame) {
    if (this.#over) throw this.#over;
    const earlier = this.#consent;
    if (earlier && earlier.frame.granted === frame.granted) return earlier.promise;
    if (earlier && frame.granted) throw new Refused("the dialog is being declined", "order");
    earlier?.reject(new OutcomeUnknown("declined before the answer came", this)); // (R5)
    this.#consent = { frame: present({ type: "consent", ...frame }), sent: false, refusals: 0, ...deferred() };
    this.#goOn();
    return this.#consent.promise;
  }

  #measure(bytes) {
    if (bytes === 0) throw new Refused("text: say at least one character", "frame");
    const sizes = { max_text_bytes: bytes, max_dialog_bytes: this.#bytes + bytes, max_messages: this.#messages.length + 1 };
    const over = Object.keys(sizes).find((limit) => sizes[limit] > this.limits?.[limit]);
    if (over) throw new TooLong(`over ${over} (${this.limits[over]}); say something shorter, or decide`, "limit");
  }

  /** Send what can be sent now; connect again if that had been given up. */
  #goOn() {
    if (this.#resting) {
      this.#resting = false;
      this.#attempt = 0;
      this.#connect();
    }
    this.#pump();
  }

  #pump() {
    if (!this.#live) return;
    const consent = this.#consent;
    const yes = consent?.frame.granted ?? true; // declining needs no replay: it is never refused
    while (yes && this.#sent < this.#messages.length && this.#sent - this.#acked < WINDOW) {
      this.#send(this.#messages[this.#sent++]);
    }
    if (!consent || consent.sent || consent.waits || (yes && this.#sent < this.#messages.length)) return;
    consent.sent = true;
    if (yes) this.#doubt = true; // (R4)
    this.#send({ ...consent.frame, last_seq: this.#messages.length });
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
    this.#call("onFrame", frame, "sent");
    if (!this.#patience) this.#watch();
  }

  /** Call a callback in a microtask of its own: if it throws, the dialog is not affected. */
  #call(name, ...args) {
    const callback = this.#options[name];
    if (callback) queueMicrotask(() => callback(...args));
  }

  /** Replace the socket if the server does not answer in time (R3). Without a frame to answer, no timer runs. */
  #watch() {
    clearTimeout(this.#patience);
    this.#patience = null;
    if (!this.#socket || (this.#live && this.#acked >= this.#sent && !this.#consent?.sent)) return;
    this.#patience = setTimeout(() => {
      const dead = this.#socket;
      this.#lose(1006);
      dead.close();
    }, ANSWER_WITHIN_MS);
  }

  async #connect() {
    const { token, WebSocket: Socket } = this.#options;
    this.#timer = null;
    this.#sent = this.#acked = 0;
    this.#owed = this.#messages.length;
    this.#rewound = -1;
    this.#told = null;
    if (this.#lostAt === null) this.#call("onState", "connecting", {});
    let bearer = token;
    try {
      if (typeof token === "function") bearer = await token();
    } catch (error) {
      if (this.#over) return;
      if (error instanceof Unauthorised) this.#end(error);
      return this.#retry();
    }
    if (this.#over) return; // (R2)
    let socket;
    try {
      socket = new Socket(this.#url, bearer ? [JSON_V1, `bearer.${bearer}`] : [JSON_V1]);
    } catch {
      this.#end(new Unauthorised("the address or the token has characters that a WebSocket cannot carry"));
      return;
    }
    let upgraded = false;
    const listening = (listen) => (event) => socket === this.#socket && listen(event); // (R1)
    socket.onopen = listening(() => {
      upgraded = true;
      const { customerId, language, bot, metadata } = this.#options;
      this.#send(present({ type: "open", customer_id: customerId, dialog_id: this.id, language, bot, metadata }));
    });
    socket.onmessage = listening(({ data }) => this.#hear(data));
    socket.onclose = listening(({ code }) => this.#lose(code, !upgraded && !bearer));
    this.#socket = socket;
    this.#watch();
  }

  /** Handle one frame. Unknown types and fields come from a newer server; they are ignored. */
  #hear(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    this.#call("onFrame", frame, "received");
    if (frame.type === "opened") this.#hearOpened(frame);
    else if (frame.type === "ack") this.#hearAck(frame);
    else if (frame.type === "error") this.#hearError(frame);
    else if (frame.type === "stored") this.#hearStored(frame);
    else if (frame.type === "discarded") this.#hearDiscarded(frame);
    this.#watch();
  }

  #hearOpened({ notice, limits }) {
    this.#live = true;
    this.#liveSince = Date.now();
    this.limits = limits;
    this.#offered = notice;
    this.notice ??= notice; // consent refers to the notice that was shown, not to another server's
    this.#call("onState", "open", {});
    this.#opening.resolve();
    this.#pump();
  }

  #hearAck({ seq }) {
    this.#acked = Math.max(this.#acked, Math.min(seq, this.#sent));
    this.#waiting = this.#waiting.filter((say) => say.seq - this.#acked > WINDOW || say.resolve());
    this.#pump();
  }

  #hearStored(frame) {
    if (this.#consent?.frame.granted === false) return; // (R5) the server stored it; the next connection sends the refusal
    this.#finish("stored", {
      dialogId: frame.dialog_id,
      messages: frame.messages,
      storedAt: new Date(frame.stored_at),
      receipt: frame.receipt,
      withdrawalCode: frame.withdrawal_code,
    });
  }

  #hearDiscarded(frame) {
    if (this.#consent?.frame.granted) this.#consent.reject(new Finished("the dialog was declined", "finished"));
    this.#finish("discarded", { dialogId: frame.dialog_id, messages: frame.messages });
  }

  #hearError(frame) {
    const { code, detail, expected } = frame;
    const consent = this.#consent?.sent ? this.#consent : null;
    this.#told = frame;
    if (code === "gap") {
      if (expected - 1 !== this.#rewound || this.#acked !== this.#rewound) this.#rewind(expected - 1);
    } else if (!ANSWERS.includes(code)) {
      return; // the close code follows
    } else if (consent?.frame.granted === false && code !== "storage") {
      return; // (R5) the answer to the grant: declining is never refused
    } else if (!this.#live) {
      this.#end(new Refused(detail, code));
    } else if (code === "incomplete" && consent && expected < this.#messages.length && consent.refusals++ < 3) {
      this.#rewind(expected);
    } else if (code === "storage" && consent && frame.retry && consent.refusals < 10) {
      consent.sent = false;
      consent.waits = setTimeout(() => {
        consent.waits = null;
        this.#pump();
      }, backoff(consent.refusals++));
    } else if (consent && !frame.seq) {
      this.#undecided(new Incomplete(detail, code));
    } else if (frame.seq ? frame.seq > this.#acked && frame.seq <= this.#sent : this.#acked < this.#sent) {
      // This server will never accept the message. Without it, another dialog than the customer's would be stored.
      this.#end(new (code === "limit" ? TooLong : Refused)(detail, code));
    }
  }

  /** The server holds exactly `held` messages: send the others again. */
  #rewind(held) {
    if (!(held <= this.#messages.length)) return;
    this.#rewound = this.#acked = this.#sent = held;
    if (this.#consent) this.#consent.sent = false;
    this.#pump();
  }

  /** The server decided nothing: the dialog is as it was before. */
  #undecided(error) {
    if (error.code === "notice") this.notice = this.#offered; // the notice on offer now; show it before the next grant
    this.#doubt = false;
    this.#consent.reject(error);
    this.#consent = null;
  }

  async #lose(code, mayBeRefused = false) {
    clearTimeout(this.#patience);
    this.#patience = this.#socket = null;
    if (this.#live && this.#acked >= this.#owed && Date.now() - this.#liveSince > STEADY_MS) {
      this.#attempt = 0;
      this.#lostAt = null;
    }
    this.#live = false;
    if (this.#consent) this.#consent.sent = false;
    const told = this.#told;
    if ((code >= 4500 && code <= 4999) || PROTOCOL_ENDINGS.includes(code)) {
      const [Ending, reason, detail = `the server ended the dialog (${code})`] = ENDINGS[code] ?? [Refused, "refused"];
      const why = told && (told.code === reason || Ending === Refused) ? told : { detail, code: reason };
      this.#end(new Ending(why.detail, why.code));
      return;
    }
    this.#lostAt ??= Date.now();
    const refusal = mayBeRefused ? await askWhy(this.#url) : null;
    if (refusal) this.#end(refusal);
    else this.#retry((told?.retry_after_s ?? 0) * 1000);
  }

  #retry(atLeastMs = 0) {
    if (this.#over) return;
    this.#lostAt ??= Date.now();
    const left = this.#lostAt + this.#options.reconnectForMs - Date.now();
    if (left <= 0) {
      this.#giveUp();
      return;
    }
    const delayMs = Math.min(left, atLeastMs + backoff(this.#attempt++));
    this.#call("onState", "reconnecting", { delayMs });
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }

  #giveUp() {
    const error = new Unavailable("no server could be reached; nothing was stored", "unavailable");
    if (this.#doubt || !this.limits) {
      this.#end(error); // it was never open, or the outcome is unknown
      return;
    }
    this.#rest(error);
  }

  /** Close the socket until the next call; nothing is discarded. */
  #rest(error) {
    this.#resting = true;
    this.#lostAt = null;
    this.#hangUp();
    this.#call("onState", "unavailable", { error });
    this.#rejectAll(error);
  }

  #hangUp() {
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#patience = null;
    this.#live = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #rejectAll(error) {
    for (const say of this.#waiting.splice(0)) say.reject(error);
    this.#consent?.reject(error);
    this.#consent = null;
  }

  #finish(state, outcome) {
    this.#consent?.resolve(outcome);
    this.#consent = null;
    this.#end(new Finished(`the dialog was ${state}; open a new one`, "finished"), state);
  }

  #end(error, state = "failed") {
    if (this.#over) return;
    if (this.#consent?.frame.granted === false && error instanceof Erased) {
      // An earlier refusal arrived, and its answer was lost.
      this.#finish("discarded", { dialogId: this.id, messages: this.#messages.length });
      return;
    }
    const isAnswer = state === "stored" || state === "discarded" || error instanceof Conflict || error instanceof Erased;
    if (this.#doubt && this.#consent && !isAnswer) {
      this.#rest(new OutcomeUnknown("consent was sent and no answer came; call grant() or decline() again", this));
      return;
    }
    this.#over = error;
    this.#hangUp();
    this.#rejectAll(error);
    this.#opening.reject(error);
    this.#messages = [];
    this.#call("onState", state, state === "failed" ? { error } : {});
  }
}

/** Return a promise with its handles. A rejection that nobody awaits is not reported as unhandled. */
function deferred() {
  let resolve, reject;
  const promise = new Promise((...handles) => ([resolve, reject] = handles));
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** Return the frame without absent and empty fields. */
function present(frame) {
  return Object.fromEntries(Object.entries(frame).filter(([, value]) => value != null && value !== ""));
}

/** Return why a handshake was refused. Browsers do not tell, but the same URL answers plain HTTP with the status. */
async function askWhy(url) {
  try {
    const { status } = await fetch(url.replace(/^ws/, "http"));
    if (status === 401) return new Unauthorised("a token is needed; `consentful keys create` makes one");
    if (status === 403) return new Forbidden("this page's origin is not allowed", "forbidden");
  } catch {
    // a server that cannot be reached has refused nothing
  }
  return null;
}
