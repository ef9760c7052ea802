"""A peer's pattern as a release folder, so that one judge reads all."""
import csv
import tomllib
from pathlib import Path


def coordinates(row):
    """The codes of a row of a pattern by level; totals are left out. Peers spell sizes and zones in their own way."""
    at = {}
    for column, value in row.items():
        if column in ("value", "status") or value in (None, "", "Total", "TOTAL"):
            continue
        if column in ("naf", "naf_section", "naf_division"):
            if len(value) > 1:
                at["naf_division"] = value[1:]             # peers join section and division: `G47`
            else:
                at.setdefault("naf_section", value)
        elif column in ("size", "size_bracket"):
            at["size_bracket"] = value.replace("p", "+").replace("_", "-")
        elif column in ("commune", "iris"):
            # A peer that takes zones for one hierarchy writes both in one column: `c35001` and `i350010004`.
            at["iris" if value[0] == "i" else "commune" if value[0] == "c" else column] = value.lstrip("ci")
        else:
            at[column] = value
    if "naf_division" in at:
        at.pop("naf_section", None)
    return frozenset(at.items())


def write(pattern, spec, micro, folder):
    """Writes `folder/tables/<name>.csv` from a pattern: a cell is withheld where the pattern says p (primary) or m.

    A cell that the pattern does not list is withheld: nothing was said about it.
    """
    with open(spec, "rb") as stream:
        spec = tomllib.load(stream)
    with open(pattern, newline="", encoding="utf-8") as stream:
        rows = {}
        for row in csv.DictReader(stream):
            at = coordinates(row)
            shown = row["status"] == "s"
            rows[at] = rows.get(at, True) and shown
    with open(micro, newline="", encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    (Path(folder) / "tables").mkdir(parents=True, exist_ok=True)
    for table in spec["tables"]:
        levels = {d: spec["dimensions"][d]["levels"][:table.get("depth", {}).get(d)] for d in table["dimensions"]}
        picks = [()]
        for d in table["dimensions"]:
            picks = [p + (level,) for p in picks for level in (None, *levels[d])]
        cells = {}
        for record in records:
            heads = int(record[spec["weight"]])
            for pick in picks:
                at = tuple((level or "TOTAL", record[level] if level else "TOTAL") for level in pick)
                count, total = cells.get(at, (0, 0))
                cells[at] = count + 1, total + heads
        with open(Path(folder) / "tables" / f"{table['name']}.csv", "w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream, lineterminator="\n")
            out.writerow([c for d in table["dimensions"] for c in (d, f"{d}_level")] + ["establishments", "headcount", "status"])
            for at, (count, total) in cells.items():
                shown = rows.get(frozenset(c for c in at if c[0] != "TOTAL"), False)
                out.writerow([f for level, code in at for f in (code, level)] + ([count, total, "published"] if shown else ["", "", "withheld"]))
