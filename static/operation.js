/** One operation of the REST API: a line, and opened, all about it. */

import { element } from "./element.js";
import { cell, code, constraints, kind, listed, paragraphs, prose, table } from "./schema.js";
import { tryOut } from "./try_out.js";

const PROBLEM = "application/problem+json";

/** The operation's address on this page. An operation that has no id has the one of its first path. */
export const idOf = (method, path, { operationId }) => operationId ?? `${method}_${path.replaceAll(/\W+/g, "_")}`;

/** @returns {HTMLDetailsElement} whose content is drawn when it is opened first */
export function drawOperation(method, path, operation) {
  const head = element("summary", {}, element("span", { className: "method", data: { method } }, method), " ", code(path), " ",
    element("span", { className: "quiet" }, ...prose(operation.summary)));
  const box = element("details", { id: idOf(method, path, operation), className: "operation" }, head);
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount === 1) box.append(element("div", {}, ...whole(method, path, operation)));
  });
  return box;
}

function whole(method, path, operation) {
  return [
    ...paragraphs(operation.description),
    ...parameters(operation.parameters),
    ...body(operation.requestBody),
    element("h3", {}, "Responses"),
    responses(operation.responses),
    ...tryOut(method, path, operation),
  ];
}

function parameters(list = []) {
  if (!list.length) return [];
  const rows = list.map(({ name, in: place, required, schema, description }) =>
    element("tr", {}, cell(code(name)), cell(...kind(schema)), cell(required ? `${place}, required` : place), cell(...constraints(schema, description))));
  return [element("h3", {}, "Parameters"), table("fields", ["Name", "Type", "In", "Meaning"], rows)];
}

function body(requestBody) {
  if (!requestBody) return [];
  const kinds = Object.entries(requestBody.content).map(([media, { schema }]) => element("li", {}, code(media), schema ? ": " : "", ...(schema ? kind(schema) : [])));
  return [element("h3", {}, "Body"), element("ul", {}, ...kinds)];
}

function responses(byStatus) {
  const rows = Object.entries(byStatus).map(([status, { description, content = {}, headers = {} }]) => {
    const bodies = Object.entries(content).map(([media, { schema }]) => {
      const isProblem = media === PROBLEM;
      return element("li", {}, code(media), ...(schema && !isProblem ? [": ", ...shape(schema)] : []));
    });
    const named = Object.entries(headers).map(([name, { description: told }]) => element("li", {}, code(name), ": ", ...prose(told)));
    return element("tr", {}, cell(element("b", {}, status)), cell(...description.split("\n\n").map((text) => element("p", {}, ...prose(text))), ...(named.length ? [element("ul", {}, ...named)] : [])), cell(element("ul", {}, ...bodies)));
  });
  return table("responses", ["Status", "Meaning", "Body"], rows);
}

/** The type of a body; of a text, what is in it. */
function shape(schema) {
  const told = [schema, ...(schema.anyOf ?? [])].filter(({ type, description }) => type === "string" && description);
  return told.length ? listed(told.map(({ description }) => element("span", {}, ...prose(description)))) : kind(schema);
}
