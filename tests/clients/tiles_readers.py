"""Tiles and TopoJSON as foreign readers find them: mapbox-vector-tile and GDAL (pyogrio), each held against the GeoJSON.

Usage: tiles_readers.py BASE_URL. It needs pyogrio, mapbox-vector-tile and shapely, and exits 1 when a figure or a border
differs."""

import json
import math
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import mapbox_vector_tile
import pyogrio.raw
import shapely
from shapely.geometry import shape

BASE = sys.argv[1].rstrip("/")
FIGURES = ["effectif", "effectif_statut", "etablissements", "etablissements_statut", "millesime", "source", "perimetre"]
faults = []


def get(address):
    address = address if address.startswith("http") else BASE + address
    with urllib.request.urlopen(address) as answer:
        return answer.read()


def get_json(address):
    return json.loads(get(address))


def differ(what, found, expected):
    if found != expected:
        faults.append(f"{what}: found {found!r}, expected {expected!r}")


def plain(value):
    """None for what is missing, a whole number for what is one, the text otherwise."""
    if value is None or value != value or value == "":
        return None
    return value if isinstance(value, str) else int(value)


def told(properties):
    return {name: plain(properties.get(name)) for name in FIGURES}


def tile_at(longitude, latitude, zoom):
    across = 2**zoom
    north = 0.5 - math.asinh(math.tan(math.radians(latitude))) / math.tau
    return int(north * across), int((longitude + 180) / 360 * across)


def rows_of(path):
    meta, _, contours, columns = pyogrio.raw.read(path)
    names = list(meta["fields"])
    properties = [dict(zip(names, row)) for row in zip(*columns)]
    return meta, [shapely.from_wkb(contour) for contour in contours], properties


def tiles(zoning, zones):
    """Every zoom: borders without crack or overlap, figures as in GeoJSON."""
    about = get_json(f"/collections/{zoning}/tiles/WebMercatorQuad?f=tilejson")
    west, south, east, north = about["bounds"]
    whole = shapely.coverage_is_valid([contour for _, contour in zones.values()], gap_width=1e-6)
    seen = set()
    for zoom in range(about["minzoom"], about["maxzoom"] + 1):
        row, column = tile_at((west + east) / 2, (south + north) / 2, zoom)
        last = tile_at(east, south, zoom)
        for row, column in [(row, column), (row + 1, column), (row, column + 1)]:
            if row > last[0] or column > last[1]:
                continue
            what = f"{zoning} {zoom}/{row}/{column}"
            address = about["tiles"][0]
            for name, value in [("{z}", zoom), ("{y}", row), ("{x}", column)]:
                address = address.replace(name, str(value))
            data = get(address)
            layers = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})
            differ(f"{what} layers", set(layers) - {zoning}, set())
            features = layers.get(zoning, {"features": []})["features"]
            contours = [shape(feature["geometry"]) for feature in features]
            for feature, contour in zip(features, contours):
                code = feature["properties"]["code"]
                seen.add((zoom, code))
                if not contour.is_valid:
                    faults.append(f"{what} {code}: {shapely.is_valid_reason(contour)}")
                differ(f"{what} {code}", told(feature["properties"]), told(zones[code][0]))
                shown = feature["properties"]["effectif_statut"] == "ok"
                differ(f"{what} {code} shown", "effectif" in feature["properties"], shown)
            union = shapely.union_all(contours)
            overlap = sum(contour.area for contour in contours) - union.area
            if overlap > 1e-6:
                faults.append(f"{what}: zones overlap by {overlap} steps²")
            cracks = sum(len(part.interiors) for part in getattr(union, "geoms", [union]) if not union.is_empty)
            if cracks and whole:
                faults.append(f"{what}: {cracks} cracks between zones")
            gdal_tile(what, data, zoom, row, column, features)
    deepest = about["center"][2]
    if not any(zoom == deepest for zoom, _ in seen):
        faults.append(f"{zoning}: no zone at the zoom {deepest} that TileJSON proposes")
    print(f"{zoning}: {len(seen)} zones seen over {len({zoom for zoom, _ in seen})} zooms")


def gdal_tile(what, data, zoom, row, column, features):
    """GDAL places a tile by its path, and leaves out what lies in the buffer alone."""
    own = shapely.box(0, 0, 4096, 4096)
    features = [feature for feature in features if shape(feature["geometry"]).intersection(own).area > 0]
    if not features:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / str(zoom) / str(column) / f"{row}.pbf"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        meta, contours, properties = rows_of(path)
    differ(f"{what} by GDAL", sorted(p["code"] for p in properties), sorted(f["properties"]["code"] for f in features))
    expected = {feature["properties"]["code"]: told(feature["properties"]) for feature in features}
    for row in properties:
        differ(f"{what} {row['code']} by GDAL", told(row), expected.get(row["code"]))
    if "3857" not in str(meta["crs"]):
        faults.append(f"{what}: GDAL found system {meta['crs']}")
    if any(contour.is_empty for contour in contours):
        faults.append(f"{what}: GDAL found a zone without contour")


def topologies(zoning, zones):
    for query in ["", "&quantization=1000000"]:
        data = get(f"/collections/{zoning}/items?f=topojson{query}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "zones.topojson"
            path.write_bytes(data)
            _, contours, properties = rows_of(path)
        what = f"{zoning} topojson{query}"
        differ(f"{what} zones", sorted(p["code"] for p in properties), sorted(zones))
        for contour, row in zip(contours, properties):
            expected, drawn = zones[row["code"]]
            differ(f"{what} {row['code']}", told(row), told(expected))
            if contour.symmetric_difference(drawn).area > 1e-2 * drawn.area:
                faults.append(f"{what} {row['code']}: another contour than GeoJSON has")
        size = len(get(f"/collections/{zoning}/items"))
        print(f"{what}: {len(data)} bytes, GeoJSON {size}")


for collection in get_json("/collections")["collections"]:
    zoning = collection["id"]
    if "@" in zoning:
        continue
    features = get_json(f"/collections/{zoning}/items?limit=10000")["features"]
    zones = {f["id"]: (f["properties"], shape(f["geometry"])) for f in features}
    tiles(zoning, zones)
    topologies(zoning, zones)

for path, status in [("15/0/0", 404), ("14/0/0", 404), ("0/0/0?zoom=1", 400)]:
    try:
        get(f"/collections/secteurs/tiles/WebMercatorQuad/{path}")
        faults.append(f"{path}: found 200, expected {status}")
    except urllib.error.HTTPError as refused:
        differ(path, refused.code, status)

for fault in faults[:20]:
    print(fault[:300], file=sys.stderr)
sys.exit(1 if faults else 0)
