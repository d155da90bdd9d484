/** The form of one operation: its values make the request that is sent, and the programs that send the same. */

import { copyButton } from "./copy.js";
import { byId, element } from "./element.js";
import { PROGRAMS } from "./request_code.js";
import { respond } from "./rest.js";
import { SITE } from "./site.js";

const MOST_CHARACTERS = 20_000;
let tool = "curl"; // as last chosen, for all operations

/** @param {object} operation  of the OpenAPI document @returns {HTMLElement[]} */
export function tryOut(method, path, operation) {
  const isGuarded = Boolean(operation.security);
  const inputs = (operation.parameters ?? []).map((parameter) => [parameter, input(operation.operationId, parameter)]);
  const [media, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const body = media && element("textarea", { rows: 5, spellcheck: false, value: example(media, content) });
  const answer = element("div", { className: "answer", ariaLive: "polite" });
  const programs = element("div", {});
  const request = () => requestOf(method, path, inputs, media, body?.value, isGuarded);
  const redraw = () => programs.replaceChildren(...codes(request(), redraw));
  const form = element("form", { className: "try", autocomplete: "off" },
    element("div", { className: "filters" }, ...inputs.map(([parameter, field]) => labelled(parameter, field))),
    body ? element("p", {}, element("label", {}, `Body, ${media}`, body)) : "",
    element("p", { className: "row" }, element("button", { className: "main" }, "Send")));
  form.addEventListener("input", redraw);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(request(), answer);
  });
  redraw();
  return [element("h3", {}, "Try it"), form, answer, element("h3", {}, "The same in code"), programs];
}

function input(operation, { name, schema, required }) {
  if (!schema.enum) return element("input", { required, spellcheck: false, placeholder: schema.default === undefined ? "" : String(schema.default) });
  return element("select", {}, ...(required ? [] : [element("option", { value: "" }, "–")]), ...schema.enum.map((value) => element("option", {}, value)));
}

const labelled = ({ name, in: place, required }, field) =>
  element("p", {}, element("label", {}, `${name} `, element("small", {}, required ? "required" : place), field));

function example(media, { example: value }) {
  if (value === undefined) return "";
  if (media === "application/x-www-form-urlencoded") return new URLSearchParams(value).toString();
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function requestOf(method, path, inputs, media, body, isGuarded) {
  const headers = media ? { "Content-Type": media } : {};
  const query = new URLSearchParams();
  let filled = path;
  for (const [{ name, in: place }, { value }] of inputs) {
    if (!value) continue;
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value));
    else if (place === "query") query.append(name, value);
    else headers[name] = value;
  }
  return { method, url: SITE + filled + (query.size ? `?${query}` : ""), headers, body: body || undefined, isGuarded };
}

/** The programs; one is shown at a time. */
function codes(request, redraw) {
  const text = PROGRAMS[tool](request);
  const shown = element("pre", { tabIndex: 0 }, text);
  const choices = Object.keys(PROGRAMS).map((name) =>
    element("button", { type: "button", ariaPressed: String(name === tool), onclick: () => {
      tool = name;
      redraw();
    } }, name));
  return [element("p", { className: "row tools", role: "group", ariaLabel: "Program" }, ...choices, copyButton(text, shown)), shown];
}

async function send({ method, url, headers, body, isGuarded }, answer) {
  const token = byId("token")?.value.trim();
  if (isGuarded && token) headers.Authorization = `Bearer ${token}`;
  answer.replaceChildren(element("p", { className: "quiet" }, "Waiting …"));
  const began = performance.now();
  try {
    const response = await respond(url, { method, headers, body, cache: "no-store" });
    const text = await response.text();
    const took = `${response.status} ${response.statusText} in ${Math.round(performance.now() - began)} ms`;
    const rest = text.length - MOST_CHARACTERS;
    const shown = rest > 0 ? `${text.slice(0, MOST_CHARACTERS)} … ${rest.toLocaleString("en-GB")} more characters` : indented(text);
    answer.replaceChildren(element("p", { className: response.ok ? "status" : "status failure" }, took), element("pre", { tabIndex: 0 }, shown));
  } catch (error) {
    const why = error.code ? error.message : "the response was interrupted; send again";
    answer.replaceChildren(element("p", { className: "failure", role: "alert" }, why));
  }
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
