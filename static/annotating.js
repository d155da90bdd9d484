/** Annotating: what colleagues said of the dialog that is open, and what the reader says of it or of one message. */

import { button, element } from "./element.js";

const KEYS = { a: "accepted", p: "pending", r: "rejected" };
const FIELDS = ["labels", "reviewed", "note"];
const at = (seq) => (seq ? `message ${seq}` : "the whole dialog");

export class Annotating {
  #form;
  #panel;
  #rest;
  #go;
  #field;
  #dialogId = "";
  #seq = 0; // 0: the whole dialog
  #said = []; // the annotations of the dialog
  #me = null; // the reader's name as an annotator, once it is known
  #etag = null; // of the reader's own annotation there
  #seen = new Set(); // labels
  #labels; // their list
  #turn = 0; // responses to earlier requests are ignored

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} panel  the dialog's; while the focus is in it, and not in a field, keys are shortcuts
   * @param {import("./rest.js").RestClient} rest
   * @param {(seq: number) => void} go  marks a message of the open dialog
   */
  constructor(form, panel, rest, go) {
    [this.#form, this.#panel, this.#rest, this.#go] = [form, panel, rest, go];
    this.#labels = document.getElementById("labels-seen");
    this.#field = (name) => form.querySelector(`#${name}`);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    form.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.requestSubmit());
    this.#field("about-dialog").addEventListener("click", () => this.#aim(0));
    this.#field("unsay").addEventListener("click", () => this.#delete());
    panel.addEventListener("keydown", (event) => this.#shortcut(event));
  }

  close() {
    this.#turn++;
    this.#dialogId = "";
    this.#form.hidden = true;
  }

  /** Show what was said of a dialog, and aim at one of its messages (0: the whole dialog). */
  async open(dialogId, seq) {
    if (dialogId !== this.#dialogId) {
      this.#dialogId = dialogId;
      this.#said = [];
      await this.#read();
    }
    if (dialogId === this.#dialogId) await this.#aim(seq);
  }

  async #read() {
    const turn = ++this.#turn;
    const query = new URLSearchParams({ dialog_id: this.#dialogId, limit: 1000 });
    const { items } = await this.#rest.json({ path: `/v1/annotations?${query}` }).catch(() => ({ items: [] }));
    if (turn !== this.#turn) return;
    this.#said = items;
    this.suggest(items.flatMap(({ labels }) => labels));
    this.#list();
  }

  /** Suggest the labels that this tab has seen. They are sealed: nobody can list those that it has not. */
  suggest(labels) {
    for (const label of labels) this.#seen.add(label);
    this.#labels.replaceChildren(...[...this.#seen].sort().map((value) => element("option", { value })));
  }

  #list() {
    this.#field("said-of-it").replaceChildren(...this.#said.map(({ seq, annotator, labels, review, note }) => element("li", {},
      button(at(seq), () => this.#go(seq ?? 0)), ` ${[annotator, review, labels.join(" ")].filter(Boolean).join(" · ")}`,
      ...(note ? [element("q", { dir: "auto" }, note)] : []))));
  }

  /** Aim at a message, and fill the form with what the reader said of it before. */
  async #aim(seq) {
    const turn = ++this.#turn;
    this.#seq = seq;
    this.#form.hidden = false;
    this.#field("about").textContent = at(seq);
    this.#field("about-dialog").hidden = !seq;
    this.#tell("");
    const there = this.#said.filter((it) => (it.seq ?? 0) === seq);
    let mine = there.find((it) => it.annotator === this.#me);
    if (there.length && this.#me === null) {
      mine = await this.#rest.json({ path: this.#path() }).catch(() => undefined);
      if (turn !== this.#turn) return;
      this.#me = mine?.annotator ?? this.#me;
    }
    this.#etag = mine?.etag ?? null;
    this.#field("labels").value = mine?.labels.join(" ") ?? "";
    this.#field("reviewed").value = mine?.review ?? "";
    this.#field("note").value = mine?.note ?? "";
    this.#field("unsay").hidden = !mine;
  }

  async #save() {
    const [labels, review, note] = FIELDS.map((name) => this.#field(name).value.trim());
    const body = { labels: labels.split(/[\s,]+/).filter(Boolean), ...(review && { review }), ...(note && { note }) };
    if (!body.labels.length && !review && !note) {
      this.#tell("Enter a label, a review or a note first.", true);
      return false;
    }
    // What the reader has not seen is not overwritten, not even their own.
    const headers = this.#etag ? { "if-match": this.#etag } : { "if-none-match": "*" };
    return this.#change({ method: "PUT", path: this.#path(), body, headers }, "Saved");
  }

  #delete() {
    return this.#change({ method: "DELETE", path: this.#path(), headers: { "if-match": this.#etag } }, "Deleted");
  }

  async #change(request, done) {
    const [dialogId, seq] = [this.#dialogId, this.#seq];
    try {
      const response = await this.#rest.send(request);
      if (response.status !== 204) this.#me = (await response.json()).annotator;
    } catch (error) {
      this.#tell(`${error.message} (${error.code})`, true);
      if (error.code === "stale") {
        this.#me = null; // the next look asks which one is theirs
        await this.#read();
      }
      return false;
    }
    if (dialogId !== this.#dialogId) return true;
    await this.#read();
    if (seq === this.#seq) await this.#aim(seq);
    this.#tell(`${done}: ${at(seq)}.`);
    return true;
  }

  #path() {
    return `/v1/annotations/${encodeURIComponent(this.#dialogId)}${this.#seq ? `/${this.#seq}` : ""}`;
  }

  #tell(text, isFailure = false) {
    const status = this.#field("annotated");
    status.className = isFailure ? "failure" : "quiet";
    status.textContent = text;
  }

  async #shortcut(event) {
    const isTyping = event.target.closest("input, select, textarea");
    if (isTyping || !this.#dialogId || event.ctrlKey || event.metaKey || event.altKey) return;
    const most = this.#panel.querySelectorAll("[data-seq]").length;
    if (event.key in KEYS) {
      this.#field("reviewed").value = KEYS[event.key];
      const seq = this.#seq;
      if ((await this.#save()) && seq && seq < most) this.#go(seq + 1);
    } else if (event.key === "j" || event.key === "k") {
      this.#go(Math.max(1, Math.min(most, this.#seq + (event.key === "j" ? 1 : -1))));
    } else if (event.key === "l" || event.key === "n") {
      event.preventDefault(); // the letter must not be typed into the field
      this.#field("more-said").open = true;
      this.#field(event.key === "l" ? "labels" : "note").focus();
    }
  }
}
