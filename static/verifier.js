/** Verify a receipt or the report of an erasure that is pasted, dropped or chosen. */

import { byId, element, facts, on } from "./element.js";
import { failure, Panel } from "./panel.js";
import { moment, time } from "./times.js";

const LABELS = {
  iss: "Issued by", jti: "Dialog or request", sub: "Customer", messages: "Messages", withdrawn: "Withdrawn for", purposes: "Purposes", given_by: "Given by",
  status: "Status", dialogs: "Erased dialogs", keys_left: "Keys left", rows_left: "Rows left",
};
const NOT_VALID = "This is not a receipt or report that this service signed: it comes from elsewhere, was altered, or is incomplete. Paste all of it, from the first letter to the last.";
const AGREES = { matches: "stored as consented", erased: "erased", "not here": "not stored here", differs: "differs" };

export class Verifier {
  constructor(rest) {
    this.rest = rest;
    this.panel = new Panel("receipts");
    on("verify", "submit", () => this.verify());
    on("receipt-file", "change", ({ target }) => this.read(target.files[0]));
    const field = byId("receipt");
    for (const kind of ["dragenter", "dragover"]) field.addEventListener(kind, (event) => { event.preventDefault(); field.classList.add("dropping"); });
    field.addEventListener("dragleave", () => field.classList.remove("dropping"));
    field.addEventListener("drop", (event) => {
      field.classList.remove("dropping");
      if (!event.dataTransfer.files.length) return; // text: the field takes it by itself
      event.preventDefault();
      this.read(event.dataTransfer.files[0]);
    });
  }

  async read(file) {
    if (!file) return;
    byId("receipt").value = (await file.text()).trim();
    await this.verify();
  }

  verify() {
    return this.panel.attempt(async (signal) => {
      const request = { method: "POST", path: "/v1/receipts/verify", body: { receipt: byId("receipt").value } };
      const verified = await this.rest.json(request, signal).catch((error) => {
        if (error.status !== 400) throw error;
        this.panel.show("error", "not valid", failure(NOT_VALID)); // the same text is refused again
      });
      if (!verified) return;
      const { claims, content, detail } = verified;
      const isGood = content !== "differs";
      this.panel.show(isGood ? "full" : "error", AGREES[content],
        element("p", { className: isGood ? "" : "failure" }, element("strong", {}, "The signature is valid. "), `In the store: ${detail}.`),
        element("dl", { className: "facts" }, ...facts(told(claims))));
    });
  }
}

function told(claims) {
  const rows = Object.entries(LABELS).map(([name, label]) => [label, text(claims[name])]);
  return { ...Object.fromEntries(rows), Signed: time(claims.iat * 1000, moment), Notice: claims.notice && `${claims.notice.id} (${claims.notice.language})` };
}

const text = (value) => (Array.isArray(value) ? value.join(", ") : value === undefined || value === null ? "" : String(value));
