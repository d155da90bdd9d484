/** The parts of a stored dialog, as the test page shows them. */

import { copyButton } from "./copy.js";
import { element, facts } from "./element.js";
import { clock, time } from "./times.js";

/** What is stored beside the messages. */
export function summary({ customer, purposes, notice, stored_at, expires_at, bot }) {
  return element("dl", { className: "facts" }, ...facts({
    Customer: element("code", {}, customer),
    Purposes: purposes.join(", "),
    Notice: `${notice.id} (${notice.language})`,
    Stored: time(stored_at),
    "Retained until": time(expires_at),
    Bot: bot,
  }));
}

export function messages(kept) {
  const heads = ["#", "Role", "Language", "Text", "Received"].map((name) => element("th", { scope: "col" }, name));
  const rows = kept.map(({ seq, role, language, text, received_at }) =>
    element("tr", {},
      element("td", { className: "number" }, String(seq)),
      element("td", {}, role),
      element("td", {}, language ?? "–"),
      element("td", { className: "words", dir: "auto", lang: language ?? "" }, text),
      element("td", {}, time(received_at, clock)),
    ));
  return element("table", { id: "kept-messages" }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

/** The code, which is shown once. */
export function withdrawal(code) {
  const shown = element("code", { id: "withdrawal-code" }, code);
  return element("p", { className: "code" }, "Withdrawal code ", shown, copyButton(code, shown));
}
