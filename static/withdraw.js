/** What the withdrawal page gains from a script: a link that carries the code in its fragment, and local times. */

const field = document.getElementById("code");

// A fragment is never sent to a server. It leaves the address bar, so that nobody finds it in the history.
const code = new URLSearchParams(`code=${location.hash.slice(1)}`).get("code"); // decodes without throwing at a stray %
if (code && field) {
  field.value = code;
  history.replaceState(null, "", location.pathname + location.search);
}
document.querySelector("[aria-invalid]")?.select();

for (const time of document.querySelectorAll("time")) {
  const language = document.documentElement.lang;
  time.textContent = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "long" }).format(new Date(time.dateTime));
}

// Another language keeps what was typed.
for (const link of document.querySelectorAll(".languages a")) {
  link.addEventListener("click", () => (link.hash = encodeURIComponent(field?.value ?? "")));
}
