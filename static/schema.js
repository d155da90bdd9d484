/** How descriptions and JSON Schemas of the documents are written on the reference pages. */

import { element } from "./element.js";

const LONG = 100; // a pattern of so many characters explains nothing that the description does not

export const last = (path) => path.split("/").at(-1);
export const code = (text) => element("code", {}, text);
export const cell = (...children) => element("td", {}, ...children);
export const quiet = (...children) => element("p", { className: "quiet" }, ...children);

/** Nodes separated by commas. */
export const listed = (nodes) => nodes.flatMap((node, i) => (i ? [", ", node] : [node]));

/** Text with `code` in backticks. */
export function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? code(part) : part));
}

/** Paragraphs; indented blocks become code, and lines that begin with a hyphen a list. */
export function paragraphs(text) {
  return text.trimEnd().split(/\n{2,}/).map((block) => {
    if (block.startsWith("    ")) return element("pre", { tabIndex: 0 }, block.replaceAll(/^ {4}/gm, ""));
    if (block.startsWith("- ")) return element("ul", {}, ...block.slice(2).split(/\n- /).map((item) => element("li", {}, ...prose(item))));
    return element("p", {}, ...prose(block));
  });
}

/** A table that scrolls on its own where it does not fit. */
export function table(kind, heads, rows) {
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)));
  const box = element("div", { className: `wide ${kind}`, tabIndex: 0, role: "group", ariaLabel: heads.join(", ") });
  box.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  return box;
}

export const typeLink = (name) => element("a", { href: `#${name}` }, code(name));

/** The types that a schema allows, without null: a field that may be null may be omitted. */
export function kind(schema) {
  if (schema.anyOf) return listed(schema.anyOf.filter((each) => each.type !== "null").map((each) => element("span", {}, ...kind(each))));
  if (schema.$ref) return [typeLink(last(schema.$ref))];
  if (schema.const !== undefined) return [code(JSON.stringify(schema.const))];
  if (schema.enum) return listed(schema.enum.map((value) => code(String(value))));
  if (schema.type === "array") return schema.items ? ["list of ", ...kind(schema.items)] : ["list"];
  if (schema.type === "object") return schema.additionalProperties ? ["object of ", ...kind(schema.additionalProperties)] : ["object"];
  return [schema.format === "date-time" ? "time" : (schema.type ?? "any value")];
}

/** The description and the constraints of a schema. */
export function constraints(schema, description = "") {
  const flat = { ...schema.anyOf?.find((each) => each.type !== "null"), ...schema };
  const told = description || flat.description;
  const parts = told ? [element("span", {}, ...prose(told))] : [];
  if (flat.minimum !== undefined) parts.push(`minimum ${flat.minimum.toLocaleString("en-GB")}`);
  if (flat.maximum !== undefined) parts.push(`maximum ${flat.maximum.toLocaleString("en-GB")}`);
  if (flat.minLength > 1) parts.push(`at least ${flat.minLength} characters`);
  if (flat.maxLength !== undefined) parts.push(`at most ${flat.maxLength.toLocaleString("en-GB")} characters`);
  if (flat.maxItems !== undefined) parts.push(`at most ${flat.maxItems} items`);
  if (flat.pattern && (flat.pattern.length < LONG || !told)) parts.push(element("span", {}, "pattern ", code(flat.pattern)));
  if (flat.default !== undefined && flat.default !== null) parts.push(element("span", {}, "default ", code(JSON.stringify(flat.default))));
  return listed(parts);
}

/** The fields of an object's schema. */
export function fields(schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    element("tr", {}, cell(code(name)), cell(...kind(field)), cell(schema.required?.includes(name) ? "always" : "optional"), cell(...constraints(field))));
  return table("fields", ["Field", "Type", "Sent", "Meaning"], rows);
}

/** A type of its own, with an anchor that its mentions lead to. */
export function typeArticle(name, schema) {
  return element("article", { id: name }, element("h3", {}, typeLink(name)), ...paragraphs(schema.description ?? ""), fields(schema));
}

/** The same as a line that opens. */
export function typeDetails(name, schema) {
  const [first = "", ...rest] = (schema.description ?? "").split(/\n{2,}/);
  return element("details", { id: name, className: "operation" }, element("summary", {}, code(name), " ", element("span", { className: "quiet" }, ...prose(first))),
    element("div", {}, ...paragraphs(rest.join("\n\n")), fields(schema)));
}

export function panel(id, title, ...children) {
  const heading = element("h2", {}, element("a", { href: `#${id}` }, title));
  return element("section", { className: "panel", id, ariaLabel: title }, heading, ...children);
}
