"""Files as foreign readers find them: GDAL (pyogrio), pyarrow, openpyxl and pandas, each held against the GeoJSON.

Usage: downloads_readers.py BASE_URL. It needs pyogrio, pyarrow, openpyxl and pandas, and exits 1 when a figure differs."""

import io
import json
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import openpyxl
import pandas
import pyarrow.parquet
import pyogrio.raw

BASE = sys.argv[1].rstrip("/")
FIGURES = ["effectif", "effectif_statut", "etablissements", "etablissements_statut"]
WORDS = ["millesime", "naf", "tranche", "source_donnees", "source", "derniere_mise_a_jour", "perimetre"]
SHORT = {
    "eff_statut": "effectif_statut", "etab": "etablissements", "etab_stat": "etablissements_statut",
    "source_don": "source_donnees", "maj": "derniere_mise_a_jour",
}
faults = []


def get(path):
    with urllib.request.urlopen(BASE + path) as answer:
        return answer.read()


def plain(value):
    """None for what is missing, a whole number for what is one, the text otherwise."""
    if value is None or value != value or value == "":
        return None
    if isinstance(value, str):
        return value
    return int(value)


def rows(names, columns):
    names = [SHORT.get(name, name) for name in names]
    return [{name: plain(value) for name, value in zip(names, row)} for row in zip(*columns)]


def of_gdal(data, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        meta, _, geometry, columns = pyogrio.raw.read(path)
        told = pyogrio.read_info(path)
    if any(shape is None for shape in geometry):
        faults.append(f"{name}: a zone has no contour")
    if "4326" not in str(meta["crs"]):
        faults.append(f"{name}: found system {meta['crs']}, expected EPSG:4326")
    west, south, east, north = told["total_bounds"]
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        faults.append(f"{name}: found bounds {told['total_bounds']}, expected degrees")
    return rows(meta["fields"], [column.tolist() for column in columns])


def of_parquet(data, name):
    file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    table, metadata = file.read(), file.metadata.metadata or {}
    for key in (b"source", b"licence", b"derniere_mise_a_jour", b"millesime", b"perimetre"):
        if not metadata.get(key):
            faults.append(f"{name}: no {key.decode()} in the metadata")
    if b"geo" in metadata:
        geo = json.loads(metadata[b"geo"])
        column = geo["columns"][geo["primary_column"]]
        if (geo["version"], column["encoding"], column["geometry_types"]) != ("1.1.0", "WKB", ["MultiPolygon"]):
            faults.append(f"{name}: {geo}")
        if any(shape[:5] != b"\x01\x06\x00\x00\x00" for shape in table["geometry"].to_pylist()):
            faults.append(f"{name}: a contour is no multipolygon in WKB")
        table = table.drop_columns(["geometry"])
    return rows(table.column_names, [column.to_pylist() for column in table.columns])


def of_workbook(data, name):
    book = openpyxl.load_workbook(io.BytesIO(data))
    about = {row[0]: row[1] for row in book["Sources et secret"].iter_rows(values_only=True)}
    for title in ("Source", "Licence", "Dernière mise à jour", "Millésime", "Périmètre", "Secret statistique"):
        if not about.get(title):
            faults.append(f"{name}: nothing about {title}")
    head, *body = book["Chiffres"].iter_rows(values_only=True)
    return [{n: plain(v) for n, v in zip(head, row)} for row in body]


def of_csv(data, **how):
    table = pandas.read_csv(io.BytesIO(data), dtype={"code": str, "naf": str, "tranche": str}, keep_default_na=True, **how)
    return rows(table.columns, [table[name].tolist() for name in table.columns])


def compare(name, found, expected):
    by_code = {row["code"]: row for row in found}
    if len(found) != len(expected) or len(by_code) != len(expected):
        faults.append(f"{name}: found {len(found)} zones, expected {len(expected)}")
    for properties in expected:
        row = by_code.get(properties["code"], {})
        for column in FIGURES + WORDS:
            if row.get(column, "nothing") != properties[column]:
                faults.append(f"{name}: {properties['code']}, {column}: found {row.get(column)!r}, expected {properties[column]!r}")
        if not row.get("licence"):
            faults.append(f"{name}: {properties['code']} has no licence")


compared = withheld = 0
listed = json.loads(get("/telechargements?f=json"))
zonings = sorted({file["collection"] for file in listed["fichiers"] if "collection" in file})
for zoning in zonings:
    for query in ("", "naf=G", "source=msa", "naf=G&millesime=2023"):
        try:
            geojson = json.loads(get(f"/collections/{zoning}/items?f=json&limit=10000&skipGeometry=true&{query}"))
        except urllib.error.HTTPError:
            continue  # a crossing this zoning does not publish
        expected = [feature["properties"] for feature in geojson["features"]]
        withheld += sum(properties["effectif"] is None for properties in expected)
        readers = {
            "csv": lambda data, name: of_csv(data),
            "xlsx": of_workbook, "gpkg": of_gdal, "shp.zip": of_gdal, "fgb": of_gdal, "parquet": of_parquet,
        }
        for extension, read in readers.items():
            name = f"{zoning}.{extension}"
            data = get(f"/telechargements/{name}?{query}")
            compare(f"{name}?{query}", read(data, name), expected)
            compared += len(expected)
        excel = get(f"/telechargements/{zoning}.csv?dialecte=excel&{query}")
        if not excel.startswith(b"\xef\xbb\xbf"):
            faults.append(f"{zoning}, Excel: no byte order mark")
        compare(f"{zoning}, Excel, {query}", of_csv(excel, sep=";", encoding="utf-8-sig"), expected)
    with zipfile.ZipFile(io.BytesIO(get(f"/telechargements/{zoning}.shp.zip"))) as archive:
        if "Licence" not in archive.read("LISEZMOI.txt").decode():
            faults.append(f"{zoning}: LISEZMOI.txt says nothing of the licence")

for file in listed["fichiers"]:
    if file["format"] == "parquet" and "collection" not in file:
        path = file["href"].removeprefix(BASE)
        cells = of_parquet(get(path), file["nom"])
        text = of_csv(get(path.replace(".parquet", ".csv")))
        if [{k: row[k] for k in FIGURES + ["code", "naf"]} for row in cells] != [
            {k: row[k] for k in FIGURES + ["code", "naf"]} for row in text
        ]:
            faults.append(f"{file['nom']}: Parquet and CSV differ")
        if not any(row["effectif"] is None for row in cells):
            faults.append(f"{file['nom']}: nothing is withheld")
        compared += len(cells)

if not compared or not withheld:
    faults.append(f"compared {compared} rows with {withheld} withheld: nothing was seen")
for fault in faults[:20]:
    print(fault)
print(f"downloads: {compared} rows of {len(zonings)} zonings read back, {len(faults)} faults")
sys.exit(1 if faults else 0)
