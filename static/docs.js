/** The REST reference, drawn from /openapi.json. It stores no token, and sends requests to this server only. */

import { element } from "./element.js";
import { drawOperation, idOf } from "./operation.js";
import { show } from "./reference.js";
import { code, panel, paragraphs, prose, quiet, typeDetails } from "./schema.js";
import { SITE } from "./site.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function draw(description) {
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    METHODS.filter((name) => methods[name]).map((name) => ({ method: name.toUpperCase(), path, operation: methods[name] })));
  const groups = description.tags.map((tag) => ({ ...tag, title: tag.name, entries: operations.filter(({ operation }) => operation.tags[0] === tag.name).map(entry) }));
  const types = Object.entries(description.components.schemas).map(([name, schema]) => ({
    href: `#${name}`, label: [code(name)], text: `${name} ${Object.keys(schema.properties ?? {}).join(" ")}`, target: typeDetails(name, schema),
  }));
  const panels = groups.map((group) => panel(anchor(group.title), group.title, quiet(...prose(group.description)), ...group.entries.map(({ target }) => target)));
  const about = panel("about", "About this API", ...paragraphs(description.info.description), element("p", {}, "This server: ", code(SITE)), ...token(description));
  return { panels: [about, ...panels, panel("types", "Types", ...types.map(({ target }) => target))], groups: [...groups, { title: "Types", entries: types }] };
}

function entry({ method, path, operation }) {
  const names = (operation.parameters ?? []).map(({ name }) => name).join(" ");
  return {
    href: `#${idOf(method, path, operation)}`,
    label: [element("span", { className: "method", data: { method } }, method), " ", code(path)],
    text: `${method} ${path} ${operation.summary} ${names}`,
    target: drawOperation(method, path, operation),
  };
}

/** A field for the token, where this server asks for one. It stays in the field. */
function token({ components: { securitySchemes } }) {
  if (!securitySchemes) return [];
  const field = element("input", { id: "token", type: "password", autocomplete: "off" });
  return [element("form", { onsubmit: (event) => event.preventDefault() }, element("label", {}, "Token ", element("small", {}, "for requests of this page; kept in this field only"), field)),
    element("p", { className: "quiet" }, securitySchemes.bearer.description)];
}

const anchor = (title) => title.toLowerCase().replaceAll(/\W+/g, "-");

show("/openapi.json", draw);
