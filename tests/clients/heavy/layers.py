"""QGIS opens each zoning as a layer, page by page, with its fields; a withheld figure is null. Run by features_qgis.sh."""

import json
import sys
import urllib.request

from qgis.core import QgsApplication, QgsVectorLayer


def ask(base):
    """Asks for every layer; nothing of QGIS outlives it, since QGIS must not be left before its layers."""
    with urllib.request.urlopen(f"{base}/collections?f=json") as answer:
        collections = [c["id"] for c in json.load(answer)["collections"] if "@" not in c["id"]]
    assert "secteurs" in collections, collections
    for zoning in collections:
        layer = QgsVectorLayer(f"url='{base}' typename='{zoning}' pageSize='10'", zoning, "OAPIF")
        assert layer.isValid(), f"{zoning}: {layer.dataProvider() and layer.dataProvider().error().message()}"
        names = {field.name() for field in layer.fields()}
        assert {"code", "effectif", "effectif_statut", "perimetre"} <= names, names
        with urllib.request.urlopen(f"{base}/collections/{zoning}/items?f=json&limit=10000&skipGeometry=true") as answer:
            told = {f["id"]: f["properties"] for f in json.load(answer)["features"]}
        seen = {feature["code"]: feature for feature in layer.getFeatures()}
        assert set(seen) == set(told), f"{zoning}: {len(seen)} of {len(told)}"
        for code, feature in seen.items():
            assert feature.hasGeometry(), code
            figure = feature["effectif"]
            # QGIS has a null of its own.
            shown = None if figure is None or str(figure) == "NULL" else figure
            assert shown == told[code]["effectif"], f"{zoning} {code}: {shown} {told[code]['effectif']}"
        print(zoning, len(seen))


application = QgsApplication([], False)
application.initQgis()
try:
    ask(sys.argv[1].rstrip("/"))
finally:
    application.exitQgis()
