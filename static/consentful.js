/**
 * Consentful for JavaScript: a conversation is stored only with the customer's consent.
 *
 *     const dialog = await openDialog("https://chat.example", { customerId: "c-42", language: "EN" });
 *     await dialog.say("Where is my parcel?");
 *     await dialog.say("It arrives tomorrow.", { role: "bot" });
 *     ask(dialog.notice.text);
 *     const stored = await dialog.grant(); // or: await dialog.decline()
 *
 * Runs in browsers and in Node: 22 or later, or 20 with the option `WebSocket` (package `ws`). It is an ES module: in a
 * package without `"type": "module"`, name the file consentful.mjs and use `await import("./consentful.mjs")`. Every
 * error is a `ConsentfulError` with a stable `code`; it says what to do next, and never contains message text.
 * TypeScript reads the types from these comments (`allowJs`).
 *
 *     CONNECTING -- opened --> OPEN -- stored, discarded or terminal close --> ENDED
 *        ^  ^                   | loss: backoff, reconnect, replay all messages, then the pending consent
 *        |  +-------------------+
 *        +-- next call -- PAUSED: no server for `reconnectForMs`, or none that accepts the token any more;
 *                         nothing is dropped
 *
 * The server holds a dialog as long as its connection; this object keeps every message until the decision.
 * While `#isUncertain`, a grant was sent and may have been stored: only an answer about its outcome ends the dialog.
 *
 * @typedef {{id: string, language: string, text: string, sha256: string, purposes: string[], terms?: object, purpose_names?: Record<string, string>}} Notice
 * @typedef {Record<"max_frame_bytes"|"max_text_bytes"|"max_dialog_bytes"|"max_messages"|"idle_timeout_s"|"max_duration_s",
 *   number>} Limits  bytes of UTF-8, and seconds
 * @typedef {{dialogId: string, messages: number, storedAt: Date, receipt: string, withdrawalCode: string}} Stored
 * @typedef {{dialogId: string, messages: number}} Discarded
 * @typedef {{dialogId: string, erasedAt: Date, status: "unreadable"|"pending"|"complete"}} Withdrawn  `pending`: a copy of
 *   the dialog's key is left for a moment; ask again
 * @typedef {{dialogId: string, purposes: string[], status: "narrowed"}} Narrowed  `purposes`: those that are left
 * @typedef {"connecting"|"open"|"reconnecting"|"unavailable"|"stored"|"discarded"|"left"|"failed"} State
 * @typedef {object} Options
 * @property {string} customerId  the chatbot's id of the customer
 * @property {string} [dialogId]  default: a new UUIDv7
 * @property {string} [language]  BCP 47; the default for messages
 * @property {string} [bot]  the chatbot's name
 * @property {Record<string, string>} [metadata]  at most 4 KiB
 * @property {string | (() => string | Promise<string>)} [token]  a function is called for each connection
 * @property {number} [reconnectForMs]  how long to retry after a loss; default 120 s
 * @property {(frame: object, direction: "sent"|"received") => void} [onFrame]  do not log frames: they have message text
 * @property {(state: State, about: {delayMs?: number, error?: Error}) => void} [onState]
 * @property {typeof WebSocket} [WebSocket]  another implementation
 */

const ROLES = ["customer", "bot", "agent"];
/** A well-formed BCP 47 tag (RFC 5646 §2.1). */
const LANGUAGE = new RegExp(
  "^(([a-z]{2,3}(-[a-z]{3}){0,3}|[a-z]{4,8})(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*" +
    "(-[0-9a-wyz](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?|x(-[a-z0-9]{1,8})+|i-[a-z]{3,8}|en-gb-oed|sgn(-[a-z]{2}){2})$",
  "i",
);
/** RFC 3339; without an offset, a time depends on the machine. */
const OFFSET = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;
const JSON_V1 = "consentful.v1.json";
/** Maximum number of unacked messages; `say` waits beyond it. */
export const WINDOW = 64;
/** A connection is lost if a frame has no answer for this long. */
const ANSWER_WITHIN_MS = 20_000;
/** After a connection of this duration, the backoff starts again. */
const STEADY_MS = 5_000;
/** How long `withdraw` waits for its answer. */
const WITHDRAWN_WITHIN_MS = 30_000;

export class ConsentfulError extends Error {
  /**
   * @param {string} detail
   * @param {string} code
   */
  constructor(detail, code) {
    super(detail);
    this.name = new.target.name;
    this.code = code;
  }
}
/** The message would exceed a limit. Nothing was sent; send a shorter one, or decide. */
export class TooLong extends ConsentfulError {}
/** The decision is invalid (empty dialog, unknown notice or purpose). The dialog stays open. */
export class Incomplete extends ConsentfulError {}
/** The dialog has ended; open a new one. */
export class Finished extends ConsentfulError {}
/** Idle or open for too long. Both sides discarded the dialog. */
export class TimedOut extends Finished {}
/** A newer connection of the same chatbot and customer took over the dialog. */
export class Superseded extends Finished {}
/** The dialog id belongs to another dialog, or to another customer's. */
export class Conflict extends Finished {}
/** The dialog was erased; its id cannot be reused. */
export class Erased extends Finished {}
/** No server was reachable for `reconnectForMs`. Nothing was stored; try again. */
export class Unavailable extends ConsentfulError {}
/** Consent was sent, but no answer arrived. `dialog` still has all messages: decide again. */
export class OutcomeUnknown extends ConsentfulError {
  /** @type {Dialog} */ dialog;

  /**
   * @param {string} detail
   * @param {Dialog} dialog
   */
  constructor(detail, dialog) {
    super(detail, "unknown");
    Object.defineProperty(this, "dialog", { value: dialog, enumerable: false }); // not enumerable, so that loggers skip it
  }
}
/** The token was rejected. A token callback throws this to stop further attempts. */
export class Unauthorised extends ConsentfulError {
  constructor(detail = "the token was rejected; get a new one") {
    super(detail, "unauthenticated");
  }
}
/** The token lacks the scope `dialogs:write`, or the origin is not allowed. */
export class Forbidden extends ConsentfulError {}
/** No dialog has this withdrawal code. Nothing was erased. */
export class UnknownCode extends ConsentfulError {}
/** Any other refusal; see `code`. */
export class Refused extends ConsentfulError {}
/** The server refused message `seq`; the dialog goes on without it. This call did nothing: repeat it. */
export class MessageRefused extends Refused {
  /**
   * @param {string} detail
   * @param {string} code
   * @param {number} seq
   */
  constructor(detail, code, seq) {
    super(`the server refused message ${seq} (${detail}), and the dialog goes on without it`, code);
    this.seq = seq;
  }
}

/** Terminal close codes: error class, code, and the sentence if no `error` frame preceded. */
const TERMINAL = {
  4500: [Refused, "frame"],
  4501: [Unauthorised, "unauthenticated"],
  4503: [Forbidden, "forbidden"],
  4508: [TimedOut, "idle", "the dialog was idle for too long; open a new one"],
  4509: [Conflict, "conflict"],
  4510: [Erased, "erased"],
  4511: [Superseded, "superseded", "a newer connection took over this dialog; continue there"],
  4512: [Refused, "open", "the server did not receive `open` in time; open a new dialog"],
  4513: [TimedOut, "duration", "the dialog exceeded its maximum duration; open a new one"],
};
const PROTOCOL_ERRORS = [1002, 1003, 1007, 1008, 1009, 1010];
/** Error codes that answer a frame. After any other one, the close code decides. */
const ANSWERS = ["frame", "order", "limit", "empty", "notice", "purposes", "incomplete", "storage", "damaged"];

/**
 * The delay before attempt 0, 1, … in ms, with full jitter, so that clients do not reconnect all at once.
 *
 * @param {number} attempt
 */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(10_000, 200 * 2 ** attempt);
}

/** A new UUIDv7 (RFC 9562 §5.7): ids sort by their time. */
export function uuid7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0, rest = now; i < 6; i++, rest = Math.floor(rest / 256)) bytes[5 - i] = rest % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** A clock that nobody sets, in ms. */
const monotonic = () => performance.now();

const utf8 = new TextEncoder();

/** Lone surrogates become U+FFFD, as in `toWellFormed`, which older platforms lack. */
const wellFormed = (text) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8.encode(text));
const size = (text) => utf8.encode(text).length;
const isText = (value) => typeof value === "string";
const isSent = (value) => isText(value) && wellFormed(value) === value;
const isShort = (value) => isSent(value) && value !== "" && [...value].length <= 200;
const isLabel = (value) => isText(value) && /^[\w.:-]{1,100}$/.test(value);
const isObject = (value) => Object.prototype.toString.call(value) === "[object Object]";
const hints = { assistant: "bot", user: "customer", operator: "agent" };

/** What each parameter must be, as in the server's schema. */
const CHECKS = {
  customerId: [isShort, "a string of 1 to 200 characters"],
  dialogId: [(id) => isText(id) && /^(?!(\.{1,2}|live)$)[\w.~:-]{1,200}$/.test(id), "1 to 200 of A-Z a-z 0-9 . _ ~ : - and not . or .. or live"],
  language: [(tag) => isText(tag) && tag.length <= 80 && LANGUAGE.test(tag.replaceAll("_", "-")), "a BCP 47 tag, such as en or pt-BR"],
  bot: [(bot) => isShort(bot) && !/[\0-\x1f\x7f]/.test(bot), "1 to 200 characters, none of them a control character"],
  metadata: [
    (data) => isObject(data) && Object.entries(data).every(([key, value]) => isShort(key) && isSent(value)) &&
      size(Object.entries(data).flat().join("")) <= 4096,
    "an object of strings, of at most 4096 bytes",
  ],
  text: [(text) => isText(text) && text !== "", "a non-empty string"],
  role: [(role) => ROLES.includes(role), "customer, bot or agent"],
  sentAt: [
    (at) => (at instanceof Date || (isText(at) && OFFSET.test(at))) && Math.abs(new Date(at).getUTCFullYear() - 5000) < 4999,
    "a Date, or a string with an offset such as 2026-01-31T12:00:00Z, in the years 2 to 9998",
  ],
  code: [isText, "a string"],
  notice: [isLabel, "the id of a notice"],
  purposes: [(all) => Array.isArray(all) && all.length <= 100 && all.every(isLabel), 'an array of ids, such as ["improve-chatbot"]'],
  givenBy: [(by) => ["self", "representative"].includes(by), "self or representative"],
};

const REQUIRED = ["customerId", "text", "code"];
const MAY_BE_NULL = ["dialogId", "language", "bot", "metadata", "notice", "purposes"];

/** Refuse at the call what the server would refuse. */
function check(parameters) {
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined && !REQUIRED.includes(name)) continue;
    if (value === null && MAY_BE_NULL.includes(name)) continue;
    const [isTaken, expected] = CHECKS[name];
    const other = name === "role" && Object.hasOwn(hints, value) ? `; use "${hints[value]}"` : "";
    if (!isTaken(value)) throw new Refused(`${name}: must be ${expected}, not ${kindOf(value)}${other}`, "frame");
  }
}

/** The type of a refused value, which may be secret. */
function kindOf(value) {
  if (isText(value)) return value ? "such a string" : "an empty string";
  return value === null ? "null" : value?.constructor?.name ?? typeof value;
}

/** The URL of a route, from the server's URL (`http…` or `ws…`). */
function endpoint(url, path) {
  const base = new URL(url, globalThis.location?.href);
  base.pathname = `${base.pathname.replace(/\/+$/, "")}${path}`;
  base.search = base.hash = "";
  return base.href;
}

/**
 * Open a dialog. When it resolves, the dialog is open and `notice` can be shown.
 *
 * @param {string | URL} url  the server's URL
 * @param {Options} options
 * @returns {Promise<Dialog>}
 * @throws {Unauthorised | Forbidden | Conflict | Refused | Unavailable}
 */
export async function openDialog(url, options) {
  const dialog = new Dialog(url, options);
  await dialog.opened;
  return dialog;
}

/**
 * The customer withdraws the consent of this withdrawal code (GDPR art. 7(3)). No token is needed. Without `purposes`
 * the dialog is erased. With some of the notice's purposes the consent ends for these alone; where none is left, the
 * dialog is erased. The code is read as people type and paste it; one that was used before gets the same answer again.
 *
 * @param {string | URL} url  the server's URL
 * @param {string} code  `withdrawalCode` of `Stored`
 * @param {{purposes?: string[]}} [about]  default: the whole consent
 * @returns {Promise<Withdrawn | Narrowed>}
 * @throws {UnknownCode | Unavailable | Refused}
 */
export async function withdraw(url, code, { purposes } = {}) {
  check({ code, purposes });
  if (purposes?.length === 0) {
    // No purpose and every purpose are opposites, so neither is guessed.
    throw new Refused("purposes: must not be empty; leave it out to withdraw the whole consent", "frame");
  }
  let status, type, answer;
  try {
    const response = await fetch(endpoint(url, "/v1/withdrawals").replace(/^ws/, "http"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code, purposes: purposes ?? undefined }),
      credentials: "omit",
      signal: AbortSignal.timeout(WITHDRAWN_WITHIN_MS),
    });
    status = response.status;
    type = response.headers.get("Content-Type") ?? "";
    answer = await response.text();
  } catch (error) {
    throw new Unavailable(`the server cannot be reached (${error.name}); the outcome is unknown, try again`, "unavailable");
  }
  if (status === 200 || status === 202) {
    const { dialog_id, erased_at, purposes: left, status: state } = JSON.parse(answer);
    if (state === "narrowed") return { dialogId: dialog_id, purposes: left, status: state };
    return { dialogId: dialog_id, erasedAt: new Date(erased_at), status: state };
  }
  const isProblem = type.startsWith("application/problem+json");
  if (status === 400 && isProblem && purposes) {
    throw new Refused("purposes must be purposes of the notice that the customer was shown; nothing was withdrawn", "bad_request");
  }
  if ((status === 400 || status === 404) && isProblem) {
    throw new UnknownCode("no dialog has this withdrawal code; check it and try again; nothing was erased", "not_found");
  }
  if ([429, 500, 502, 503, 504].includes(status)) {
    throw new Unavailable(`the server cannot erase at the moment (HTTP ${status}); try again`, "unavailable");
  }
  throw new Refused(`the server at this address does not accept withdrawals (HTTP ${status})`, `http_${status}`);
}

/**
 * Return a link to the withdrawal page that carries the code, for the customer alone. The code is in the fragment,
 * which no browser sends to a server and no server logs.
 *
 * @param {string | URL} url  the server's URL
 * @param {string} code  `withdrawalCode` of `Stored`
 * @param {string} [language]  the page's, such as the notice's; else it follows the customer's browser
 * @returns {string}
 */
export function withdrawalLink(url, code, language) {
  const page = endpoint(url, "/withdraw").replace(/^ws/, "http");
  return `${page}${language ? `?lang=${encodeURIComponent(language)}` : ""}#${code}`;
}

/**
 * Return a QR code of the link to the withdrawal page, as an SVG document, for the customer alone. The server draws it;
 * the code is in the request's body. Show it with its white border, which readers need.
 *
 * @param {string | URL} url  the server's URL
 * @param {string} code  `withdrawalCode` of `Stored`
 * @param {{language?: string, token?: string}} [options]  the page's language; a token with the scope `dialogs:write`
 * @returns {Promise<string>}
 * @throws {Unavailable | Refused}
 */
export async function withdrawalQr(url, code, { language, token } = {}) {
  check({ code, language });
  let response, answer;
  try {
    response = await fetch(endpoint(url, "/v1/withdrawals/qr").replace(/^ws/, "http"), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ code, language }),
      credentials: "omit",
      signal: AbortSignal.timeout(WITHDRAWN_WITHIN_MS),
    });
    answer = await response.text();
  } catch (error) {
    throw new Unavailable(`the server cannot be reached (${error.name}); try again`, "unavailable");
  }
  if (response.ok) return answer;
  throw new Refused(`the server does not draw this QR code (HTTP ${response.status})`, `http_${response.status}`);
}

/** One conversation with one customer, held in this object's memory until it is decided. */
export class Dialog {
  /** @type {string} */ id;
  /** @type {Notice} The notice to show; `grant` consents to it. */ notice;
  /** @type {Limits} The limits of this dialog. */ limits;

  #url;
  #options;
  #opening = deferred();
  #socket = null; // the current connection; events of earlier ones are ignored
  #isOpened = false; // `opened` was received on it
  #openedAt = 0;
  #messages = [];
  #bytes = 0;
  #sent = 0; // messages sent on this connection
  #acked = 0; // messages that the server holds
  #rewoundTo = -1;
  #blockedSays = []; // say() calls beyond the window
  #consent = null; // the decision without an answer yet
  #toReplay = 0; // messages to replay on a new connection
  #isUncertain = false; // a grant was sent and its outcome is unknown
  #wasUncertain = false; // before this connection
  #refusals = []; // refused messages, of which the caller was not told
  #lastError = null; // the last `error` frame of this connection
  #lastReason = ""; // why the last connection failed; Node tells, browsers do not
  #latestNotice = null;
  #attempt = 0;
  #lostAt = null;
  #timer = null;
  #answerTimer = null;
  #isPaused = false; // no more attempts until the next call
  #isRefused = false; // since the last connection no server accepted the token: `say` adds nothing until one does
  #ended = null; // the error of every later call

  /**
   * Start to connect; await `opened`. Most callers use `openDialog`.
   *
   * @param {string | URL} url  the server's URL
   * @param {Options} options
   */
  constructor(url, options) {
    this.#url = endpoint(url, "/v1/dialogs/live").replace(/^http/, "ws");
    this.#options = { reconnectForMs: 120_000, WebSocket: globalThis.WebSocket, ...options };
    const { customerId, dialogId, language, bot, metadata, WebSocket: Socket } = this.#options;
    check({ customerId, dialogId, language, bot, metadata });
    if (typeof Socket !== "function") {
      throw new Refused("there is no global WebSocket; `npm install ws`, and pass its class as the option WebSocket", "websocket");
    }
    this.id = dialogId ?? uuid7();
    this.#connect();
  }

  /**
   * Resolves when the dialog is open; rejects if it cannot be opened.
   *
   * @returns {Promise<void>}
   */
  get opened() {
    return this.#opening.promise;
  }

  /** The number of messages said, and of those that the server holds in memory. None is durable. */
  get progress() {
    return { said: this.#messages.length, held: this.#acked };
  }

  /**
   * Add one message. When it resolves, the message was sent or queued. Waits while more than `WINDOW` are unacked.
   *
   * @param {string} text  1 byte to `limits.max_text_bytes` of UTF-8
   * @param {{role?: "customer"|"bot"|"agent", language?: string, sentAt?: Date | string}} [about]
   * @throws {TooLong | Refused | MessageRefused}  nothing was added, the dialog stays open
   * @throws {Unavailable | Unauthorised | Forbidden}  nothing was added, earlier messages are kept: say it again later
   * @throws {Finished}  the error that ended the dialog
   */
  async say(text, { role = "customer", language, sentAt = new Date() } = {}) {
    this.#checkMaySpeak();
    check({ text, role, language, sentAt });
    if (this.#isRefused) {
      const { promise } = this.#opening; // a callback may refuse at once, and the next `opened` is another promise
      this.#resume();
      await promise;
      this.#checkMaySpeak();
    }
    this.#tellRefusals();
    const kept = wellFormed(text);
    this.#checkLimits(size(kept));
    const message = present({ type: "message", seq: this.#messages.length + 1, text: kept, role, language, sent_at: new Date(sentAt).toISOString() });
    this.#messages.push(message);
    this.#bytes += size(kept);
    this.#resume();
    if (message.seq - this.#acked <= WINDOW) return;
    const room = deferred();
    this.#blockedSays.push({ message, ...room });
    await room.promise;
  }

  /**
   * Grant consent. When it resolves, the dialog is durably stored and this object's copy is discarded.
   *
   * @param {{purposes?: string[], notice?: string, givenBy?: "self"|"representative"}} [about]
   *   default: all purposes of the notice, and the notice first shown
   * @returns {Promise<Stored>}
   * @throws {Incomplete | MessageRefused}  nothing was decided, see `code`; the dialog stays open
   * @throws {OutcomeUnknown | Unavailable}  no answer arrived in time: decide again
   * @throws {Unauthorised | Forbidden}  nothing was stored: decide again once the token callback returns a valid token
   * @throws {Conflict | Erased}  the id cannot be used
   */
  async grant({ purposes, notice, givenBy } = {}) {
    check({ notice, purposes, givenBy });
    if (!this.#consent) this.#tellRefusals();
    return this.#decide({ granted: true, notice: notice ?? this.notice?.id, purposes: purposes && [...purposes], given_by: givenBy });
  }

  /**
   * Decline consent. When it resolves, no part of the dialog is stored, even if an earlier grant had been stored.
   *
   * @returns {Promise<Discarded>}
   * @throws {OutcomeUnknown | Unavailable}  no server was reachable: decline again
   */
  async decline() {
    return this.#decide({ granted: false, retract: this.#isUncertain || undefined });
  }

  /** Leave without a decision: both sides discard the dialog. */
  close() {
    this.#end(new Finished("the dialog was left without a decision", "finished"), "left");
  }

  #decide(frame) {
    if (this.#ended) throw this.#ended;
    const earlier = this.#consent;
    if (earlier && earlier.frame.granted === frame.granted) return earlier.promise;
    if (earlier && frame.granted) throw new Refused("the dialog is being declined", "order");
    earlier?.reject(new OutcomeUnknown("declined before the answer arrived", this));
    this.#consent = { frame: present({ type: "consent", ...frame }), sent: false, refusals: 0, ...deferred() };
    this.#resume();
    return this.#consent.promise;
  }

  #checkMaySpeak() {
    if (this.#ended) throw this.#ended;
    if (this.#consent || this.#isUncertain) throw new Refused("the dialog is being decided; no message can be added", "order");
  }

  #tellRefusals() {
    if (this.#refusals.length) throw this.#refusals.shift();
  }

  #checkLimits(bytes) {
    const sizes = { max_text_bytes: bytes, max_dialog_bytes: this.#bytes + bytes, max_messages: this.#messages.length + 1 };
    const over = Object.keys(sizes).find((limit) => sizes[limit] > this.limits?.[limit]);
    if (over) throw new TooLong(`${over} exceeded (the limit is ${this.limits[over]}); send a shorter message, or decide`, "limit");
  }

  /** Send what can be sent, and reconnect if paused. */
  #resume() {
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#attempt = 0;
      this.#connect();
    }
    this.#flush();
  }

  #flush() {
    if (!this.#isOpened) return;
    const consent = this.#consent;
    const replays = consent?.frame.granted ?? true; // the server accepts a decline without the messages
    while (replays && this.#sent < this.#messages.length && this.#sent - this.#acked < WINDOW) {
      this.#send(this.#messages[this.#sent++]);
    }
    if (!consent || consent.sent || consent.waits || (replays && this.#sent < this.#messages.length)) return;
    consent.sent = true;
    if (replays) this.#isUncertain = true; // from here on, the server may store the dialog
    this.#send({ ...consent.frame, last_seq: this.#messages.length });
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
    this.#notify("onFrame", frame, "sent");
    if (!this.#answerTimer) this.#startAnswerTimer();
  }

  /** Run a callback in its own microtask, so that its exceptions do not break the dialog. */
  #notify(name, ...args) {
    const callback = this.#options[name];
    if (callback) queueMicrotask(() => callback(...args));
  }

  /** Limit the time for an expected answer: a half-open connection never closes by itself. */
  #startAnswerTimer() {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = null;
    if (!this.#socket || (this.#isOpened && this.#acked >= this.#sent && !this.#consent?.sent)) return;
    this.#answerTimer = setTimeout(() => this.#leave(), ANSWER_WITHIN_MS);
  }

  /** Give this connection up for another one. */
  #leave() {
    const dead = this.#socket;
    this.#onClose(1006);
    dead.close();
  }

  /** Connect; a token callback is called again if its token is refused, unless this is the second time. */
  async #connect(mayAskAgain = typeof this.#options.token === "function") {
    const { token, WebSocket: Socket } = this.#options;
    this.#timer = null;
    this.#sent = this.#acked = 0;
    this.#wasUncertain = this.#isUncertain; // whatever this connection answers, an earlier one may have stored it
    this.#toReplay = this.#messages.length;
    this.#rewoundTo = -1;
    this.#lastError = null;
    if (this.#lostAt === null) this.#notify("onState", "connecting", {});
    let bearer = token;
    try {
      if (typeof token === "function") bearer = await token();
    } catch (error) {
      if (this.#ended) return;
      return error instanceof Unauthorised ? this.#end(error) : this.#retry();
    }
    if (this.#ended) return;
    let socket;
    try {
      socket = new Socket(this.#url, bearer ? [JSON_V1, `bearer.${bearer}`] : [JSON_V1]);
    } catch {
      this.#end(new Unauthorised("the URL or the token has characters that a WebSocket handshake cannot carry"));
      return;
    }
    let upgraded = false;
    const listening = (listen) => (event) => socket === this.#socket && listen(event);
    socket.onopen = listening(() => {
      upgraded = true;
      const { customerId, language, bot, metadata } = this.#options;
      this.#send(present({ type: "open", customer_id: customerId, dialog_id: this.id, language, bot, metadata }));
    });
    socket.onmessage = listening(({ data }) => this.#receive(data));
    const onClose = listening(({ code }) => this.#onClose(code, { mayBeRefused: !upgraded, mayAskAgain, hasToken: !!bearer }));
    socket.onclose = onClose;
    socket.onerror = listening(({ message }) => { // without a listener, `ws` ends the process
      this.#lastReason = message ?? "";
      // A close follows. Chromium sends none where the page's Content-Security-Policy forbids the connection.
      setTimeout(() => socket.readyState === 3 && onClose({ code: 1006 }));
    });
    this.#socket = socket;
    this.#startAnswerTimer();
  }

  /** Handle a frame. Unknown types and fields, of newer servers, are ignored. */
  #receive(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    this.#notify("onFrame", frame, "received");
    if (frame.type === "opened") this.#onOpened(frame);
    else if (frame.type === "ack") this.#onAck(frame);
    else if (frame.type === "error") this.#onError(frame);
    else if (frame.type === "stored") this.#onStored(frame);
    else if (frame.type === "discarded") this.#onDiscarded(frame);
    this.#startAnswerTimer();
  }

  #onOpened({ notice, limits }) {
    this.#isOpened = true;
    this.#isRefused = false;
    this.#openedAt = monotonic();
    this.limits = limits;
    this.#latestNotice = notice;
    this.notice ??= notice; // consent is for the notice that was shown first
    this.#notify("onState", "open", {});
    this.#opening.resolve();
    this.#flush();
  }

  #onAck({ seq }) {
    this.#acked = Math.max(this.#acked, Math.min(seq, this.#sent));
    this.#blockedSays = this.#blockedSays.filter((say) => say.message.seq - this.#acked > WINDOW || say.resolve());
    this.#flush();
  }

  #onStored(frame) {
    if (this.#consent?.frame.granted === false) return; // answers an earlier grant; the next connection sends the decline
    this.#finish("stored", {
      dialogId: frame.dialog_id,
      messages: frame.messages,
      storedAt: new Date(frame.stored_at),
      receipt: frame.receipt,
      withdrawalCode: frame.withdrawal_code,
    });
  }

  #onDiscarded(frame) {
    if (this.#consent?.frame.granted) this.#consent.reject(new Finished("the dialog was declined", "finished"));
    this.#finish("discarded", { dialogId: frame.dialog_id, messages: frame.messages });
  }

  #onError(frame) {
    const { code, detail, expected } = frame;
    const consent = this.#consent?.sent ? this.#consent : null;
    this.#lastError = frame;
    if (code === "gap") {
      if (expected - 1 !== this.#rewoundTo || this.#acked !== this.#rewoundTo) this.#rewind(expected - 1);
    } else if (code === "token_expired") {
      this.#isUncertain = this.#wasUncertain; // the server looks at the token before it stores anything
    } else if (code === "conflict" && frame.seq) {
      this.#leave(); // this server holds another text of a message; a new connection's holds none
    } else if (!ANSWERS.includes(code)) {
      return; // a close code follows
    } else if (consent?.frame.granted === false && code !== "storage") {
      return; // answers an earlier grant: a decline is never refused
    } else if (!this.#isOpened) {
      this.#end(new Refused(detail, code));
    } else if (code === "incomplete" && consent && expected < this.#messages.length && consent.refusals++ < 3) {
      this.#isUncertain = this.#wasUncertain; // this server decided nothing
      this.#rewind(expected);
    } else if (code === "storage" && consent && frame.retry && consent.refusals < 10) {
      consent.sent = false;
      this.#isUncertain = this.#wasUncertain; // this server decided nothing
      consent.waits = setTimeout(() => {
        consent.waits = null;
        // After three refusals on another connection: it may reach a node that can store.
        if (consent.refusals % 3 === 0 && this.#consent === consent && this.#isOpened) this.#leave();
        else this.#flush();
      }, backoff(consent.refusals++));
    } else if (consent && !frame.seq && (code !== "frame" || this.#acked >= this.#sent)) {
      this.#reopen(new Incomplete(detail, code));
    } else if (frame.seq ? frame.seq > this.#acked && frame.seq <= this.#sent : this.#acked < this.#sent) {
      // The server acks what it holds first: an error without a number is about the next message.
      if (code === "frame" || code === "limit") this.#takeOut(frame.seq ?? this.#acked + 1, detail, code);
      else this.#end(new Refused(detail, code));
    }
  }

  /** Go on without a refused message on another connection, so that answers to old numbers are lost. */
  #takeOut(seq, detail, code) {
    if (this.#consent?.sent ? this.#wasUncertain : this.#isUncertain) {
      this.#end(new Refused(detail, code)); // only the whole dialog settles what an earlier connection left uncertain
      return;
    }
    const error = new MessageRefused(detail, code, seq);
    const [gone] = this.#messages.splice(seq - 1, 1);
    for (const message of this.#messages.slice(seq - 1)) message.seq -= 1;
    this.#bytes -= size(gone.text);
    this.#isUncertain = false;
    const waiting = [this.#blockedSays.find((say) => say.message === gone), this.#consent].filter(Boolean);
    for (const call of waiting) call.reject(error);
    if (!waiting.length) this.#refusals.push(error);
    this.#blockedSays = this.#blockedSays.filter((say) => say.message !== gone);
    this.#consent = null;
    this.#disconnect();
    this.#retry();
  }

  /** The server holds exactly `held` messages: continue with the next one. */
  #rewind(held) {
    if (!(held <= this.#messages.length)) return;
    this.#rewoundTo = this.#acked = this.#sent = held;
    if (this.#consent) this.#consent.sent = false;
    this.#flush();
  }

  /** The consent was refused: the dialog is open again, and as certain as it was before this connection. */
  #reopen(error) {
    if (error.code === "notice") this.notice = this.#latestNotice; // the notice that this server accepts; show it first
    this.#isUncertain = this.#wasUncertain;
    this.#consent.reject(error);
    this.#consent = null;
  }

  async #onClose(code, { mayBeRefused = false, mayAskAgain = false, hasToken = false } = {}) {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = this.#socket = null;
    if (this.#isOpened && this.#acked >= this.#toReplay && monotonic() - this.#openedAt > STEADY_MS) {
      this.#attempt = 0;
      this.#lostAt = null;
    }
    this.#isOpened = false;
    if (this.#consent) this.#consent.sent = false;
    const last = this.#lastError;
    if (code === 4501 && mayAskAgain) {
      this.#connect(false); // the first token may just have expired
      return;
    }
    if ((code >= 4500 && code <= 4999) || PROTOCOL_ERRORS.includes(code)) {
      const [Kind, reason, detail = `the server closed the dialog (${code})`] = TERMINAL[code] ?? [Refused, "refused"];
      const why = last && (last.code === reason || Kind === Refused) ? last : { detail, code: reason };
      this.#end(new Kind(why.detail, why.code));
      return;
    }
    this.#lostAt ??= monotonic();
    const refusal = mayBeRefused ? await handshakeError(this.#url, { isFirst: !this.limits && !this.#attempt, hasToken }) : null;
    if (refusal) this.#end(refusal);
    else this.#retry((last?.retry_after_s ?? 0) * 1000);
  }

  #retry(atLeastMs = 0) {
    if (this.#ended) return;
    this.#lostAt ??= monotonic();
    const left = this.#lostAt + this.#options.reconnectForMs - monotonic();
    if (left <= 0) {
      this.#giveUp();
      return;
    }
    const delayMs = Math.min(left, atLeastMs + backoff(this.#attempt++));
    this.#notify("onState", "reconnecting", { delayMs });
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }

  #giveUp() {
    const reason = this.#lastReason && ` (${this.#lastReason})`;
    const error = new Unavailable(`no server is reachable${reason} and nothing was stored; try again later`, "unavailable");
    if (this.#isUncertain || !this.limits) {
      this.#end(error); // never opened, or uncertain
      return;
    }
    this.#pause(error);
  }

  /** Stop until the next call. Nothing is discarded. */
  #pause(error) {
    this.#isPaused = true;
    this.#lostAt = null;
    this.#opening.reject(error);
    if (this.#isRefused) this.#opening = deferred();
    this.#disconnect();
    this.#notify("onState", "unavailable", { error });
    this.#rejectAll(error);
  }

  #disconnect() {
    clearTimeout(this.#timer);
    clearTimeout(this.#answerTimer);
    this.#answerTimer = null;
    this.#isOpened = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  /** Fail all calls that wait. A `say` that waits was never sent: its message is taken out, so it can be said again. */
  #rejectAll(error) {
    const waiting = this.#blockedSays.splice(0);
    this.#messages.length -= waiting.length; // nothing follows those that wait
    for (const { message, reject } of waiting) {
      this.#bytes -= size(message.text);
      reject(error);
    }
    this.#consent?.reject(error);
    this.#consent = null;
  }

  #finish(state, outcome) {
    this.#consent?.resolve(outcome);
    this.#consent = null;
    this.#end(new Finished(`the dialog was ${state}; open a new one`, "finished"), state);
  }

  #end(error, state = "failed") {
    if (this.#ended) return;
    if (this.#consent?.frame.granted === false && error instanceof Erased) {
      this.#finish("discarded", { dialogId: this.id, messages: this.#messages.length }); // the answer was lost before
      return;
    }
    const isAnswer = state === "stored" || state === "discarded" || error instanceof Conflict || error instanceof Erased;
    if (this.#isUncertain && this.#consent && !isAnswer) {
      this.#pause(new OutcomeUnknown("the consent has no answer yet; call grant() or decline() again", this));
      return;
    }
    const isOfToken = error instanceof Unauthorised || error instanceof Forbidden;
    if (this.limits && isOfToken && this.#consent?.frame.granted !== false) {
      this.#isRefused = true;
      const call = this.#consent ? "grant()" : "say() or grant()";
      const Kind = error instanceof Forbidden ? Forbidden : Unauthorised;
      this.#pause(new Kind(`nothing was stored: ${error.message}; ` +
        `call ${call} again once the token callback returns a valid token, or open a new dialog`, error.code));
      return;
    }
    this.#ended = error;
    this.#disconnect();
    this.#rejectAll(error);
    this.#opening.reject(error);
    this.#messages = [];
    this.#notify("onState", state, state === "failed" ? { error } : {});
  }
}

/** A promise with its functions; unhandled rejections are not reported. */
function deferred() {
  let resolve, reject;
  const promise = new Promise((...handles) => ([resolve, reject] = handles));
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** The frame without absent and empty fields. */
function present(frame) {
  return Object.fromEntries(Object.entries(frame).filter(([, value]) => value != null && value !== ""));
}

/** Browsers hide why a handshake failed. A plain HTTP request to the same URL, without a token, shows the status. */
async function handshakeError(url, { isFirst, hasToken }) {
  if (hasToken && !isFirst) return null; // nothing could be learned
  try {
    const { status } = await fetch(url.replace(/^ws/, "http"), { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (status === 404 && isFirst) return new Refused("no dialog can be opened at this address (HTTP 404); check the URL", "http_404");
    if (hasToken) return null;
    if (status === 401) return new Unauthorised("a token is required; create one with `consentful keys create`");
    if (status === 403) return new Forbidden("this page's origin is not allowed; add it to --allow-origin", "forbidden");
  } catch {
    // unreachable, not refused
  }
  return null;
}
