/** The privacy officer's page: its parts, and the key that they share. */

import { ChainVerifier } from "./chain.js";
import { byId, on } from "./element.js";
import { Overview } from "./overview.js";
import { REFUSED } from "./panel.js";
import { Person } from "./person.js";
import { Requests } from "./requests.js";
import { RestClient } from "./rest.js";
import { Trail } from "./trail.js";
import { Verifier } from "./verifier.js";

const rest = new RestClient();
const isKeyed = !byId("key-form").hidden; // the server says so in the page: nothing moves for a form that comes later
const overview = new Overview(rest);
const requests = new Requests(rest, refresh);
const person = new Person(rest, refresh);
const trail = new Trail(rest);
new Verifier(rest);
new ChainVerifier(rest, (fault) => overview.logged(fault));

/** Load what a change may have changed, and demand a key if that is refused. */
async function refresh() {
  const [error] = await Promise.all([requests.load(), overview.load(), trail.load()]);
  person.open = overview.open ?? [];
  demand(REFUSED.includes(error?.status) ? error : null); // a key for some purposes is refused elsewhere
}

/** Ask for a key that is accepted; say why the one that was sent is not. */
function demand(refusal) {
  byId("key-form").hidden = !isKeyed && !refusal && !rest.key;
  byId("forget-key").hidden = !rest.key;
  byId("key").placeholder = rest.key ? "stored for this tab" : "";
  byId("key-failure").hidden = !refusal || !rest.key;
  byId("key-failure").textContent = refusal?.message ?? "";
  if (refusal) byId("key").focus();
}

on("key-form", "submit", () => {
  if (byId("key").value) rest.key = byId("key").value.trim();
  byId("key").value = "";
  refresh();
});
on("forget-key", "click", () => {
  rest.key = "";
  refresh();
});
addEventListener("refused", ({ detail }) => demand(detail)); // the key has ended since the page was loaded
refresh();
