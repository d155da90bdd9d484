/** The client of the REST API, with the caller's API key. */

import { SITE } from "./site.js";

const WAIT_MS = 30_000; // until a response begins; a stream may then take as long as it likes
const STORED_AS = "consentful key"; // in sessionStorage: survives a reload, ends with the tab

/** An error response: `message` is the `detail` of the problem document (RFC 9457). */
export class Refused extends Error {
  constructor(status, { detail = "the server does not respond; check that it is running", code = "unavailable", parameter } = {}) {
    super(detail);
    this.name = "Refused";
    this.status = status;
    this.code = code;
    this.parameter = parameter;
  }
}

/**
 * Send a request and return the response, whatever its status.
 *
 * @throws {Refused} if there is no response within 30 s
 */
export async function respond(url, init = {}, signal) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), WAIT_MS);
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
  try {
    return await fetch(url, { ...init, signal: either });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, late.signal.aborted ? { detail: `no response within ${WAIT_MS / 1000} s; try again`, code: "timeout" } : {});
  } finally {
    clearTimeout(timer);
  }
}

export class RestClient {
  get key() {
    return sessionStorage.getItem(STORED_AS) ?? "";
  }

  set key(key) {
    if (key) sessionStorage.setItem(STORED_AS, key);
    else sessionStorage.removeItem(STORED_AS);
  }

  /**
   * Send a request and return the response.
   *
   * @param {{method?: string, path: string, body?: object, headers?: object}} request
   * @throws {Refused} for an error response, and if there is no response
   */
  async send({ method = "GET", path, body, headers: more = {} }, signal) {
    const headers = { ...more, ...(this.key && { authorization: `Bearer ${this.key}` }) };
    if (body) headers["content-type"] = "application/json";
    const response = await respond(SITE + path, { method, headers, cache: "no-store", body: body && JSON.stringify(body) }, signal);
    if (response.ok) return response;
    throw new Refused(response.status, await response.json().catch(() => ({ detail: `HTTP ${response.status}`, code: "http" })));
  }

  async json(request, signal) {
    return (await this.send(request, signal)).json();
  }
}
