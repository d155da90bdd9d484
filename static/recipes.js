/** How to ask the same without this page: lines to copy. They name the key's variable, never the key. */

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (value) => JSON.stringify(value); // a JSON string is a Python string
const sql = (text) => `'${text.replaceAll("'", "''")}'`;

/**
 * @param {import("./question.js").Question} question
 * @param {{origin: string, isKeyed: boolean}} where
 * @returns {Record<string, string>} by the name of the tool
 */
export function recipes(question, where) {
  return { curl: curl(question, where, "ndjson"), Python: reader(question, where), DuckDB: duckdb(question, where) };
}

/** One stream of everything that fits, to the standard output or to a file. */
function curl(question, { origin, isKeyed }, format, file = "") {
  const { path, body } = question.asked({ format });
  const parts = [`curl -sS --fail ${shell(origin + path)}`];
  if (isKeyed) parts.push(`-H "Authorization: Bearer $CONSENTFUL_TOKEN"`);
  if (body) parts.push(`-H 'Content-Type: application/json'`, `-d ${shell(JSON.stringify(body))}`);
  if (file) parts.push(`-o ${file}`);
  return parts.join(" \\\n  ");
}

function reader(question, { origin, isKeyed }) {
  const given = { ...question.filters, ...(question.q && { q: question.q }) };
  const filters = Object.entries(given).map(([name, value]) => `${name}=${python(value)}`);
  const key = isKeyed ? `, token=os.environ["CONSENTFUL_TOKEN"]` : "";
  return [
    ...(isKeyed ? ["import os"] : []),
    "import consentful",
    "",
    `reader = consentful.sync.Reader(${python(origin)}${key})`,
    `frame = reader.to_pandas(${filters.join(", ")})`,
    "print(frame)",
  ].join("\n");
}

function duckdb(question, where) {
  const select = `SELECT language, role, count(*) AS messages FROM ${sql("messages.parquet")} GROUP BY ALL ORDER BY messages DESC`;
  return `${curl(question, where, "parquet", "messages.parquet")}\nduckdb -c "${select}"`;
}
