/** The dialog that was just held, as programs that hold it again. They name the token's variable, never the token. */

import { copyButton } from "./copy.js";
import { element } from "./element.js";

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const quoted = (text) => JSON.stringify(text); // a JSON string is one of Python and of JavaScript, too

/**
 * @typedef {object} Held
 * @property {string} site  the server's URL
 * @property {{customerId: string, language?: string, bot?: string, token?: string}} options
 * @property {{text: string, about: {role: string, language?: string}}[]} said
 * @property {boolean} granted
 */

/** The examples with their headings, each to be copied. @param {Held} held */
export function inCode(held) {
  const texts = { Python: python(held), JavaScript: javascript(held), "curl (the HTTP contract, without a WebSocket)": curl(held) };
  return Object.entries(texts).flatMap(([name, text]) => {
    const code = element("pre", { tabIndex: 0 }, text);
    return [element("div", { className: "head" }, element("h3", {}, name), copyButton(text, code, `Copy the ${name.split(" ")[0]} example`)), code];
  });
}

function python({ site, options, said, granted }) {
  const { customerId, language, bot, token } = options;
  const given = named({ customer_id: customerId, language, bot }, (name, value) => `${name}=${value}`);
  if (token) given.push(`token=os.environ["CONSENTFUL_TOKEN"]`);
  const says = said.map(({ text, about }) => `    dialog.say(${[quoted(text), ...named(differing(about, language), (name, value) => `${name}=${value}`)].join(", ")})`);
  const end = granted ? ["    stored = dialog.grant()", "    print(stored.withdrawal_code)"] : ["    dialog.decline()"];
  const head = token ? ["import os", ""] : [];
  return [...head, "import consentful.sync", "", `with consentful.sync.open_dialog(${[quoted(site), ...given].join(", ")}) as dialog:`, ...says, ...end].join("\n");
}

function javascript({ site, options, said, granted }) {
  const { customerId, language, bot, token } = options;
  const given = named({ customerId, language, bot }, (name, value) => `${name}: ${value}`);
  if (token) given.push("token: process.env.CONSENTFUL_TOKEN");
  const says = said.map(({ text, about }) => {
    const own = named(differing(about, language), (name, value) => `${name}: ${value}`);
    return `await dialog.say(${[quoted(text), ...(own.length ? [`{ ${own.join(", ")} }`] : [])].join(", ")});`;
  });
  const end = granted ? ["const stored = await dialog.grant();", "console.log(stored.withdrawalCode);"] : ["await dialog.decline();"];
  return [`// In a browser or Node 22, with the file ${site}/static/consentful.js`, `import { openDialog } from "./consentful.js";`, "", `const dialog = await openDialog(${quoted(site)}, { ${given.join(", ")} });`, ...says, ...end].join("\n");
}

function curl({ site, options, said, granted }) {
  const { customerId, bot, language, token } = options;
  const post = (path, body) => [`curl -sS --fail-with-body "$SITE${path}"`, ...(token ? [`-H "Authorization: Bearer $CONSENTFUL_TOKEN"`] : []),
    `-H 'Content-Type: application/json'`, `-d ${shell(JSON.stringify(body))}`].join(" ");
  const says = said.map(({ text, about }) => post(`/data/${encodeURIComponent(customerId).replaceAll("'", "%27")}/$DIALOG`,
    { text, role: about.role, language: about.language ?? language, bot }));
  return [`SITE=${shell(site)}`, "DIALOG=$(cat /proc/sys/kernel/random/uuid)", ...says, post("/consents/$DIALOG", granted ? { consent: true, messages: said.length } : { consent: false })].join("\n");
}

/** What a message does not take from the dialog or the defaults. */
const differing = ({ role, language }, common) => ({ role: role === "customer" ? undefined : role, language: language === common ? undefined : language });

const named = (values, write) => Object.entries(values).filter(([, value]) => value).map(([name, value]) => write(name, quoted(value)));
