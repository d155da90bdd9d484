import { Dialog } from "./consentful.js";
import { byId, count, element, facts, on } from "./element.js";
import { FrameLog } from "./framelog.js";
import { Kept } from "./kept.js";
import { watchedLine } from "./line.js";
import { malformed, SAMPLES } from "./samples.js";

const SHARED = ["customer", "language", "bot"]; // in the page's address; never the token or what was said
const PARTS = ["opening", "stop", "talk", "notice", "composer", "decision", "trouble", "outcome", "replay"];
const TALKING = ["talk", "notice", "composer", "decision", "trouble"];
const SHOWN = {
  empty: ["opening"],
  loading: ["opening", "stop"],
  open: TALKING,
  lost: TALKING,
  stored: ["talk", "outcome", "replay"],
  over: ["outcome"],
};

const log = new FrameLog(byId("frame-rows"));
const kept = new Kept(byId("kept"));
const Line = watchedLine(log);

let dialog = null;
let options = null;
let said = []; // for a replay by hand
let trying = null; // becomes `dialog` once it is open
let ending = null; // when the server will forget the dialog, and why

/** Show the parts that belong to the state. */
function become(state, words) {
  byId("dialog").dataset.state = state;
  byId("state").textContent = words;
  for (const part of PARTS) byId(part).hidden = !SHOWN[state].includes(part);
  byId("opening-fields").disabled = byId("open").disabled = state === "loading";
  if (state !== "open") ending = null;
  tick();
}

const becomeOpen = () => become("open", "open: in memory only");

function finish(state, words, text) {
  if (state === "over") forget();
  become(state, words);
  byId("outcome-text").textContent = text;
  byId("again").focus({ preventScroll: true });
}

function forget() {
  said = [];
  byId("said").replaceChildren();
}

/** What the server holds is drawn full, the rest pale. */
function markHeld(count) {
  for (const [i, item] of [...byId("said").children].entries()) item.dataset.held = i < count;
}

/** Do what a button asked for; a refusal is shown. */
async function attempt(act) {
  byId("failure").hidden = true;
  try {
    await act();
  } catch (error) {
    byId("failure").textContent = `${error.message} (${error.code ?? error.name})`;
    byId("failure").hidden = false;
  }
}

function onState(state, { delayMs, error }) {
  if (state === "open" && dialog) becomeOpen();
  if (state === "reconnecting") {
    log.event(`connecting again in ${Math.round(delayMs)} ms`);
    markHeld(0); // the server forgot it all with the connection
    if (dialog) become("lost", "connecting again …");
  }
  if (state === "unavailable") become("lost", "no server reached");
  if (state === "failed" && dialog) finish("over", error.code, `${error.message}. This side dropped its copy, too.`);
}

function onFrame(frame, direction) {
  if (direction === "sent") return;
  if (frame.type === "closing") ending = { at: Date.now() + frame.in_s * 1000, why: `closing (${frame.reason}) in` };
  const idle = (frame.limits ?? dialog?.limits)?.idle_timeout_s;
  if (frame.type === "opened" || frame.type === "ack") ending = { at: Date.now() + idle * 1000, why: "forgets in" };
  if (frame.type === "ack") markHeld(dialog.progress.held);
  tick();
}

function tick() {
  const left = ending && Math.max(0, Math.round((ending.at - Date.now()) / 1000));
  byId("clock").textContent = ending ? `${ending.why} ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "";
}

async function open(about) {
  options = about;
  dialog = null;
  forget();
  kept.clear();
  become("loading", "opening …");
  trying = new Dialog(location.origin, { ...about, WebSocket: Line, onFrame, onState });
  try {
    await trying.opened;
  } catch (error) {
    become("empty", "not open");
    throw error;
  }
  dialog = trying;
  const { id, notice } = dialog;
  const { customerId: Customer, language: Language, bot: Bot } = about;
  byId("facts").replaceChildren(...facts({ Dialog: id, Customer, Language, Bot }));
  const paragraphs = notice.text.split(/\n\s*\n/).map((text) => element("p", {}, text));
  byId("notice-text").lang = notice.language;
  byId("notice-text").replaceChildren(...paragraphs, element("p", { className: "quiet" }, `${notice.id}, ${notice.language}`));
  byId("purposes").replaceChildren(...notice.purposes.map((purpose) =>
    element("label", {}, element("input", { type: "checkbox", value: purpose, checked: true }), ` ${purpose}`)));
  becomeOpen();
  byId("text").focus({ preventScroll: true });
}

async function say(text, about) {
  const item = element("li", { data: { role: about.role, held: false } },
    element("p", { className: "quiet" }, about.language ? `${about.role}, ${about.language}` : about.role),
    element("p", { className: "words", dir: "auto", lang: about.language }, text));
  const message = { text, about };
  said.push(message);
  byId("said").append(item);
  try {
    await dialog.say(text, about);
  } catch (error) {
    said = said.filter((other) => other !== message);
    item.remove();
    throw error;
  }
}

async function grant(about) {
  byId("state").textContent = "storing …";
  try {
    const { dialogId, messages, withdrawalCode } = await dialog.grant(about);
    finish("stored", "stored", `${count(messages)} stored, under the dialog's own key.`);
    await kept.ask(dialogId, { token: options.token, withdrawalCode, onErased });
  } catch (error) {
    if (byId("dialog").dataset.state === "open") becomeOpen();
    throw error;
  }
}

async function decline() {
  const { dialogId, messages } = await dialog.decline();
  finish("over", "forgotten", `${count(messages)} dropped. Nothing is left of it but this page's log.`);
  await kept.ask(dialogId, options);
}

async function leave() {
  dialog.close();
  finish("over", "left", "Left without a decision: everything was dropped.");
  await kept.ask(dialog.id, options);
}

function onErased() {
  finish("over", "erased", "The dialog's key is destroyed: its text can be read nowhere.");
}

async function replay() {
  const again = said;
  await open({ ...options, dialogId: dialog.id });
  for (const { text, about } of again) await say(text, about);
  await grant();
}

const written = (id) => byId(id).value.trim();

on("opening", "submit", () => {
  const about = { customerId: byId("customer").value, token: written("token") };
  for (const [name, id] of [["dialogId", "dialog-id"], ["language", "language"], ["bot", "bot"]]) about[name] = written(id);
  byId("message-language").value = about.language;
  attempt(() => open(about));
});
on("stop", "click", () => trying.close());
on("composer", "submit", () => {
  const text = byId("text").value;
  byId("text").value = "";
  attempt(() => say(text, { role: byId("role").value, language: written("message-language") }));
});
on("text", "keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // Enter also ends an IME's word
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
  kept.clear();
  forget();
  dialog = null;
  become("empty", "not open");
  byId("customer").focus();
});
on("replay", "click", () => attempt(replay));
on("drop", "click", () => Line.cut());
on("malformed", "change", () => {
  byId("raw-text").value = malformed(dialog.progress.said, dialog.limits.max_text_bytes)[byId("malformed").value] ?? "";
});
on("raw", "submit", () => Line.send(byId("raw-text").value) || log.event("not sent: there is no connection"));
on("clear", "click", () => log.clear());

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
    byId("text").value = text;
    byId("role").value = role;
    byId("message-language").value = language;
    byId("text").focus();
  });
  return sample;
}));
byId("malformed").append(...["free text", ...Object.keys(malformed(0))].map((name) => element("option", {}, name)));
setInterval(tick, 1000);
become("empty", "not open");
