/** The parts of a stored dialog, as the test page shows them. */

import { withdrawalLink, withdrawalQr } from "./consentful.js";
import { copyButton } from "./copy.js";
import { element, facts } from "./element.js";
import { SITE } from "./site.js";
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
  const heads = ["#", "Role", "Language", "Text", "Received"].map((name) => element("th", { scope: "col", className: name === "#" ? "number" : "" }, name));
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

/** The code, which is shown once, and the customer's link that carries it, as a QR code too. */
export function withdrawal(code, { token, language } = {}) {
  const shown = element("code", { id: "withdrawal-code" }, code);
  const link = element("a", { href: withdrawalLink(SITE, code, language), target: "_blank", rel: "noreferrer" }, "Open the customer's link");
  return element("div", { className: "code" }, "Withdrawal code ", shown, copyButton(code, shown), link, qrCode(code, { token, language }));
}

/** A disclosure that asks for the QR code when it is opened, and again if that failed. */
function qrCode(code, options) {
  const place = element("div", { role: "status" });
  const disclosure = element("details", { id: "qr" }, element("summary", {}, "QR code of the link"), place);
  disclosure.addEventListener("toggle", async () => {
    if (!disclosure.open || place.querySelector("img")) return;
    place.replaceChildren("Loading …");
    try {
      const svg = await withdrawalQr(SITE, code, options);
      place.replaceChildren(element("img", { src: `data:image/svg+xml,${encodeURIComponent(svg)}`, alt: "QR code of the withdrawal link" }));
    } catch (error) {
      place.replaceChildren(error.message);
    }
  });
  return disclosure;
}
