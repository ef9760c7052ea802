"""OWSLib reads the service as OGC API Features: collections, queryables, items with a box and a CQL2 filter.

Usage: features_owslib.py BASE_URL; needs OWSLib.
"""

import sys

from owslib.ogcapi.features import Features


def main(base):
    service = Features(base)
    names = service.feature_collections()
    assert names[0] == "secteurs", names
    assert any(uri.endswith("ogcapi-features-2/1.0/conf/crs") for uri in service.conformance()["conformsTo"])
    assert service.api()["openapi"].startswith("3.0"), "the contract in OpenAPI 3.0"
    described = service.collection("secteurs")
    assert described["itemType"] == "feature" and described["crs"][0].endswith("CRS84"), described["crs"]
    queryables = service.collection_queryables("secteurs")
    assert "effectif" in queryables["properties"], queryables

    page = service.collection_items("secteurs", limit=10)
    assert (page["numberMatched"], page["numberReturned"]) == (48, 10), page["numberMatched"]
    for feature in page["features"]:
        told = feature["properties"]
        assert (told["effectif"] is None) == (told["effectif_statut"] == "secret"), told["code"]
    code = page["features"][0]["id"]
    assert service.collection_item("secteurs", code)["id"] == code
    chosen = service.collection_items("secteurs", filter=f"code = '{code}'")
    assert [feature["id"] for feature in chosen["features"]] == [code], chosen["numberMatched"]
    corner = page["features"][0]["geometry"]["coordinates"][0][0][0]
    near = [corner[0] - 1e-4, corner[1] - 1e-4, corner[0] + 1e-4, corner[1] + 1e-4]
    assert code in [feature["id"] for feature in service.collection_items("secteurs", bbox=near)["features"]]
    print(f"OWSLib: {len(names)} collections, 48 sectors, queryables, a filter, a box")


main(sys.argv[1])
