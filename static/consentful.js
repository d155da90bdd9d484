/**
 * Consentful for JavaScript: a conversation is kept only when the customer says yes.
 *
 *     const dialog = await openDialog("https://chat.example", { customerId: "c-42", language: "EN" });
 *     await dialog.say("Where is my parcel?");
 *     await dialog.say("It arrives tomorrow.", { role: "bot" });
 *     ask(dialog.notice.text);
 *     const stored = await dialog.grant(); // or: await dialog.decline()
 *
 * Runs in browsers, and wherever `WebSocket` and `fetch` are global (Node 22 and later). What it throws is a
 * `ConsentfulError`, with a stable `code` and a message that says what to do next and never carries words.
 *
 * @typedef {{id: string, language: string, text: string, sha256: string, purposes: string[], terms?: object}} Notice
 * @typedef {Record<"max_frame_bytes"|"max_text_bytes"|"max_dialog_bytes"|"max_messages"|"idle_timeout_s"|"max_duration_s",
 *   number>} Limits  bytes of UTF-8, and seconds
 * @typedef {{dialogId: string, messages: number, storedAt: Date, receipt: string, withdrawalCode: string}} Stored
 * @typedef {{dialogId: string, messages: number}} Discarded
 * @typedef {"connecting"|"open"|"reconnecting"|"unavailable"|"stored"|"discarded"|"left"|"failed"} State
 * @typedef {object} Options
 * @property {string} customerId  the chatbot's own name for the customer
 * @property {string} [dialogId]  a UUIDv7 is made if absent
 * @property {string} [language]  BCP 47; the default for messages
 * @property {string} [bot]  which chatbot speaks
 * @property {Record<string, string>} [metadata]  at most 4 KiB
 * @property {string | (() => string | Promise<string>)} [token]  a function is called anew for each connection
 * @property {number} [reconnectForMs]  how long to look for a server after a loss; 120 s if absent
 * @property {(frame: object, direction: "sent"|"received") => void} [onFrame]  frames carry words: do not log them
 * @property {(state: State, about: {delayMs?: number, error?: Error}) => void} [onState]
 * @property {typeof WebSocket} [WebSocket]  another implementation, or one that is watched
 */

const ROLES = ["customer", "bot", "agent"];
const LANGUAGE = /^[a-z]{1,8}(-[a-z0-9]{1,8}){0,8}$/i;
const JSON_V1 = "consentful.v1.json";
/** How many messages may be sent and not yet acked; `say` waits beyond it. */
export const WINDOW = 64;
/** A connection that leaves a frame unanswered for so long is dead. */
const ANSWER_WITHIN_MS = 20_000;
/** A connection that lasted so long was a good one: the next loss counts anew. */
const STEADY_MS = 5_000;

export class ConsentfulError extends Error {
  constructor(detail, code) {
    super(detail);
    this.name = new.target.name;
    this.code = code;
  }
}
/** The text or the dialog would be over a limit. Nothing was sent; say something shorter, or decide. */
export class TooLong extends ConsentfulError {}
/** The dialog cannot be decided like this (empty, an unknown notice or purpose). It is still open. */
export class Incomplete extends ConsentfulError {}
/** The dialog is over; open a new one. */
export class Finished extends ConsentfulError {}
/** Idle or open for too long: both sides dropped everything. */
export class TimedOut extends Finished {}
/** A newer connection of the same chatbot and customer took the dialog over. */
export class Superseded extends Finished {}
/** The dialog id holds another dialog, or another customer's. */
export class Conflict extends Finished {}
/** The dialog was erased and cannot come back. */
export class Erased extends Finished {}
/** No server could be reached for `reconnectForMs`. Nothing was stored; the dialog may be tried again. */
export class Unavailable extends ConsentfulError {}
/** Consent was sent, but no answer came. `dialog` still holds everything: decide again. */
export class OutcomeUnknown extends ConsentfulError {
  constructor(detail, dialog) {
    super(detail, "unknown");
    Object.defineProperty(this, "dialog", { value: dialog }); // not enumerable: loggers walk properties
  }
}
/** The token was refused. A token callback throws this to stop instead of being asked again. */
export class Unauthorised extends ConsentfulError {
  constructor(detail = "the token was refused; get another one") {
    super(detail, "unauthenticated");
  }
}
/** The token lacks the scope `dialogs:write`, or the origin is not allowed. */
export class Forbidden extends ConsentfulError {}
/** Any other refusal; `code` tells which. */
export class Refused extends ConsentfulError {}

/** Close codes that end a dialog for good. The server says why in an `error` frame, or else there is a sentence here. */
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
/** Refusals that answer a frame; any other one is followed by a close code, which decides. */
const ANSWERS = ["frame", "order", "limit", "empty", "notice", "purposes", "incomplete", "storage", "damaged"];

/** The time to wait before try number `attempt` (0, 1, …), in ms: full jitter, so that a fleet comes back spread out. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(10_000, 200 * 2 ** attempt);
}

/** A new UUIDv7 (RFC 9562 §5.7): ids sort by the time they were made. */
export function uuid7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0, rest = now; i < 6; i++, rest = Math.floor(rest / 256)) bytes[5 - i] = rest % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const utf8 = new TextEncoder();

/** Where live dialogs are held, from the server's address (`http…` or `ws…`). */
function endpoint(url) {
  const base = new URL(url, globalThis.location?.href);
  base.protocol = base.protocol.replace("http", "ws");
  base.pathname = `${base.pathname.replace(/\/+$/, "")}/v1/dialogs/live`;
  base.search = base.hash = "";
  return base.href;
}

/**
 * Open a dialog. When it resolves, the server holds the dialog and `notice` can be shown.
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

/** One conversation with one customer, kept in this object's memory until it is decided. */
export class Dialog {
  /** @type {string} */ id;
  /** @type {Notice} The wording to show; what `grant` agrees to. */ notice;
  /** @type {Limits} What this dialog may hold. */ limits;

  #url;
  #options;
  #opening = deferred();
  #socket = null; // the connection in use; older ones are not listened to
  #live = false; // whether it said `opened`
  #liveSince = 0;
  #messages = [];
  #bytes = 0;
  #sent = 0; // on this connection: handed to the socket …
  #acked = 0; // … and held by the server
  #rewound = -1;
  #waiting = []; // say() calls beyond the window
  #consent = null; // the decision that waits for its answer
  #owed = 0; // messages that a new connection must hear again
  #doubt = false; // a grant was sent, and it is not known what became of it
  #told = null; // the last `error` of this connection
  #offered = null;
  #attempt = 0;
  #lostAt = null;
  #timer = null;
  #patience = null;
  #resting = false; // gave up looking for a server, until the next call
  #over = null; // why nothing more can be done

  /** Begin to connect; `opened` tells how it went. `openDialog` is the usual door. */
  constructor(url, options) {
    this.#url = endpoint(url);
    this.#options = { reconnectForMs: 120_000, WebSocket: globalThis.WebSocket, ...options };
    this.id = this.#options.dialogId || uuid7();
    this.#connect();
  }

  /** Settles when the server first holds the dialog, or will not. */
  get opened() {
    return this.#opening.promise;
  }

  /** How many messages were said, and how many of them the server holds in memory. None is durable. */
  get progress() {
    return { said: this.#messages.length, held: this.#acked };
  }

  /**
   * Add one message. When it resolves, the message is on its way; it waits while more than `WINDOW` are unacked.
   *
   * @param {string} text  1 byte to `limits.max_text_bytes` of UTF-8
   * @param {{role?: "customer"|"bot"|"agent", language?: string, sentAt?: Date | string}} [about]
   * @throws {TooLong | Refused}  nothing was sent, the dialog goes on
   * @throws {ConsentfulError}  whatever ended the dialog
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
   * The customer says yes. When it resolves, the dialog is durable and this object's copy is dropped.
   *
   * @param {{purposes?: string[], notice?: string, givenBy?: "self"|"representative"}} [about]
   *   all of the notice's purposes, and the notice first shown, if absent
   * @returns {Promise<Stored>}
   * @throws {Incomplete}  nothing was decided, `code` says why; the dialog is still open
   * @throws {OutcomeUnknown | Unavailable}  no answer came in time: decide again
   * @throws {Conflict | Erased}  the id cannot be used
   */
  async grant({ purposes, notice = this.notice?.id, givenBy } = {}) {
    return this.#decide({ granted: true, notice, purposes: purposes && [...purposes], given_by: givenBy });
  }

  /**
   * The customer says no. When it resolves, nothing of the dialog is kept anywhere, whatever became of an earlier grant.
   *
   * @returns {Promise<Discarded>}
   * @throws {OutcomeUnknown | Unavailable}  nobody could be told: decline again
   */
  async decline() {
    return this.#decide({ granted: false, retract: this.#doubt || undefined });
  }

  /** Leave without a decision: both sides drop everything. */
  close() {
    this.#end(new Finished("the dialog was left without a decision", "finished"), "left");
  }

  #decide(frame) {
    if (this.#over) throw this.#over;
    const earlier = this.#consent;
    if (earlier && earlier.frame.granted === frame.granted) return earlier.promise;
    if (earlier && frame.granted) throw new Refused("the dialog is being declined", "order");
    earlier?.reject(new OutcomeUnknown("declined before the answer came", this)); // a no overtakes a yes
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

  /** Send what can be sent now; look for a server again if that had been given up. */
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
    const yes = consent?.frame.granted ?? true; // a no needs no replay: it is never refused
    while (yes && this.#sent < this.#messages.length && this.#sent - this.#acked < WINDOW) {
      this.#send(this.#messages[this.#sent++]);
    }
    if (!consent || consent.sent || consent.waits || (yes && this.#sent < this.#messages.length)) return;
    consent.sent = true;
    if (yes) this.#doubt = true;
    this.#send({ ...consent.frame, last_seq: this.#messages.length });
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
    this.#call("onFrame", frame, "sent");
    if (!this.#patience) this.#watch();
  }

  /** Callbacks run on their own: one that throws does not break the dialog. */
  #call(name, ...args) {
    const callback = this.#options[name];
    if (callback) queueMicrotask(() => callback(...args));
  }

  /** Give the server so long to answer, if there is anything to answer: a half-open socket never would. */
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
    if (this.#over) return;
    let socket;
    try {
      socket = new Socket(this.#url, bearer ? [JSON_V1, `bearer.${bearer}`] : [JSON_V1]);
    } catch {
      this.#end(new Unauthorised("the address or the token has characters that a WebSocket cannot carry"));
      return;
    }
    let upgraded = false;
    const listening = (listen) => (event) => socket === this.#socket && listen(event);
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

  /** Kinds and fields that only a newer server knows are passed on and otherwise left alone. */
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
    this.notice ??= notice; // consent is to the wording that was shown, not to a later node's
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
    if (this.#consent?.frame.granted === false) return; // an overtaken yes: the next connection hears the no
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
      return; // the answer to an overtaken yes: a no is never refused
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
      // A message that this server will never hold: leaving it out would store another dialog than was held.
      this.#end(new (code === "limit" ? TooLong : Refused)(detail, code));
    }
  }

  /** The server holds exactly `held` messages: go on from there. */
  #rewind(held) {
    if (!(held <= this.#messages.length)) return;
    this.#rewound = this.#acked = this.#sent = held;
    if (this.#consent) this.#consent.sent = false;
    this.#pump();
  }

  /** Consent was refused, and that is an answer: the dialog is as it was before. */
  #undecided(error) {
    if (error.code === "notice") this.notice = this.#offered; // the wording that can be agreed to; show it first
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
      this.#end(error); // it was never open, or is in doubt
      return;
    }
    this.#rest(error);
  }

  /** Do nothing more until the next call; nothing is dropped. */
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
      this.#finish("discarded", { dialogId: this.id, messages: this.#messages.length }); // its answer had been lost
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

/** A promise with its handles. A rejection that nobody waits for is no alarm. */
function deferred() {
  let resolve, reject;
  const promise = new Promise((...handles) => ([resolve, reject] = handles));
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** The frame without the fields that were left out, or left empty. */
function present(frame) {
  return Object.fromEntries(Object.entries(frame).filter(([, value]) => value != null && value !== ""));
}

/** Browsers do not say why a handshake was refused; the same address tells over plain HTTP. */
async function askWhy(url) {
  try {
    const { status } = await fetch(url.replace(/^ws/, "http"));
    if (status === 401) return new Unauthorised("a token is needed; `consentful keys create` makes one");
    if (status === 403) return new Forbidden("this page's origin is not allowed", "forbidden");
  } catch {
    // out of reach is no refusal
  }
  return null;
}
