#!/usr/bin/env python3
"""Runs the PyPI package secret_stat (exact integer pivot; no intervals, no insiders) on any specification.

usage: peer_secret_stat.py MICRO.csv SPEC.toml OUT_DIR     writes OUT_DIR/tables/<name>.csv as a release
It is given the incidence matrix of all cells at once, so that linked tables are protected together.
"""
import csv
import sys
import tomllib
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from secret_stat.secret_secondaire import secret_secondaire_matrice

from judge import Puzzle

micro, spec_path, folder = sys.argv[1:4]
with open(spec_path, "rb") as stream:
    spec = tomllib.load(stream)
puzzle = Puzzle(micro, spec)
distinct = list({c.atoms.tobytes(): c for c in puzzle.cells}.values())
matrix = sp.lil_array((len(puzzle.value), len(distinct)), dtype=np.int64)
for j, cell in enumerate(distinct):
    matrix[cell.atoms, j] = 1
value = np.array([c.value for c in distinct])
unsafe = np.array([c.level is not None for c in distinct])
secondary = secret_secondaire_matrice(matrix.tocsc(), unsafe, np.lexsort((-value, unsafe)))
withheld = {c.atoms.tobytes() for c, hide in zip(distinct, secondary | unsafe) if hide}

(Path(folder) / "tables").mkdir(parents=True, exist_ok=True)
for table in spec["tables"]:
    at = {}
    for level_name in table["dimensions"]:
        for level in spec["dimensions"][level_name]["levels"]:
            at[level] = level_name
    with open(Path(folder) / "tables" / f"{table['name']}.csv", "w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow([c for d in table["dimensions"] for c in (d, f"{d}_level")] + ["establishments", "headcount", "status"])
        for key, cell in puzzle.by_key.items():
            if key[0] != table["name"]:
                continue
            codes = {at[level]: (code, level) for level, code in key[1]}
            shown = cell.atoms.tobytes() not in withheld
            out.writerow([f for d in table["dimensions"] for f in codes.get(d, ("TOTAL", "TOTAL"))]
                         + ([cell.establishments, cell.value, "published"] if shown else ["", "", "withheld"]))
