/** The live dialog's reference, generated from /asyncapi.json. */

import { byId, element } from "./element.js";
import { SITE } from "./site.js";

const SCHEMAS = "#/components/schemas/";
const last = (path) => path.split("/").at(-1);
const code = (text) => element("code", {}, text);
const cell = (...children) => element("td", {}, ...children);

/** Text with `code` in backticks. */
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? code(part) : part));
}

/** Paragraphs; indented blocks become code. */
function paragraphs(text) {
  return text
    .trimEnd()
    .split(/\n{2,}/)
    .map((block) =>
      block.startsWith("    ")
        ? element("pre", { tabIndex: 0 }, block.replaceAll(/^ {4}/gm, ""))
        : element("p", {}, ...prose(block)),
    );
}

function table(kind, heads, rows) {
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)));
  const box = element("div", { className: `wide ${kind}`, tabIndex: 0, role: "region", ariaLabel: heads.join(", ") });
  box.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  return box;
}

const link = (name) => element("a", { href: `#${name}` }, code(name));

/** Nodes separated by commas. */
const listed = (nodes) => nodes.flatMap((node, i) => (i ? [", ", node] : [node]));

/** The types that a schema allows, without null: a field that may be null may be omitted. */
function kind(schema) {
  if (schema.anyOf) return listed(schema.anyOf.filter((each) => each.type !== "null").map((each) => element("span", {}, ...kind(each))));
  if (schema.$ref) return [link(last(schema.$ref))];
  if (schema.enum) return listed(schema.enum.map((value) => code(value)));
  if (schema.type === "array") return ["list of ", ...kind(schema.items)];
  if (schema.type === "object") return ["object of ", ...kind(schema.additionalProperties)];
  return [schema.format === "date-time" ? "time" : schema.type];
}

/** The description and the constraints of a schema. */
function constraints(schema) {
  const flat = { ...schema, ...schema.anyOf?.find((each) => each.type !== "null") };
  const parts = [];
  if (flat.description) parts.push(element("span", {}, ...prose(flat.description)));
  if (flat.minimum !== undefined) parts.push(`minimum ${flat.minimum.toLocaleString()}`);
  if (flat.maximum !== undefined) parts.push(`maximum ${flat.maximum.toLocaleString()}`);
  if (flat.minLength !== undefined) parts.push(`at least ${flat.minLength} character${flat.minLength === 1 ? "" : "s"}`);
  if (flat.maxLength !== undefined) parts.push(`at most ${flat.maxLength} characters`);
  if (flat.maxItems !== undefined) parts.push(`at most ${flat.maxItems} items`);
  if (flat.pattern) parts.push(element("span", {}, "pattern ", code(flat.pattern)));
  if (flat.default !== undefined && flat.default !== null) parts.push(element("span", {}, "default ", code(JSON.stringify(flat.default))));
  return listed(parts);
}

function fields(schema) {
  const rows = Object.entries(schema.properties).map(([name, field]) => {
    const isRequired = schema.required?.includes(name);
    return element("tr", {}, cell(code(name)), cell(...kind(field)), cell(isRequired ? "always" : "optional"), cell(...constraints(field)));
  });
  return table("fields", ["Field", "Type", "Sent", "Meaning"], rows);
}

function panel(id, title, ...children) {
  const heading = element("h2", {}, element("a", { href: `#${id}` }, title));
  return element("section", { className: "panel", id, ariaLabel: title }, heading, ...children);
}

function frame(document, name, replies) {
  const message = document.components.messages[name];
  const schema = document.components.schemas[last(message.payload.$ref)];
  const body = element("article", { id: name }, element("h3", {}, link(name)), ...paragraphs(message.summary), fields(schema));
  for (const example of message.examples) body.append(element("pre", { tabIndex: 0 }, JSON.stringify(example.payload)));
  if (replies) body.append(element("p", { className: "quiet" }, "Replies: ", ...listed(replies.map(link))));
  return body;
}

/** The schemas that are parts of frames. */
function parts(document) {
  const frames = Object.values(document.components.messages).map((message) => last(message.payload.$ref));
  return Object.entries(document.components.schemas)
    .filter(([name]) => !frames.includes(name))
    .map(([name, schema]) => element("article", { id: name }, element("h3", {}, link(name)), ...paragraphs(schema.description), fields(schema)));
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

function addresses(document) {
  const { address } = document.channels.live;
  const rows = Object.values(document.servers).map((server) => element("li", {}, code(`${server.protocol}://${server.host}${address}`), " ", ...prose(server.description)));
  return element("ul", {}, ...rows);
}

function draw(document) {
  const received = Object.entries(document.operations).filter(([, operation]) => operation.action === "receive");
  const clientFrames = received.map(([name]) => name);
  const serverFrames = Object.keys(document.components.messages).filter((name) => !clientFrames.includes(name));
  const replies = (operation) => operation.reply.messages.map((message) => last(message.$ref));
  byId("reference").replaceChildren(
    panel("connection", "Connection", ...paragraphs(document.info.description), addresses(document), ...paragraphs(document.channels.live.description)),
    panel("from-chatbot", "Client frames", ...received.map(([name, operation]) => frame(document, name, replies(operation)))),
    panel("from-server", "Server frames", ...serverFrames.map((name) => frame(document, name)), ...parts(document)),
    panel("errors", "Errors", errors(document)),
    panel("closes", "Close codes", closes(document)),
  );
}

/** Scroll to the URL's fragment, which did not exist before the page was drawn. */
function scrollToFragment() {
  const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
  if (target) target.scrollIntoView();
}

async function load() {
  const place = byId("reference");
  try {
    const response = await fetch(`${SITE}/asyncapi.json`);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    draw(await response.json());
    scrollToFragment();
  } catch (error) {
    const again = element("button", { type: "button", onclick: load }, "Retry");
    place.replaceChildren(element("p", { className: "failure", role: "alert" }, `/asyncapi.json could not be read: ${error.message}`), again);
  }
  place.removeAttribute("aria-busy");
}

load();
