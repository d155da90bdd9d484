/** A consent receipt: a compact JWS (RFC 7515), shown and verified in the browser. */

import { element } from "./element.js";
import { SITE } from "./site.js";

const bytes = (part) => Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const json = (part) => JSON.parse(new TextDecoder().decode(bytes(part)));

/** Return the receipt as a disclosure element. */
export function receiptOf({ receipt }) {
  const { header, payload } = read(receipt);
  const parts = { Header: JSON.stringify(header, null, 2), Payload: JSON.stringify(payload, null, 2), "Compact JWS": receipt };
  return element("details", { id: "receipt" }, element("summary", {}, "Receipt "),
    ...Object.entries(parts).flatMap(([name, text]) => [element("h3", {}, name), element("pre", { tabIndex: 0 }, text)]));
}

/** Return the result of the signature check, as text. */
export async function check(receipt) {
  try {
    const answer = await fetch(`${SITE}/.well-known/jwks.json`);
    const valid = await verify(receipt, await answer.json());
    return valid === null ? "signature not checked" : valid ? "signature valid" : "signature invalid";
  } catch {
    return "signature not checked: no keys available";
  }
}

/** Return the decoded receipt: `{header, payload}`. */
function read(receipt) {
  const [header, payload] = receipt.split(".");
  return { header: json(header), payload: json(payload) };
}

/** Return whether the Ed25519 signature (RFC 8037) is valid for one of the keys; null if the browser has no Ed25519. */
async function verify(receipt, { keys }) {
  const [header, payload, signature] = receipt.split(".");
  const { crv, kty, x } = keys.find(({ kid }) => kid === json(header).kid);
  try {
    const key = await crypto.subtle.importKey("jwk", { crv, kty, x }, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, bytes(signature), new TextEncoder().encode(`${header}.${payload}`));
  } catch {
    return null;
  }
}
