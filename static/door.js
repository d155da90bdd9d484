/** The REST interface, and the key to it. */

const KEPT_AS = "consentful key"; // in sessionStorage: it outlives a reload, and ends with the tab

/** A refusal: `message` says what to do next (RFC 9457 `detail`). */
export class Refused extends Error {
  constructor(status, { detail = "the server did not answer; is it running?", code = "unavailable" } = {}) {
    super(detail);
    this.name = "Refused";
    this.status = status;
    this.code = code;
  }
}

export class Door {
  get key() {
    return sessionStorage.getItem(KEPT_AS) ?? "";
  }

  set key(key) {
    if (key) sessionStorage.setItem(KEPT_AS, key);
    else sessionStorage.removeItem(KEPT_AS);
  }

  /**
   * Return the answer.
   *
   * @param {{method?: string, path: string, body?: object}} asked
   * @throws {Refused} also if there is no server
   */
  async ask({ method = "GET", path, body }, signal) {
    const headers = this.key ? { authorization: `Bearer ${this.key}` } : {};
    if (body) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, signal, cache: "no-store", body: body && JSON.stringify(body) });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refused(0);
    }
    if (answer.ok) return answer;
    throw new Refused(answer.status, await answer.json().catch(() => ({ detail: `HTTP ${answer.status}`, code: "http" })));
  }

  async json(asked, signal) {
    return (await this.ask(asked, signal)).json();
  }
}
