// @odata/client filters, counts, selects and reads a row by its key. Usage: odata_client.mjs BASE_URL
import assert from "node:assert/strict";
import { OData, filter, param } from "@odata/client";

const base = process.argv[2].replace(/\/$/, "");
const client = OData.New4({ metadataUri: `${base}/odata/$metadata`, serviceEndpoint: `${base}/odata/` });
const aggregates = client.getEntitySet("Aggregats");

const plain = filter().property("zone").ne("total").property("naf").eq("total");
const wanted = param().filter(plain).select(["id", "zone", "effectif"]).orderby("effectif", "desc").top(5).count(true);
const answer = await client.newRequest({ collection: "Aggregats", params: wanted });
assert.equal(answer.error, undefined, JSON.stringify(answer.error));
const rows = answer.value;
assert.equal(rows.length, 5);
assert.ok(answer["@odata.count"] >= 5, "no number of rows");
const figures = rows.map((row) => row.effectif);
assert.deepEqual(figures, [...figures].sort((one, other) => other - one));
assert.ok(rows.every((row) => row.effectif_statut === "ok"), "a figure came without its status");

const row = await aggregates.retrieve(rows[0].id);
assert.equal(row.effectif, rows[0].effectif);
const withheld = await aggregates.query(param().filter("effectif_statut eq 'secret'").top(20));
assert.ok(withheld.every((one) => one.effectif === null && one.etablissements === null), "a withheld figure is shown");

const refused = await client.newRequest({ collection: "Aggregats", params: param().filter("siret eq 'x'") });
assert.match(refused.error?.message ?? "", /expected one of the columns/);
console.log(`@odata/client: ${answer["@odata.count"]} rows counted, ${withheld.length} withheld read`);
