/** A consent receipt: a compact JWS (RFC 7515), read and checked in the browser. */

const bytes = (part) => Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const json = (part) => JSON.parse(new TextDecoder().decode(bytes(part)));

/** Return what the receipt states: `{header, payload}`. */
export function read(receipt) {
  const [header, payload] = receipt.split(".");
  return { header: json(header), payload: json(payload) };
}

/** Return whether its Ed25519 signature (RFC 8037) is by one of the keys; null where this browser cannot tell. */
export async function verify(receipt, { keys }) {
  const [header, payload, signature] = receipt.split(".");
  const { crv, kty, x } = keys.find(({ kid }) => kid === json(header).kid);
  try {
    const key = await crypto.subtle.importKey("jwk", { crv, kty, x }, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, bytes(signature), new TextEncoder().encode(`${header}.${payload}`));
  } catch {
    return null;
  }
}
