/** Verify the access log: step by step, against a head that was saved earlier if there is one. */

import { byId, element, on } from "./element.js";
import { failure, Panel } from "./panel.js";
import { time } from "./times.js";

const number = (count) => count.toLocaleString("en-GB");

export class ChainVerifier {
  /** @param {(fault: string | null) => void} onEnd  is told how the log was altered; null if it was not */
  constructor(rest, onEnd) {
    this.rest = rest;
    this.onEnd = onEnd;
    this.panel = new Panel("chain");
    on("verify-log", "submit", () => this.verify(byId("earlier").value.trim()));
    on("stop-verifying", "click", () => this.stop());
  }

  async verify(earlier) {
    const progress = element("progress", { ariaLabel: "Verified entries", max: 1, value: 0 });
    byId("stop-verifying").hidden = false;
    this.panel.body.replaceChildren(progress);
    let cursor = null; // outside of the work, because a retry goes on from here
    await this.panel.attempt(async (signal) => {
      let step;
      do {
        step = await this.rest.json({ method: "POST", path: "/v1/access-log/verify", body: { ...(earlier && { head: earlier }), ...(cursor && { cursor }) } }, signal);
        cursor = step.next;
        Object.assign(progress, { max: Math.max(step.entries, 1), value: step.verified });
        this.panel.show("loading", `${number(step.verified)} of ${number(step.entries)} verified …`);
      } while (cursor);
      this.tell(step, earlier);
    });
    byId("stop-verifying").hidden = this.panel.section.dataset.state !== "loading"; // a newer one may run
  }

  tell({ verified, head, at, fault }, earlier) {
    this.onEnd(fault);
    const upTo = [` up to entry ${number(verified)} at `, time(at)];
    if (fault) this.panel.show("error", "altered", failure(`The log was altered: ${fault}.`), element("p", { className: "quiet" }, "The chain of its entries is intact", ...upTo, "."));
    else this.panel.show("full", "unaltered",
      element("p", {}, element("strong", {}, "Log verified"), ...upTo, ": unaltered", earlier ? ", and the head saved earlier is a part of it." : "."),
      element("p", { className: "quiet" }, "Save this head where the administrators of the server cannot write, and verify with it next time: ", element("code", {}, head)));
  }

  stop() {
    this.panel.attempt(() => this.panel.show("empty", "stopped", element("p", { className: "quiet" }, "Stopped: nothing is known of the rest of the log.")));
    byId("stop-verifying").hidden = true;
  }
}
