// @camptocamp/ogc-client reads the service as OGC API Features: collections, systems, items, addresses it builds itself.
//
// Usage: node features_ogc_client.mjs BASE_URL; needs @camptocamp/ogc-client.

import assert from 'node:assert/strict';
import { OgcApiEndpoint } from '@camptocamp/ogc-client';

const base = process.argv[2];
const endpoint = new OgcApiEndpoint(base);

assert.equal(await endpoint.hasFeatures, true);
const names = (await endpoint.featureCollections).map((collection) => collection.name ?? collection);
assert.equal(names[0], 'secteurs');
const described = await endpoint.getCollectionInfo('secteurs');
assert.ok(described.crs.some((crs) => crs.includes('2154')), described.crs.join(' '));
assert.ok(described.itemFormats.includes('application/geo+json'), described.itemFormats.join(' '));

const items = await endpoint.getCollectionItems('secteurs', 10);
assert.equal(items.length, 10);
for (const { properties } of items) {
  assert.equal(properties.effectif === null, properties.effectif_statut === 'secret', properties.code);
}
const one = await endpoint.getCollectionItem('secteurs', items[0].id);
assert.equal(one.id, items[0].id);

const url = await endpoint.getCollectionItemsUrl('secteurs', { limit: 3, query: "filter=code > ''" });
const answer = await fetch(url);
assert.equal(answer.status, 200, url);
assert.equal((await answer.json()).numberReturned, 3, url);
console.log(`ogc-client: ${names.length} collections, items, formats, systems`);
