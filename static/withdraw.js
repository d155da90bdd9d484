/**
 * What the withdrawal page gains from a script: a link that carries the code in its fragment, local times, and a form
 * that stays as it was filled in when the server does not answer. Without it, the browser sends the form itself.
 */

const WAIT_MS = 30_000; // until the answer is complete
const byId = (id) => document.getElementById(id);

/** Show times as they are here, and put the focus where to read or type on. */
function prepare() {
  for (const time of document.querySelectorAll("time")) {
    const language = document.documentElement.lang;
    time.textContent = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "long" }).format(new Date(time.dateTime));
  }
  document.querySelector("[aria-invalid]")?.select();
}

async function send(form, pressed) {
  const body = new URLSearchParams(new FormData(form)); // its second argument, for the button, is too new to rely on
  if (pressed?.name) body.append(pressed.name, pressed.value);
  wait(form, true);
  try {
    const main = await answer(form.action, body);
    document.querySelector("main").replaceWith(main);
    prepare();
    focus(main.querySelector("[aria-invalid]") ?? main.querySelector("#told, [type=checkbox]"));
  } catch {
    tell(form, pressed);
  } finally {
    wait(form, false);
  }
}

/**
 * Send the form and return the main part of the page that answers it.
 *
 * @throws if there is none in time, or the answer is another page, as of a proxy whose server is away
 */
async function answer(url, body) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), WAIT_MS);
  try {
    const response = await fetch(url, { method: "POST", body, signal: late.signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!page.getElementById("code")) throw new Error("not the withdrawal page");
    return page.querySelector("main");
  } finally {
    clearTimeout(timer);
  }
}

/** While it waits, a second press sends nothing. */
function wait(form, isWaiting) {
  form.ariaBusy = String(isWaiting);
  for (const button of form.querySelectorAll("button")) button.disabled = isWaiting;
  const text = form.querySelector("#waiting");
  text.textContent = isWaiting ? text.dataset.text : "";
  if (isWaiting) byId("told")?.remove(); // it is about what was sent before
}

/** Tell above the form that there was no answer. Nobody knows what the server did, but it does the same once. */
function tell(form, pressed) {
  form.before(byId("unanswered").content.cloneNode(true));
  const retry = byId("told").querySelector("button");
  retry.addEventListener("click", () => send(form, pressed));
  focus(retry);
}

function focus(place) {
  if (!place) return;
  if (!place.matches("button, input")) place.tabIndex = -1;
  place.focus();
}

/** Fill in the code of a link. A fragment is never sent to a server, and leaves the address bar and the history here. */
function fillIn() {
  const code = new URLSearchParams(`code=${location.hash.slice(1)}`).get("code"); // decodes without throwing at a stray %
  if (!code || !byId("code")) return;
  byId("code").value = code;
  history.replaceState(null, "", location.pathname + location.search);
}

/** A link that is opened while its page is open changes the fragment alone. */
function startAgain() {
  const field = byId("code");
  if (!location.hash || !field || field.form.ariaBusy === "true") return; // what was sent last is told first
  if (field.readOnly || field.form.hidden) return location.reload(); // a choice or a confirmation of another code
  byId("told")?.remove();
  field.removeAttribute("aria-invalid");
  fillIn();
  field.focus();
}

fillIn();
prepare();
addEventListener("hashchange", startAgain);
addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.target, event.submitter);
});

// Another language keeps what was typed.
for (const link of document.querySelectorAll(".languages a")) {
  link.addEventListener("click", () => (link.hash = encodeURIComponent(byId("code")?.value ?? "")));
}
