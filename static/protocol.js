/** The live dialog's reference, drawn from /asyncapi.json. */

import { element } from "./element.js";
import { show } from "./reference.js";
import { inCode } from "./same_in_code.js";
import { cell, code, fields, last, listed, panel, paragraphs, prose, table, typeArticle, typeLink } from "./schema.js";
import { SITE } from "./site.js";

function frame(document, name, replies) {
  const message = document.components.messages[name];
  const schema = document.components.schemas[last(message.payload.$ref)];
  const body = element("article", { id: name }, element("h3", {}, typeLink(name)), ...paragraphs(message.summary), fields(schema));
  for (const example of message.examples) body.append(element("pre", { tabIndex: 0 }, JSON.stringify(example.payload)));
  if (replies) body.append(element("p", { className: "quiet" }, "Replies: ", ...listed(replies.map(typeLink))));
  return body;
}

/** The schemas that are parts of frames. */
function parts(document) {
  const frames = Object.values(document.components.messages).map((message) => last(message.payload.$ref));
  return Object.entries(document.components.schemas).filter(([name]) => !frames.includes(name));
}

function errors(document) {
  const rows = document["x-errors"].map((error) => {
    const end = error.survives ? "stays open" : element("a", { href: "#closes" }, `closed, ${error.close}`);
    return element("tr", { id: `error-${error.code}` }, cell(code(error.code)), cell(...prose(error.meaning)), cell(end), cell(...prose(error.remedy)));
  });
  return table("errors", ["Code", "Meaning", "Dialog", "What to do"], rows);
}

function closes(document) {
  const rows = document["x-close-codes"].map((close) => {
    const after = close.errors.map((name) => element("a", { href: `#error-${name}` }, code(name)));
    return element("tr", {}, cell(code(close.code)), cell(...prose(close.meaning)), cell(close.replay ? "reconnects and replays" : "stops"), cell(...listed(after)));
  });
  return table("closes", ["Code", "Meaning", "Client", "Preceding error"], rows);
}

/** Where this server takes dialogs: the page came from it. */
function addresses(document) {
  const { pathname, protocol, host } = new URL(SITE + document.channels.live.address);
  return element("p", {}, "This server: ", code(`${protocol.replace("http", "ws")}//${host}${pathname}`));
}

function draw(document) {
  const received = Object.entries(document.operations).filter(([, operation]) => operation.action === "receive");
  const clientFrames = received.map(([name]) => name);
  const serverFrames = Object.keys(document.components.messages).filter((name) => !clientFrames.includes(name));
  const replies = (operation) => operation.reply.messages.map((message) => last(message.$ref));
  const entry = (name, target) => ({ href: `#${name}`, label: [code(name)], text: target.textContent, target });
  const fromClient = received.map(([name, operation]) => entry(name, frame(document, name, replies(operation))));
  const fromServer = serverFrames.map((name) => entry(name, frame(document, name)));
  const inside = parts(document).map(([name, schema]) => entry(name, typeArticle(name, schema)));
  const panels = [
    panel("connection", "Connection", ...paragraphs(document.info.description), addresses(document), ...paragraphs(document.channels.live.description), ...programs()),
    panel("from-chatbot", "Client frames", ...targets(fromClient)),
    panel("from-server", "Server frames", ...targets(fromServer), ...targets(inside)),
    panel("errors", "Errors", errors(document)),
    panel("closes", "Close codes", closes(document)),
  ];
  const others = [panels[0], panels[3], panels[4]].map((target) => ({ href: `#${target.id}`, label: [target.ariaLabel], text: target.textContent, target }));
  return {
    panels,
    groups: [
      { title: "Dialog", entries: others },
      { title: "Client frames", entries: fromClient },
      { title: "Server frames", entries: fromServer },
      { title: "Parts of frames", entries: inside },
    ],
  };
}

const targets = (entries) => entries.map(({ target }) => target);

/** One dialog in each language; what curl can do of it is the HTTP contract. */
function programs() {
  const options = { customerId: "c-42", language: "en" };
  const said = [{ text: "Where is my parcel?", about: { role: "customer", language: "en" } }, { text: "It arrives tomorrow.", about: { role: "bot", language: "en" } }];
  return [element("h3", {}, "A dialog in code"), element("div", { id: "same-code" }, ...inCode({ site: SITE, options, said, granted: true }))];
}

show("/asyncapi.json", draw);
