#!/usr/bin/env python3
"""The judge against stupid code: every cell and every insider by plain linear programs over all atoms and all sums.

usage: test_judge.py        (made tables, seeded; about ten seconds)
"""
import csv
import random
import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

import judge

SPEC = """
contributor = "siren"
weight = "headcount"
[rules]
min_contributors = 3
dominance = { n = 1, share = 0.85 }
[dimensions.sector]
levels = ["sector"]
[dimensions.naf]
levels = ["section", "division"]
[dimensions.commune]
levels = ["commune"]
[[tables]]
name = "a"
dimensions = ["sector", "naf"]
[[tables]]
name = "b"
dimensions = ["commune", "naf"]
depth = { naf = 1 }
"""
FAR = 1e6


def make(folder, seed):
    """Microdata of two linked tables, and a release that withholds what is unsafe and something more, by chance."""
    draw = random.Random(seed)
    firms = [f"{i:09d}" for i in range(14)]
    with open(folder / "micro.csv", "w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow("siren sector section division commune headcount".split())
        for _ in range(26):
            division = draw.choice(["A1", "A2", "B1", "B2", "C1"])
            out.writerow([draw.choice(firms), draw.choice("xyz"), division[0], division, draw.choice("pq"),
                          draw.choice([1, 2, 3, 5, 8, 20, 60])])
    (folder / "spec.toml").write_text(SPEC)
    spec = tomllib.loads(SPEC)
    puzzle = judge.Puzzle(folder / "micro.csv", spec)
    more = draw.choice([0.1, 0.3, 0.6])
    hidden = {id(c) for c in puzzle.cells if c.level or (c.key and draw.random() < more)}
    release(folder, puzzle, spec, hidden)
    return spec


def release(folder, puzzle, spec, hidden):
    (folder / "tables").mkdir(exist_ok=True)
    dimension = {level: d for d, of in spec["dimensions"].items() for level in of["levels"]}
    for table in spec["tables"]:
        with open(folder / "tables" / f"{table['name']}.csv", "w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow([c for d in table["dimensions"] for c in (d, f"{d}_level")] + ["establishments", "headcount", "status"])
            for key, cell in puzzle.by_key.items():
                if key[0] == table["name"]:
                    at = {dimension[level]: (code, level) for level, code in key[1]}
                    shown = ["", "", "withheld"] if id(cell) in hidden else [cell.establishments, cell.value, "published"]
                    out.writerow([f for d in table["dimensions"] for f in at.get(d, ("TOTAL", "TOTAL"))] + shown)


def plainly(puzzle):
    """What the judge should find: (under, exact unsafe cells, insider pairs exact, insider pairs narrow)."""
    n = len(puzzle.value)
    published = [c for c in puzzle.cells if c.published]
    sums = np.zeros((len(published), n))
    for i, cell in enumerate(published):
        sums[i, cell.atoms] = 1
    truth = sums @ puzzle.value
    at, who, heads = puzzle.held
    holders = np.bincount(at, minlength=n)

    def interval(cell, bounds):
        objective = np.zeros(n)
        objective[cell.atoms] = 1
        ends = [linprog(s * objective, A_eq=sums, b_eq=truth, bounds=bounds, method="highs") for s in (1, -1)]
        assert all(e.status == 0 for e in ends)
        return ends[0].fun, -ends[1].fun

    outsider = [(0.0, FAR)] * n
    free = [a for a in range(n) if np.subtract(*interval(judge.Cell((), np.array([a]), 0, 0, None, {}), outsider)) < -1e-5]
    unsafe = [c for c in puzzle.cells if c.level and not c.published]
    under, exact, inside_exact, inside_narrow = set(), set(), set(), set()
    missed = {}
    for i, cell in enumerate(unsafe):
        low, high = interval(cell, outsider)
        missed[i] = high < cell.value + cell.level - 1e-5, low > cell.value - min(cell.level, cell.value) + 1e-5
        if any(missed[i]):
            under.add(i)
        if high - low < 1e-5:
            exact.add(i)
    for person in np.unique(who):
        bounds = list(outsider)
        for a, w, h in zip(at, who, heads):
            if w == person:
                bounds[a] = (float(h), float(h) if holders[a] == 1 else FAR)
        for i, cell in enumerate(unsafe):
            own = cell.own.get(int(person), 0)
            others = any(a in free and not (holders[a] == 1 and (who[at == a] == person).any()) for a in cell.atoms)
            if own == cell.value or not others or i in exact:
                continue
            low, high = interval(cell, bounds)
            if high - low < 1e-5:
                inside_exact.add((i, int(person)))
            elif (not missed[i][0] and high < cell.value + cell.level - 1e-5
                  or not missed[i][1] and low > cell.value - min(cell.level, cell.value - own) + 1e-5):
                inside_narrow.add((i, int(person)))
    return len(under), len(exact), len(inside_exact), len(inside_narrow)


class Judge(unittest.TestCase):
    def test_it_finds_what_plain_programs_find(self):
        seen = np.zeros(4, dtype=int)
        for seed in range(8):
            with self.subTest(seed=seed), tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                spec = make(folder, seed)
                puzzle = judge.Puzzle(folder / "micro.csv", spec)
                puzzle.read(folder, spec, dict.fromkeys(("unknown_cells", "duplicate_cells", "wrong_values", "missing_cells"), 0))
                expected = plainly(puzzle)
                found = judge.judge(folder / "micro.csv", folder / "spec.toml", folder)
                self.assertEqual(tuple(found[k] for k in ("under", "exact", "insider_exact", "insider_narrow")), expected)
                seen += expected
        self.assertTrue((seen > 0).all(), f"cases of every kind, found {seen}")

    def test_a_wrong_release_is_told_by_its_faults(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            spec = make(folder, 1)
            puzzle = judge.Puzzle(folder / "micro.csv", spec)
            withheld = {id(c) for c in puzzle.cells if c.key}
            for change, fault in [(lambda rows: rows[:-1], "missing_cells"),
                                  (lambda rows: [[*rows[0][:-2], "999999", "published"], *rows[1:]], "wrong_values")]:
                release(folder, puzzle, spec, withheld)
                path = folder / "tables" / "a.csv"
                with open(path, newline="") as stream:
                    head, *rows = list(csv.reader(stream))
                with open(path, "w", newline="") as stream:
                    csv.writer(stream).writerows([head, *change(rows)])
                self.assertEqual(judge.judge(folder / "micro.csv", folder / "spec.toml", folder)[fault], 1)
            unsafe = next(c for c in puzzle.cells if c.level)
            release(folder, puzzle, spec, withheld - {id(unsafe)})
            found = judge.judge(folder / "micro.csv", folder / "spec.toml", folder)
            self.assertEqual((found["published_unsafe"], found["safe"]), (1, False))

    def test_levels_are_those_of_the_rules(self):
        rules = {"min_contributors": 3, "dominance": {"n": 1, "share": 0.85}}
        for weights, level in [([10, 10], 2), ([10, 10, 10], None), ([85, 10, 5], None), ([86, 10, 4], 2), ([20], 4), ([1], 1), ([], None)]:
            self.assertEqual(judge.level_of(weights, len(weights), sum(weights), rules, judge.parts(0.1)), level, weights)


if __name__ == "__main__":
    unittest.main()
