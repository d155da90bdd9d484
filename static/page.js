import { Dialog, OutcomeUnknown, Unauthorised, Unavailable } from "./consentful.js";
import { byId, count, element, facts, on } from "./element.js";
import { FrameLog } from "./framelog.js";
import { saveFile } from "./files.js";
import { SAMPLES } from "./samples.js";
import { SITE } from "./site.js";

const SHARED = ["customer", "language", "bot"]; // in the page's URL; never the token or message texts
const REFUSED = ["unauthenticated", "forbidden"]; // codes of errors that another key can mend
const PARTS = ["refusal", "opening", "stop", "talk", "notice", "composer", "decision", "trouble", "outcome", "replay"];
const TALKING = ["talk", "notice", "composer", "decision", "trouble"];
const SHOWN = {
  empty: ["opening"],
  loading: ["opening", "stop"],
  open: TALKING,
  lost: TALKING,
  stored: ["talk", "outcome", "replay"],
  refused: ["refusal", "opening", "talk", "outcome"],
  over: ["outcome"],
};

const log = new FrameLog(byId("frame-rows"), byId("frame-count"), sendRaw);
let Socket, malformed, inCode, kept; // loaded with the first dialog

let dialog = null;
let options = null;
let sent = []; // the messages, for a manual replay
let held = 0; // how many of them are drawn as held by the server
let opening = null; // becomes `dialog` when it is open
let isStopped = false; // by its user, while it opens
let isDeciding = false; // by this page; a raw frame can decide as well
let beforeSample = null; // the role and language to go back to
let showLast = null; // the frame in which the conversation is scrolled to its end
let refusal = null; // the code of the last error of this connection
let expiry = null; // when the server will discard the dialog, and why

/** Show the parts that belong to the state. */
function become(state, text) {
  byId("dialog").dataset.state = state;
  byId("state").textContent = text;
  for (const part of PARTS) byId(part).hidden = !SHOWN[state].includes(part);
  byId("opening-fields").disabled = byId("open").disabled = state === "loading";
  byId("outage").textContent = state === "lost" ? "No connection. What you decide is sent when it is back." : "";
  if (state !== "open") expiry = null;
  tick();
}

const becomeOpen = () => become("open", "open: in memory only");

function finish(state, status, text) {
  if (state === "over") discard();
  byId("same").hidden = true;
  become(state, status);
  byId("outcome-text").textContent = text;
  byId("again").focus({ preventScroll: true });
}

function discard() {
  sent = [];
  held = 0;
  byId("said").replaceChildren();
}

/** Messages that the server holds are drawn opaque, the others pale. */
function markHeld(count) {
  const items = byId("said").children;
  for (let i = count; i < held && i < items.length; i++) items[i].dataset.held = false;
  for (let i = held; i < count && i < items.length; i++) items[i].dataset.held = true;
  held = Math.min(count, items.length);
}

/** Run the action of a button, and show its error. */
async function attempt(act) {
  byId("failure").hidden = true;
  try {
    await act();
  } catch (error) {
    byId("failure").textContent = `${error.message} (${error.code ?? error.name})`;
    byId("failure").hidden = false;
    if (error instanceof Unauthorised) askForToken();
  }
}

function askForToken() {
  byId("token").closest("details").open = true;
  byId("token").focus();
}

function onState(state, { delayMs, error }) {
  if (state === "open" && dialog) becomeOpen();
  if (state === "reconnecting") {
    log.event(`reconnecting in ${Math.round(delayMs)} ms`);
    markHeld(0); // the server discarded all messages with the connection
    if (dialog) become("lost", "reconnecting …");
    else become("loading", "no connection; trying again …");
  }
  if (dialog && REFUSED.includes(refusal) && ["unavailable", "failed"].includes(state)) keepForAnotherKey(refusal, error);
  else if (state === "unavailable") become("lost", "no server available");
  else if (state === "failed" && dialog) finish("over", error.code, `${error.message}. This page discarded its copy.`);
  if ((state === "stored" || state === "discarded") && !isDeciding) onRawDecision(state);
}

/** The key is not accepted any more: what was said stays, so that it can be sent again with another one. */
function keepForAnotherKey(code, error) {
  const known = error instanceof OutcomeUnknown ? "The server did not confirm that it stored anything" : "Nothing was stored";
  finish("refused", code, "");
  byId("refusal").textContent = `${known}: the server no longer accepts the token, which was revoked or has ended. ` +
    "Enter another one, and press Open the dialog: the same messages are sent again, and then you decide.";
  markHeld(0);
  askForToken();
  byId("refusal").scrollIntoView({ block: "nearest" });
}

/** A raw consent was answered: the SDK did not ask, so nobody waits for the answer. */
function onRawDecision(state) {
  finish(state === "stored" ? "stored" : "over", state, `The raw frame was a decision: ${state}.`);
  kept.ask(dialog.id, { token: options.token, onErased });
}

/** Send text as it is. The SDK does not know of it. */
function sendRaw(text) {
  if (!Socket?.send(text)) log.event("not sent: no connection");
}

/** Drop the connection, with the messages that only raw frames put into it; the SDK replays its own. */
function resync() {
  log.event("the server holds a message that the SDK did not send: replaying");
  Socket.cut();
}

function onFrame(frame, direction) {
  if (direction === "sent") return;
  if (frame.type === "error") refusal = frame.code;
  if (frame.type === "opened") refusal = null;
  if (frame.type === "closing") expiry = { at: Date.now() + frame.in_s * 1000, why: `closing (${frame.reason}) in` };
  const idle = (frame.limits ?? dialog?.limits)?.idle_timeout_s;
  if (frame.type === "opened" || frame.type === "ack") expiry = { at: Date.now() + idle * 1000, why: "expires in" };
  if (frame.type === "ack") markHeld(dialog.progress.held);
  if (frame.type === "ack" && frame.seq > dialog.progress.said) queueMicrotask(resync);
  tick();
}

function tick() {
  const left = expiry && Math.max(0, Math.round((expiry.at - Date.now()) / 1000));
  byId("clock").textContent = expiry ? `${expiry.why} ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "";
}

async function open(about) {
  options = about;
  dialog = null;
  discard();
  kept?.clear();
  become("loading", "opening …");
  try {
    isStopped = false;
    if (!kept) await load();
    if (isStopped) return become("empty", "not open");
    opening = new Dialog(SITE, { ...about, WebSocket: Socket, onFrame, onState });
    await opening.opened;
  } catch (error) {
    become("empty", "not open");
    throw error;
  }
  dialog = opening;
  const { id, notice } = dialog;
  const { customerId: Customer, language: Language, bot: Bot } = about;
  byId("facts").replaceChildren(...facts({ Dialog: id, Customer, Language, Bot }));
  const paragraphs = notice.text.split(/\n\s*\n/).map((text) => element("p", {}, text));
  byId("notice-text").lang = notice.language;
  byId("notice-text").replaceChildren(...paragraphs, element("p", { className: "quiet" }, `${notice.id}, ${notice.language}`));
  byId("purposes").replaceChildren(...notice.purposes.map((purpose) => {
    const name = notice.purpose_names?.[purpose];
    const words = name ? element("bdi", { lang: notice.language }, name) : purpose; // an id is in no language
    return element("label", {}, element("input", { type: "checkbox", value: purpose, checked: true }), " ", words);
  }));
  becomeOpen();
  byId("text").focus({ preventScroll: true });
  byId("composer").scrollIntoView({ block: "nearest" });
}

async function load() {
  const parts = ["kept", "watched_socket", "malformed", "same_in_code"].map((name) => import(`./${name}.js`));
  const [{ Kept }, { watchedSocket }, { malformed: frames }, { inCode: examples }] = await Promise.all(parts).catch(() => {
    throw new Unavailable("the server does not respond; check that it is running, and open the dialog again", "unavailable");
  });
  [Socket, malformed, inCode] = [watchedSocket(log), frames, examples];
  byId("malformed").append(...["free text", ...Object.keys(malformed(0))].map((name) => element("option", {}, name)));
  kept = new Kept(byId("kept"));
}

async function say(text, about) {
  const item = element("li", { data: { role: about.role, held: false } },
    element("p", { className: "quiet" }, about.language ? `${about.role}, ${about.language}` : about.role),
    element("p", { className: "words", dir: "auto", lang: about.language ?? "" }, text));
  const message = { text, about };
  sent.push(message);
  byId("said").append(item);
  showLast ??= requestAnimationFrame(() => {
    showLast = null;
    byId("said").scrollTop = byId("said").scrollHeight;
    byId("composer").scrollIntoView({ block: "nearest" });
  });
  try {
    await dialog.say(text, about);
  } catch (error) {
    sent = sent.filter((other) => other !== message);
    held -= item.dataset.held === "true";
    item.remove();
    byId("text").value ||= text; // to be mended and sent again
    throw error;
  }
}

async function grant(about) {
  byId("state").textContent = "storing …";
  isDeciding = true;
  try {
    const { dialogId, messages, withdrawalCode, receipt } = await dialog.grant(about);
    finish("stored", "stored", `${count(messages)} stored, encrypted with the dialog's own key.`);
    showInCode(sent, true);
    await kept.ask(dialogId, { token: options.token, language: dialog.notice.language, withdrawalCode, receipt, onErased });
  } catch (error) {
    if (byId("dialog").dataset.state === "open") becomeOpen();
    if (byId("dialog").dataset.state !== "refused") throw error; // which is told already
  } finally {
    isDeciding = false;
  }
}

async function decline() {
  isDeciding = true;
  try {
    const said = sent.map(({ about }) => ({ text: "…", about })); // the texts are discarded here, too
    const { dialogId, messages } = await dialog.decline();
    finish("over", "discarded", `${count(messages)} discarded. Only this page's frame log still shows them.`);
    showInCode(said, false);
    await kept.ask(dialogId, options);
  } finally {
    isDeciding = false;
  }
}

function showInCode(said, granted) {
  byId("same").hidden = false;
  byId("same-code").replaceChildren(...inCode({ site: SITE, options, said, granted }));
}

async function leave() {
  dialog.close();
  finish("over", "left", "Left without a decision. All messages were discarded.");
  await kept.ask(dialog.id, options);
}

function onErased() {
  finish("over", "erased", "The dialog's key is destroyed; its messages cannot be read any more.");
}

/** Open the dialog once more, under its id, and say the same. What was said stays on the page if that fails. */
async function resume(token = options.token) {
  const [before, again, drawn, how] = [dialog, sent, [...byId("said").children], { ...options, token }];
  const { state } = byId("dialog").dataset;
  before.close(); // it may still wait for an answer that this one gets
  try {
    await open({ ...how, dialogId: before.id });
  } catch (error) {
    [dialog, sent] = [before, again];
    byId("said").replaceChildren(...drawn);
    become(state, error.code ?? error.name);
    throw error;
  }
  for (const { text, about } of again) await say(text, about);
}

async function replay() {
  await resume();
  await grant();
}

const valueOf = (id) => byId(id).value.trim();

on("opening", "submit", () => {
  const about = { customerId: byId("customer").value, token: valueOf("token") };
  for (const [name, id] of [["dialogId", "dialog-id"], ["language", "language"], ["bot", "bot"]]) about[name] = valueOf(id) || undefined;
  byId("message-language").value = about.language ?? "";
  const isRefused = byId("dialog").dataset.state === "refused" && about.customerId === options.customerId;
  attempt(() => (isRefused ? resume(about.token) : open(about)));
});
on("stop", "click", () => {
  isStopped = true;
  opening?.close();
});
on("composer", "submit", () => {
  const text = byId("text").value;
  byId("text").value = "";
  attempt(() => say(text, { role: byId("role").value, language: valueOf("message-language") || undefined }));
  if (beforeSample) [byId("role").value, byId("message-language").value] = beforeSample;
  beforeSample = null;
});
on("text", "keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // in an input method, Enter ends a word
  event.preventDefault();
  byId("composer").requestSubmit();
});
on("decision", "submit", () => {
  const purposes = [...byId("purposes").querySelectorAll(":checked")].map((box) => box.value);
  attempt(() => grant({ purposes, givenBy: byId("representative").checked ? "representative" : "self" }));
});
on("decline", "click", () => attempt(decline));
on("leave", "click", () => attempt(leave));
on("again", "click", () => {
  byId("failure").hidden = true;
  byId("dialog-id").value = "";
  kept?.clear();
  discard();
  dialog = null;
  become("empty", "not open");
  byId("customer").focus();
});
on("replay", "click", () => attempt(replay));
on("drop", "click", () => Socket.cut());
on("malformed", "change", () => {
  byId("raw-text").value = malformed(dialog.progress.said, dialog.limits.max_text_bytes)[byId("malformed").value] ?? "";
});
on("raw", "submit", () => sendRaw(byId("raw-text").value));
on("clear", "click", () => log.clear());
on("save", "click", () => saveFile("frames.ndjson", new Blob([log.session()], { type: "application/x-ndjson" })));
on("frame-filter", "submit", () => {});
on("frame-filter", "input", () => log.filter({
  text: byId("frame-text").value, direction: byId("frame-direction").value, type: byId("frame-type").value,
}));

for (const name of SHARED) {
  byId(name).value = new URLSearchParams(location.search).get(name) ?? byId(name).value;
  on(name, "input", () => {
    const query = new URLSearchParams(SHARED.map((field) => [field, byId(field).value]).filter(([, value]) => value));
    history.replaceState(null, "", `?${query}`);
  });
}
byId("samples").append(...SAMPLES.map(({ name, text, role, language }) => {
  const sample = element("button", { type: "button", lang: language }, name);
  sample.addEventListener("click", () => {
    beforeSample ??= [byId("role").value, byId("message-language").value];
    byId("text").value = text;
    byId("role").value = role;
    byId("message-language").value = language;
    byId("text").focus();
  });
  return sample;
}));
setInterval(tick, 1000);
become("empty", "not open");
