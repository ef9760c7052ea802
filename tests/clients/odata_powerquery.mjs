// The Power Query snippets of docs/powerbi are sound M. Usage: odata_powerquery.mjs BASE_URL (which is not asked)
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import PQP from "@microsoft/powerquery-parser";

const folder = new URL("../../docs/powerbi/", import.meta.url);
const snippets = (await readdir(folder)).filter((name) => name.endsWith(".pq"));
assert.ok(snippets.length >= 3, `found ${snippets.length} snippets`);
for (const name of snippets) {
  const text = await readFile(new URL(name, folder), "utf8");
  const task = await PQP.TaskUtils.tryLexParse(PQP.DefaultSettings, text);
  assert.ok(PQP.TaskUtils.isParseStageOk(task), `${name}: ${task.error?.message}`);
}
console.log(`@microsoft/powerquery-parser: ${snippets.length} snippets`);
