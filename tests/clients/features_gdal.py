"""GDAL reads the service as OGC API Features: layers, contours in two systems, a filter it hands over, pages.

Usage: features_gdal.py BASE_URL; needs pyogrio.
"""

import struct
import sys

import numpy
import pyogrio
from pyogrio.raw import read


def first_corner(wkb):
    """The first corner of a multipolygon: nine bytes of its own, then nine of its first part and four of its ring."""
    assert wkb[0] == 1 and struct.unpack_from("<I", wkb, 1)[0] in (6, 1006, 0x80000006), wkb[:9]
    return struct.unpack_from("<dd", wkb, 22)


def main(base):
    source = f"OAPIF:{base}"
    layers = [str(name) for name in pyogrio.list_layers(source)[:, 0]]
    assert layers[0] == "secteurs", layers

    meta, _, contours, columns = read(source, layer="secteurs")
    fields = dict(zip(meta["fields"], columns))
    assert len(contours) == 48, len(contours)
    assert meta["geometry_type"] in ("MultiPolygon", "Polygon"), meta["geometry_type"]
    assert "4326" in meta["crs"] or "CRS84" in meta["crs"], meta["crs"]
    info = pyogrio.read_info(source, layer="secteurs")
    types = dict(zip(info["fields"], info["dtypes"]))
    assert types["effectif"].startswith("int") and types["etablissements"].startswith("int"), types
    statuses = set(fields["effectif_statut"])
    assert statuses <= {"ok", "secret"} and "ok" in statuses, statuses
    for figure in ("effectif", "etablissements"):
        withheld = fields[f"{figure}_statut"] == "secret"
        assert numpy.array_equal(numpy.isnan(fields[figure].astype(float)), withheld), figure

    west, south, east, north = pyogrio.read_bounds(source, layer="secteurs")[1][:, 0]
    assert -6 < west < 10 and 41 < south < 52, (west, south)

    metres = pyogrio.read_info(source, layer="secteurs", CRS="EPSG:2154")
    assert "2154" in metres["crs"], metres["crs"]
    _, _, drawn, _ = read(source, layer="secteurs", CRS="EPSG:2154")
    east, north = first_corner(drawn[0])
    assert 100_000 < east < 1_300_000 and 6_000_000 < north < 7_200_000, (east, north)

    code = str(fields["code"][0])
    _, _, chosen, _ = read(source, layer="secteurs", where=f"code = '{code}'")
    assert len(chosen) == 1, len(chosen)
    shown = fields["effectif"].astype(float)
    above = float(numpy.nanmedian(shown))
    _, _, chosen, _ = read(source, layer="secteurs", where=f"effectif > {above:.0f}")
    assert len(chosen) == int(numpy.nansum(shown > round(above))), len(chosen)

    _, _, boxed, _ = read(source, layer="secteurs", bbox=(west, south, east, north))
    assert 1 <= len(boxed) <= 48, len(boxed)
    _, _, paged, _ = read(source, layer="secteurs", PAGE_SIZE="7")
    assert len(paged) == 48, len(paged)
    print(f"GDAL {'.'.join(map(str, pyogrio.__gdal_version__))}: {len(layers)} layers, 48 sectors, filters, pages, EPSG:2154")


main(sys.argv[1])
