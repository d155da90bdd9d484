/** Examples that request the same data without this page. They contain the key's environment variable, never the key. */

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (value) => JSON.stringify(value); // a JSON string is a Python string, and an object of them a dict
const sql = (text) => `'${text.replaceAll("'", "''")}'`;

/**
 * @param {import("./query.js").Query} query
 * @param {{origin: string, isKeyed: boolean}} where
 * @returns {Record<string, string>} by the name of the tool
 */
export function recipes(query, where) {
  return { curl: curl(query, where, "ndjson"), Python: reader(query, where), DuckDB: duckdb(query, where) };
}

/** A stream of all matching messages, to the standard output or to a file. */
function curl(query, { origin, isKeyed }, format, file = "") {
  const { path, body } = query.exported({ format });
  const parts = [`curl -sS --fail ${shell(origin + path)}`];
  if (isKeyed) parts.push(`-H "Authorization: Bearer $CONSENTFUL_TOKEN"`);
  if (body) parts.push(`-H 'Content-Type: application/json'`, `-d ${shell(JSON.stringify(body))}`);
  if (file) parts.push(`-o ${file}`);
  return parts.join(" \\\n  ");
}

function reader(query, { origin, isKeyed }) {
  const given = { ...query.ofMessages, ...(query.q && { q: query.q }), ...(query.pairs && { metadata: query.pairs }) };
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

function duckdb(query, where) {
  const select = `SELECT language, role, count(*) AS messages FROM ${sql("messages.parquet")} GROUP BY ALL ORDER BY messages DESC`;
  return `${curl(query, where, "parquet", "messages.parquet")}\nduckdb -c "${select}"`;
}
