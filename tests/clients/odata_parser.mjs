// Every address that the service gives and that our snippets use is one which @odata/parser reads.
// Usage: odata_parser.mjs BASE_URL
import assert from "node:assert/strict";
import { defaultParser } from "@odata/parser";

const base = process.argv[2].replace(/\/$/, "");
const page = await fetch(`${base}/odata/Aggregats?$filter=zone ne 'total'&$orderby=effectif desc`, {
  headers: { Prefer: "odata.maxpagesize=5" },
});
assert.equal(page.status, 200);
const next = new URL((await page.json())["@odata.nextLink"]);
defaultParser.query([...next.searchParams].map(([name, value]) => `${name}=${value}`).join("&"));
assert.ok(next.searchParams.has("$filter") && next.searchParams.has("$orderby"), `${next} forgot an option`);

const filters = [
  "effectif ge 100 and not (zone eq 'total')",
  "date_maj ge 2026-01-01T00:00:00Z and date_maj lt 2027-01-01T00:00:00Z",
  "startswith(zone,'S') or endswith(libelle,'e') or contains(libelle,'a')",
  "effectif eq null",
];
for (const text of filters) {
  defaultParser.filter(text);
  const answer = await fetch(`${base}/odata/Aggregats?$top=1&$filter=${encodeURIComponent(text)}`);
  assert.equal(answer.status, 200, `${text}: ${await answer.text()}`);
}
console.log(`@odata/parser: ${filters.length} filters and the link to the next page`);
