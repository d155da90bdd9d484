/** A request as a program. The token is an environment variable, whatever it is. */

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const quoted = (text) => JSON.stringify(text);

/**
 * @typedef {{method: string, url: string, headers: Record<string, string>, body?: string, isGuarded: boolean}} Request
 * @type {Record<string, (request: Request) => string>} by the name of the tool
 */
export const PROGRAMS = {
  curl({ method, url, headers, body, isGuarded }) {
    const parts = [`curl -sS${method === "GET" ? "" : ` -X ${method}`} ${shell(url)}`];
    if (isGuarded) parts.push(`-H "Authorization: Bearer $CONSENTFUL_TOKEN"`);
    for (const [name, value] of Object.entries(headers)) parts.push(`-H ${shell(`${name}: ${value}`)}`);
    if (body) parts.push(`-d ${shell(body)}`);
    return parts.join(" \\\n  ");
  },
  Python({ method, url, headers, body, isGuarded }) {
    const given = Object.entries(headers).map(([name, value]) => `    ${quoted(name)}: ${quoted(value)},`);
    if (isGuarded) given.unshift(`    "Authorization": "Bearer " + os.environ["CONSENTFUL_TOKEN"],`);
    return [...(isGuarded ? ["import os"] : []), "import urllib.request", "",
      ...(given.length ? ["headers = {", ...given, "}"] : ["headers = {}"]),
      ...(body ? [`body = ${quoted(body)}.encode()`] : []),
      `request = urllib.request.Request(${quoted(url)}, ${body ? "body, " : ""}headers=headers, method=${quoted(method)})`,
      "with urllib.request.urlopen(request) as response:", "    print(response.read().decode())"].join("\n");
  },
  JavaScript({ method, url, headers, body, isGuarded }) {
    const given = Object.entries(headers).map(([name, value]) => `${quoted(name)}: ${quoted(value)}`);
    if (isGuarded) given.unshift("Authorization: `Bearer ${process.env.CONSENTFUL_TOKEN}`");
    const about = [`  method: ${quoted(method)},`, ...(given.length ? [`  headers: { ${given.join(", ")} },`] : []), ...(body ? [`  body: ${quoted(body)},`] : [])];
    return [`const response = await fetch(${quoted(url)}, {`, ...about, "});", "console.log(response.status, await response.text());"].join("\n");
  },
};
