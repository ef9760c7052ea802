"""What of a right question a schema cannot say: the languages within texts, and which parameters go together.

schemathesis makes questions from the schemas of the contract. Before one that it takes for right is asked, what only the
words of the contract say of it is put right here; wrong questions are asked as they were made.
"""

import schemathesis

# Sentences that stand for any other of their language.
SENTENCES = {
    "filter": ["effectif >= 500", "libelle LIKE 'L%' OR effectif IS NULL", "NOT code IN ('S01', 'S02')"],
    "datetime": ["2024-12-31", "../2023-12-31", "2023-01-01T00:00:00Z/.."],
    "$filter": ["id ne 'x'", "startswith(id,'2024')", "not contains(id,'S0')"],
    "$select": ["id"],
    "$orderby": ["id desc"],
}

# What is refused without its companion.
COMPANIONS = {"bbox-crs": "bbox", "filter-lang": "filter", "filter-crs": "filter"}

# What a format has no place for; GeoJSON and pages are the others.
LEFT_OUT = {"csv": ["crs", "precision", "simplify", "quantization"], "topojson": ["crs"]}

DEGREES = ["http://www.opengis.net/def/crs/OGC/1.3/CRS84", "http://www.opengis.net/def/crs/EPSG/0/4326"]


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive or not case.query:
        return
    query = dict(case.query)
    for name, sentences in SENTENCES.items():
        if name in query:
            query[name] = sentences[len(str(query[name])) % len(sentences)]
    # A page names the next one itself.
    query.pop("$skiptoken", None)
    if "bbox" in query:
        query["bbox"] = box(query["bbox"])
    for name, companion in COMPANIONS.items():
        if companion not in query:
            query.pop(name, None)
    wanted = query.get("f")
    for name in LEFT_OUT.get(wanted, ["quantization"]):
        query.pop(name, None)
    if "precision" in query:
        in_degrees = query.get("crs", DEGREES[0]) in DEGREES
        decimals = int(query["precision"])
        query["precision"] = str(max(decimals, 3) if in_degrees else min(decimals, 2))
    # A file of every cell has no selection, and one dialect is of one format.
    file = str((case.path_parameters or {}).get("file", ""))
    if file.startswith("tableaux"):
        for name in ["naf", "tranche", "source"]:
            query.pop(name, None)
    if file and not file.endswith(".csv"):
        query.pop("dialecte", None)
    case.query = query


def box(sides):
    """Four sides in their order, on the earth."""
    numbers = sides.split(",") if isinstance(sides, str) else list(sides)
    near = [max(-80.0, min(80.0, float(side))) for side in numbers[:4]]
    west, south, east, north = near + [1.0] * (4 - len(near))
    return f"{min(west, east)},{min(south, north)},{max(west, east)},{max(south, north)}"
