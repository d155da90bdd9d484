/** What is stored of a person, the answers to them, and the erasure, which is confirmed first. No id is in a URL. */

import { letter } from "./answer.js";
import { saveFile } from "./files.js";
import { button, byId, element, on } from "./element.js";
import { empty, failure, Panel, table } from "./panel.js";
import { many } from "./quantities.js";
import { meaning } from "./requests.js";
import { day, time } from "./times.js";

const REQUESTS = "/v1/privacy-requests";
const UNSEEN = /[\p{Cf}\p{Cc}]/gu; // mail programs and chats put them around what is copied
const sum = (held, name) => held.reduce((total, it) => total + it[name], 0);

export class Person {
  /** @param {() => Promise<unknown>} onChange  called after a request was carried out */
  constructor(rest, onChange) {
    this.rest = rest;
    this.onChange = onChange;
    this.open = []; // the open requests, which an answer or an erasure may belong to
    this.panel = new Panel("person");
    on("lookup", "submit", () => this.look());
  }

  /** Look up every id of the person, and what looks the same but is stored under another spelling (Unicode, UAX #15). */
  look() {
    const ids = [...new Set(byId("customers").value.split("\n").map((line) => line.trim()).filter(Boolean))];
    return this.panel.attempt(async (signal) => {
      const found = [];
      for (const id of new Set(ids.flatMap((it) => [it, it.normalize("NFC"), it.normalize("NFD")]))) {
        const held = await this.rest.json({ method: "POST", path: "/v1/customers/search", body: { customer_id: id } }, signal);
        if (held.dialogs || ids.includes(id)) found.push({ id, ...held });
      }
      this.show(found);
    });
  }

  show(found) {
    const dialogs = sum(found, "dialogs");
    const rows = found.map(({ id, dialogs, messages, items }) =>
      [element("bdi", {}, visible(id)), dialogs, messages, items.length ? day(new Date(items[0].stored_at)) : "–"]);
    const ids = table("Stored by id", ["Customer id", "#Dialogs", "#Messages", "Last stored"], rows);
    if (!dialogs) {
      this.panel.show("empty", "nothing stored", ids, empty("Nothing is stored under ", found.length === 1 ? "this id" : "these ids",
        ". Ids are compared exactly: capital letters and spaces count. You can still send an answer, which says so."), ...this.unseen(found), this.actions(found));
      return;
    }
    this.panel.show("full", many(dialogs, "dialog"), ids, ...this.unseen(found), dialogTable(found), this.actions(found));
  }

  /** Tell of ids under which nothing is stored, and which have characters that nobody sees. */
  unseen(found) {
    const odd = found.filter(({ id, dialogs }) => !dialogs && id.search(UNSEEN) !== -1);
    if (!odd.length) return [];
    const remove = button("Look up without them", () => {
      byId("customers").value = byId("customers").value.split("\n").map((line) => line.replace(UNSEEN, "")).join("\n");
      this.look();
    });
    return [element("p", { className: "failure", role: "alert" }, odd.length === 1 ? "An id has " : `${odd.length} ids have `,
      "characters that cannot be seen, which were probably copied with it. ", remove)];
  }

  actions(found) {
    const state = element("div", { role: "status" });
    const belongs = element("select", { id: "answers" }, element("option", { value: "" }, "no recorded request"),
      ...this.open.map(({ id, kind, reference }) => element("option", { value: id, data: { kind } }, `${kind} ${reference ?? `…${id.slice(-8)}`}`)));
    const run = (kind) => this.carryOut(kind, found, belongs.value, state);
    const erase = button("Erase …", () => this.erase(found, belongs.value, state));
    erase.className = "no";
    erase.disabled = !sum(found, "dialogs");
    return element("div", { className: "actions" },
      element("p", { className: "row" }, element("label", { htmlFor: "answers" }, "For "), belongs),
      element("p", { className: "row" }, button("Answer (access)", () => run("access")), button("Answer (portability)", () => run("portability")), erase),
      state);
  }

  /** Show what will be erased; erase it once that is confirmed. */
  erase(found, answers, state) {
    const dialog = byId("erasing");
    const [dialogs, messages] = [sum(found, "dialogs"), sum(found, "messages")];
    dialog.querySelector(".body").replaceChildren(
      element("p", {}, element("strong", {}, `${many(dialogs, "dialog")} with ${many(messages, "message")}`), " will be unreadable at once. This cannot be undone."),
      dialogTable(found),
      element("p", { className: "quiet" }, "Recipients of copies are told by the feed of erasures. Delete copies of your own yourself."));
    dialog.querySelector("h2").textContent = `Erase ${many(dialogs, "dialog")}?`;
    dialog.returnValue = "";
    dialog.onclose = () => dialog.returnValue === "erase" && this.carryOut("erasure", found, answers, state);
    dialog.showModal();
  }

  /** Send a request for each id. What failed is told by its id; the others are done. */
  async carryOut(kind, found, answers, state) {
    state.replaceChildren("Working …");
    const told = [];
    for (const [at, { id }] of found.entries()) {
      const body = { kind, customer_id: id, ...(answers && { answers }) };
      try {
        const response = await this.rest.send({ method: "POST", path: REQUESTS, body });
        told.push(await (kind === "erasure" ? this.erased(response, id) : answered(response, id, `${kind}-${at + 1}.json`)));
      } catch (error) {
        told.push(failure(`${id}: ${error.code ? error.message : "the answer was interrupted, and not saved"}`));
      }
    }
    state.replaceChildren(...told);
    await this.onChange();
  }

  async erased(response, id) {
    const { dialogs, status, report, id: request } = await response.json();
    const keep = button("Download the signed report", () => saveFile(`erasure-${request}.jws`, new Blob([report], { type: "application/jose" })));
    const told = dialogs ? `${many(dialogs, "dialog")} erased, ${meaning(status)}. ` : "nothing was stored, and nothing is left. ";
    return element("p", {}, element("bdi", {}, visible(id)), ": ", told, keep);
  }
}

/** An id with the characters that cannot be seen as their numbers. */
const visible = (id) => id.replace(UNSEEN, (it) => `[U+${it.codePointAt().toString(16).toUpperCase().padStart(4, "0")}]`);

/** Save a complete answer, and tell whether dialogs had to be left out. */
async function answered(response, id, file) {
  const text = await response.text();
  const answer = JSON.parse(text); // throws if the connection was lost: half an answer is not saved
  const { request } = answer;
  saveFile(file, new Blob([text], { type: "application/json" }));
  const told = element("p", {}, element("bdi", {}, id), `: ${many(request.dialogs, "dialog")}, ${request.status}, saved as ${file}. `,
    button("Save it to read and print", () => saveFile(file.replace(".json", ".html"), new Blob([letter(answer)], { type: "text/html" }))));
  if (request.damaged) told.append(failure(`Left out, because they are damaged: ${request.damaged.join(", ")}. Restore them, and answer again.`));
  return told;
}

function dialogTable(found) {
  const listed = found.flatMap(({ items }) => items);
  const rows = listed.map(({ dialog_id, messages, purposes, stored_at, expires_at }) =>
    [element("code", {}, dialog_id), messages, purposes.join(", "), time(stored_at, day), time(expires_at, day)]);
  const left = sum(found, "dialogs") - listed.length;
  const shown = table("Dialogs", ["Dialog", "#Messages", "Purposes", "Stored", "Expires"], rows);
  return left ? element("div", {}, shown, element("p", { className: "quiet" }, `and ${many(left, "more dialog")}`)) : shown;
}
