#!/usr/bin/env python3
"""Judges what tables give away: whose pattern of withheld cells it is does not matter.

usage: judge.py MICRO.csv SPEC.toml RELEASE_DIR [--insiders N|all] [--seed S] [--with DIR]... [--json] [--detail CSV]

It shares no code with arpent. From the microdata it makes the cells, the rules and the levels again (docs/SECRECY.md);
from RELEASE_DIR/tables/*.csv it takes only which cells are withheld. Then linear programs (HiGHS) attack:
 outsider  knows every published cell, that cells add up, that no headcount is below zero, where nobody is;
 insider   knows besides its own figures: an atom that holds nobody else is fixed, any other is at least its own part.
For each cell that a rule makes unsafe, both ends of the attacker's interval are compared with the level. "Under" = some
end is missed by the outsider's interval; "exact" = the interval is one point. An insider is judged on cells that hold
somebody else, on ends that the outsider leaves alone; no cell can be kept from being at least its own weight.
An attacker solves linear programs, so headcounts may be fractions in the tables that it cannot exclude.

--insiders  how many contributors of withheld atoms attack, drawn with --seed; `all` (the default), 0 for none
--with      a further release of the same microdata whose published cells are known as well
--json      one JSON object instead of one line
--detail    writes every unsafe cell with its level and what became of it (confidential)
Leaves with 0 when nothing was given away, 1 when something was, 2 when the input cannot be judged.
"""
import argparse
import csv
import json
import resource
import sys
import time
import tomllib
from fractions import Fraction
from math import ceil
from pathlib import Path

import highspy
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack

TOLERANCE = 1e-6     # of a head: how far a solver's table may miss a sum, a bound or a level
INFINITY = highspy.kHighsInf
SHY = 40.0           # price of moving an atom that spoils a table for an attacker still to be met; others cost 1
DUAL, PRIMAL = 1, 4  # simplex strategies of HiGHS
PATIENCE = 600       # steps in search of a small move before the plain question is put: how far does it go?
SHARED_MAX = 40      # programs that push many ends at once; each settles hundreds at first


class Unjudgeable(Exception):
    """The input does not allow a verdict."""


def refuse(place, found, expected):
    raise Unjudgeable(f"{place}: found {found}, expected {expected}")


# ---------------------------------------------------------------- cells, rules and levels from the microdata

class Cell:
    __slots__ = ("key", "atoms", "value", "establishments", "level", "own", "published", "withheld", "listed")

    def __init__(self, key, atoms, value, establishments, level, own):
        self.key, self.atoms, self.value, self.establishments = key, atoms, value, establishments
        self.level, self.own = level, own                      # level: None where no rule is broken
        self.published = self.withheld = self.listed = False


def parts(share):
    """A share of a TOML file as an exact fraction: 0.85 is 17/20."""
    return Fraction(repr(float(share))).limit_denominator(10**9)


def level_of(weights, establishments, value, rules, width):
    """How far from the truth both ends must be; None for a safe cell. `weights` are descending, all above zero."""
    levels = []
    width_level = ceil(value * width)
    if (least := rules.get("min_contributors")) and 0 < len(weights) < least:
        levels.append(width_level)
    if rule := rules.get("dominance"):
        top, share = sum(weights[:rule["n"]]), parts(rule["share"])
        if top > share * value:
            levels.append(ceil(top / share) - value)
    if (percent := rules.get("p_percent")) and weights:
        rest, asked = sum(weights[2:]), weights[0] * parts(percent / 100)
        if rest < asked:
            levels.append(ceil(asked - rest))
    if least := rules.get("min_count"):
        of = rules.get("min_count_of", "both")
        few = {"establishments": 0 < establishments < least, "persons": 0 < value < least}
        if few.get(of, any(few.values())):
            levels.append(width_level)
    return max(1, *levels) if levels else None


class Puzzle:
    """Atoms (records that no table tells apart), and every cell of every table as a set of atoms."""

    def __init__(self, micro, spec):
        tables, dimensions = spec["tables"], spec["dimensions"]
        depth = {(t["name"], d): t.get("depth", {}).get(d, len(dimensions[d]["levels"])) for t in tables for d in t["dimensions"]}
        columns = list(dict.fromkeys(c for t in tables for d in t["dimensions"] for c in dimensions[d]["levels"][:depth[t["name"], d]]))
        who, weight = spec["contributor"], spec["weight"]
        data = pd.read_csv(micro, dtype=str, keep_default_na=False)
        for column in (who, weight, *columns):
            if column not in data:
                refuse("microdata", "no such column", f"`{column}`")
        heads = pd.to_numeric(data[weight], errors="coerce")
        if heads.isna().any() or (heads < 0).any() or (heads % 1 != 0).any():
            refuse(f"microdata, column `{weight}`", "a value that is no whole number", "whole numbers")
        heads = heads.astype(np.int64).to_numpy()
        person, self.names = pd.factorize(data[who], sort=True)
        grouped = data.groupby(columns, sort=True)
        atom = grouped.ngroup().to_numpy()
        n = int(atom.max()) + 1
        codes = data.assign(_atom=atom).drop_duplicates("_atom").sort_values("_atom")[columns].reset_index(drop=True)
        self.columns, self.codes = columns, codes
        self.value = np.bincount(atom, heads, n).astype(np.int64)
        self.establishments = np.bincount(atom, minlength=n)
        held = pd.DataFrame({"atom": atom, "who": person, "heads": heads}).groupby(["atom", "who"], sort=True).heads.sum().reset_index()
        held = held[held.heads > 0]
        self.held = tuple(held[c].to_numpy() for c in ("atom", "who", "heads"))
        self.cells, self.by_key = [], {}
        rules, width = spec.get("rules", {}), parts(spec.get("protection", {}).get("width", 0.10))
        for table in tables:
            used = [(d, dimensions[d]["levels"][:depth[table["name"], d]]) for d in table["dimensions"]]
            inside = np.flatnonzero((codes[[c for _, levels in used for c in levels]] != "").all(axis=1).to_numpy())
            picks = [()]
            for d, levels in used:
                picks = [p + ((d, level),) for p in picks for level in (None, *levels)]
            for pick in picks:
                self._cut(table["name"], pick, inside, rules, width)

    def _cut(self, table, pick, inside, rules, width):
        columns = [level for _, level in pick if level]
        if columns:
            place = np.full(len(self.codes), -1)
            groups = self.codes.loc[inside].groupby(columns, sort=True)
            place[inside] = groups.ngroup().to_numpy()
        else:
            place = np.full(len(self.codes), -1)
            place[inside] = 0
        order = inside[np.argsort(place[inside], kind="stable")]
        if not len(order):
            return
        starts = np.flatnonzero(np.r_[True, np.diff(place[order]) != 0])
        members = np.split(order, starts[1:])
        at, who, heads = self.held
        keep = place[at] >= 0
        sums = pd.DataFrame({"cell": place[at[keep]], "who": who[keep], "heads": heads[keep]}).groupby(["cell", "who"]).heads.sum().reset_index()
        sums = sums.sort_values(["cell", "heads", "who"], ascending=[True, False, True])
        cell_of, whose, weights = (sums[c].to_numpy() for c in ("cell", "who", "heads"))
        bounds = np.searchsorted(cell_of, np.arange(len(members) + 1))
        for c, atoms in enumerate(members):
            first = self.codes.iloc[atoms[0]] if columns else None
            coordinates = tuple(sorted((level, first[level]) for level in columns))
            low, high = bounds[c], bounds[c + 1]
            # The key is the same in every table; where a record misses a code in one of them, the atoms tell.
            key = (coordinates, atoms.tobytes())
            cell = self.by_key.get(key)
            if cell is None:
                value, establishments = int(self.value[atoms].sum()), int(self.establishments[atoms].sum())
                level = level_of(weights[low:high].tolist(), establishments, value, rules, width)
                own = dict(zip(whose[low:high].tolist(), weights[low:high].tolist())) if level else {}
                cell = Cell(coordinates, atoms, value, establishments, level, own)
                self.by_key[key] = cell
                self.cells.append(cell)
            self.by_key[table, coordinates] = cell

    def read(self, folder, spec, report):
        """Marks what the tables of a folder publish and withhold."""
        seen = set()
        for table in spec["tables"]:
            path = Path(folder) / "tables" / f"{table['name']}.csv"
            try:
                stream = open(path, newline="", encoding="utf-8")
            except OSError as error:
                refuse(str(path), error.strerror, "a table of the specification")
            with stream:
                for line, row in enumerate(csv.DictReader(stream), 2):
                    try:
                        at = tuple(sorted((row[f"{d}_level"], row[d]) for d in table["dimensions"] if row[f"{d}_level"] != "TOTAL"))
                        status, value = row["status"], row["headcount"]
                    except KeyError as error:
                        refuse(f"{path}, line {line}", "no such column", f"column {error}")
                    cell = self.by_key.get((table["name"], at))
                    if cell is None:
                        report["unknown_cells"] += value not in ("", "0")
                        continue
                    if (table["name"], at) in seen:
                        report["duplicate_cells"] += 1
                    seen.add((table["name"], at))
                    cell.listed = True
                    if status == "published":
                        cell.published = True
                        report["wrong_values"] += value != str(cell.value)
                    elif status == "withheld":
                        cell.withheld = True
                        report["wrong_values"] += value != ""
                    else:
                        refuse(f"{path}, line {line}", f"status `{status}`", "`published` or `withheld`")
        keys = {k for k in self.by_key if isinstance(k[0], str)}
        report["missing_cells"] += len(keys - seen)


# ---------------------------------------------------------------- the system an attacker faces

def reduce(published, n):
    """Published sums as short equations: each minus the largest published sums inside it, known atoms left out.

    Returns (equations as sets of atoms, known atoms)."""
    rows = sorted({c.atoms.tobytes(): c.atoms for c in published}.values(), key=len)
    bits = []
    for atoms in rows:
        mask = np.zeros(n, dtype=np.uint8)
        mask[atoms] = 1
        bits.append(int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little"))
    known, equations = 0, []
    for i in range(len(bits)):
        rest = bits[i]
        for j in range(i - 1, -1, -1):
            if bits[j] & ~rest == 0 and bits[j]:
                rest &= ~bits[j]
                if not rest:
                    break
        if rest:
            equations.append(rest)
    while True:
        single = 0
        for e in equations:
            if e & (e - 1) == 0:
                single |= e
        if not single:
            break
        known |= single
        equations = [e & ~single for e in equations]
        equations = [e for e in dict.fromkeys(equations) if e]

    def members(mask):
        raw = np.frombuffer(mask.to_bytes((n + 7) // 8, "little"), dtype=np.uint8)
        return np.flatnonzero(np.unpackbits(raw, bitorder="little")[:n])
    return [members(e) for e in dict.fromkeys(equations)], members(known)


def sparse(rows, columns):
    entries = np.concatenate([np.asarray(r) for r in rows]) if len(rows) else np.zeros(0, int)
    return csr_matrix((np.ones(len(entries)), entries, np.r_[0, np.cumsum([len(r) for r in rows])].astype(int)), shape=(len(rows), columns))


def solver(matrix, cost, low, high, row_low, row_high):
    lp = highspy.Highs()
    for option, setting in (("output_flag", False), ("threads", 1), ("presolve", "off"), ("solver", "simplex")):
        lp.setOptionValue(option, setting)
    by_column = matrix.tocsc()
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = matrix.shape
    model.col_cost_, model.col_lower_, model.col_upper_, model.row_lower_, model.row_upper_ = cost, low, high, row_low, row_high
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = by_column.indptr, by_column.indices, by_column.data
    lp.passModel(model)
    return lp


class Program:
    """All tables that an attacker cannot exclude, as moves of free atoms away from the truth."""

    def __init__(self, truth, equations, targets, farthest):
        self.truth, self.n, self.targets = truth.astype(float), len(truth), targets
        self.equal = len(equations)
        sums, hidden = sparse(equations, self.n), sparse(targets, self.n)
        self.sums, self.hidden = sums, hidden
        # No program is unbounded: a bound can only make an interval narrower, and this one is far off.
        self.cap = 100.0 * max(1, farthest)
        zero, far = np.zeros(self.n), np.full(self.n, self.cap)
        none = np.zeros(self.equal)
        # How far does it go: one column an atom, every sum shown kept.
        self.wide = solver(sums, zero, -self.truth, far, none, none)
        self.wide.setOptionValue("simplex_strategy", PRIMAL)
        # At what least move: a column up and one down, and for a time a row for the hidden sum that must move.
        self.small = solver(hstack([sums, -sums]), np.ones(2 * self.n), np.zeros(2 * self.n), np.r_[far, self.truth], none, none)
        self.small.setOptionValue("simplex_strategy", DUAL)     # no move at all is where it starts from
        self.small.setOptionValue("simplex_iteration_limit", PATIENCE)
        self.columns = np.arange(2 * self.n, dtype=np.int32)
        self.runs, self.known = 0, ()

    def set_known(self, known):
        """Whose knowledge holds in `furthest`: (atom, own part, whether nobody else is there) for each of its atoms."""
        low, high = -self.truth, np.full(self.n, self.cap)
        for atom, own, lone in known:
            low[atom], high[atom] = (0.0, 0.0) if lone else (own - self.truth[atom], self.cap)
        self.known = known
        self.wide.changeColsBounds(self.n, self.columns[:self.n], low, high)
        self.wide.clearSolver()

    def _sound(self, move, known):
        fits = np.abs(self.sums @ move).max(initial=0) <= TOLERANCE and (self.truth + move).min(initial=0) >= -TOLERANCE
        return fits and all(abs(move[a]) <= TOLERANCE if lone else self.truth[a] + move[a] >= own - TOLERANCE for a, own, lone in known)

    def cheapest(self, target, distance, side, known, shy):
        """A small move of `target` by `distance` up (side 1) or down (-1); None where none was found at little expense."""
        lp, n = self.small, self.n
        cost = np.ones(2 * n)
        cost[shy] = cost[n + shy] = SHY
        for atom, own, lone in known:
            lp.changeColBounds(atom, 0.0, 0.0 if lone else self.cap)
            lp.changeColBounds(n + atom, 0.0, 0.0 if lone else self.truth[atom] - own)
        atoms = self.targets[target]
        ones = np.full(len(atoms), float(side))
        lp.addRow(distance, INFINITY, 2 * len(atoms), np.r_[atoms, n + atoms].astype(np.int32), np.r_[ones, -ones])
        lp.changeColsCost(2 * n, self.columns, cost)
        lp.clearSolver()
        lp.run()
        self.runs += 1
        found = lp.getModelStatus() == highspy.HighsModelStatus.kOptimal
        x = np.asarray(lp.getSolution().col_value) if found else None
        lp.deleteRows(1, np.array([self.equal], dtype=np.int32))
        for atom, _, _ in known:
            lp.changeColBounds(atom, 0.0, self.cap)
            lp.changeColBounds(n + atom, 0.0, self.truth[atom])
        if not found:
            return None
        move = x[:n] - x[n:]
        move[np.abs(move) < 1e-9] = 0.0
        reached = side * move[atoms].sum() >= distance - TOLERANCE
        return move if reached and self._sound(move, known) else None

    def furthest(self, weights):
        """The move with the greatest weighted sum over sets of atoms, from where the last one ended."""
        cost = np.zeros(self.n)
        for atoms, weight in weights:
            cost[atoms] -= weight
        self.wide.changeColsCost(self.n, self.columns[:self.n], cost)
        for _ in range(2):
            self.wide.run()
            self.runs += 1
            if self.wide.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                move = np.array(self.wide.getSolution().col_value)
                move[np.abs(move) < 1e-9] = 0.0
                if self._sound(move, self.known):
                    return move
            self.wide.clearSolver()
        raise Unjudgeable("solver: found no sound answer to a program that has one, expected an optimum")


# ---------------------------------------------------------------- the attack

class Attack:
    def __init__(self, puzzle, insiders, seed):
        cells = puzzle.cells
        self.puzzle = puzzle
        published = [c for c in cells if c.published]
        self.hidden = [c for c in cells if not c.published]
        equations, known = reduce(published, len(puzzle.value))
        fixed = np.zeros(len(puzzle.value), dtype=bool)
        fixed[known] = True
        # Sums of nothing but zero, and atoms where everybody counts zero: nobody is taken to be there.
        fixed |= puzzle.value == 0
        for atoms in equations:
            if puzzle.value[atoms].sum() == 0:
                fixed[atoms] = True
        self.free = np.flatnonzero(~fixed)
        index = np.full(len(fixed), -1)
        index[self.free] = np.arange(len(self.free))
        inner = lambda atoms: index[atoms][index[atoms] >= 0]
        equations = {k.tobytes(): k for k in map(inner, equations) if len(k)}
        self.truth = puzzle.value[self.free]
        targets, self.target_of = {}, []
        for c in self.hidden:
            atoms = inner(c.atoms)
            self.target_of.append(targets.setdefault(atoms.tobytes(), (len(targets), atoms))[0])
        self.targets = [atoms for _, atoms in targets.values()]
        self.program = Program(self.truth, list(equations.values()), self.targets, max((c.level or 0 for c in cells), default=0))
        self._attackers(insiders, seed)
        self.moves_of = [[] for _ in self.targets]              # by target: (number of the table, change)
        self.spoiled = []                                      # by table: attackers who can exclude it
        self.still = np.ones(len(self.free), dtype=bool)        # atoms that no table so far moves
        self.needs = []
        for i, c in enumerate(self.hidden):
            if c.level is not None and len(self.targets[self.target_of[i]]):
                for side, distance in ((1, c.level), (-1, min(c.level, c.value))):
                    if distance > 0:
                        self.needs.append((i, side, distance))
        self.need_target = np.array([self.target_of[i] for i, _, _ in self.needs], dtype=np.int64)
        self.need_side = np.array([side for _, side, _ in self.needs])
        self.need_distance = np.array([distance for _, _, distance in self.needs], dtype=float)
        self.met = np.zeros(len(self.needs), dtype=np.int32)
        self.met_spoiled = np.zeros((len(self.needs), len(self.attackers)), dtype=np.int32)

    def _attackers(self, insiders, seed):
        at, who, heads = self.puzzle.held
        index = np.full(len(self.puzzle.value), -1)
        index[self.free] = np.arange(len(self.free))
        holders = np.bincount(at, minlength=len(index))
        inside = index[at] >= 0
        at, who, heads = at[inside], who[inside], heads[inside]
        everyone = np.unique(who)
        self.possible = len(everyone)
        chosen = everyone
        if insiders != "all" and int(insiders) < len(everyone):
            chosen = np.sort(np.random.default_rng(seed).choice(everyone, int(insiders), replace=False))
        self.attackers = chosen
        number = {int(w): i for i, w in enumerate(chosen)}
        self.number = number
        self.known = [[] for _ in chosen]                       # (free atom, own part, whether it is alone there)
        self.lone = np.full(len(self.free), -1)                 # whoever is alone in an atom, attacker or not
        for a, w, h in zip(at.tolist(), who.tolist(), heads.tolist()):
            alone = holders[a] == 1
            if alone:
                self.lone[index[a]] = w
            if w in number:
                self.known[number[w]].append((int(index[a]), h, alone))
        flat = [(a, i, h) for i, k in enumerate(self.known) for a, h, alone in k if not alone]
        self.shared = tuple(np.array(c, dtype=np.int64) for c in zip(*flat)) if flat else (np.zeros(0, np.int64),) * 3
        self.lone_attacker = np.array([number.get(int(w), -1) if w >= 0 else -1 for w in self.lone], dtype=np.int64)

    def add(self, move):
        """A table that fits all that is published: what it serves, and who can exclude it."""
        k = len(self.spoiled)
        moved = np.flatnonzero(move)
        self.still[moved] = False
        alone = self.lone_attacker[moved]
        at, who, own = self.shared
        spoilers = np.unique(np.concatenate([alone[alone >= 0], who[self.truth[at] + move[at] < own - TOLERANCE]]))
        self.spoiled.append(set(spoilers.tolist()))
        change = self.program.hidden @ move
        for t in np.flatnonzero(np.abs(change) > TOLERANCE).tolist():
            self.moves_of[t].append((k, change[t]))
        met = np.flatnonzero(self.need_side * change[self.need_target] >= self.need_distance - TOLERANCE)
        if len(met):
            self.met[met] += 1
            if len(spoilers):
                self.met_spoiled[np.ix_(met, spoilers)] += 1

    def serves(self, target, attacker, side, distance):
        """Whether some table known already moves the target as far (or at all: side 0) and convinces the attacker."""
        for k, by in self.moves_of[target]:
            if (abs(by) > TOLERANCE if side == 0 else side * by >= distance - TOLERANCE) and attacker not in self.spoiled[k]:
                return True
        return False

    def reach(self, target, side):
        """How far the target goes to one side, as far as whoever's knowledge holds now can tell."""
        move = self.program.furthest([(self.targets[target], side)])
        by = side * move[self.targets[target]].sum()
        if by > TOLERANCE:
            self.add(move)
        return max(by, 0.0)

    def is_point(self, target):
        return self.reach(target, 1) <= TOLERANCE and self.reach(target, -1) <= TOLERANCE

    def holds_others(self, cell, target, who):
        """Whether the cell holds more than what is this contributor's own and what everybody knows."""
        return cell.value > cell.own.get(who, 0) and any(self.lone[a] != who and not self.still[a] for a in self.targets[target])

    def run(self):
        """Who is given away: (cell, side) to the outsider too narrow, cells exact to it, (cell, insider) narrow, exact."""
        draws = np.random.default_rng(0)
        for _ in range(SHARED_MAX):
            ends = np.flatnonzero(self.met == 0)
            if not len(ends):
                break
            push = draws.random(len(self.targets)) * draws.choice((-1, 1), len(self.targets))
            weights = {}
            for n in ends:
                cell, side, distance = self.needs[n]
                t = self.target_of[cell]
                if side * push[t] > 0:
                    weights[t] = push[t] / distance
            if weights:
                self.add(self.program.furthest([(self.targets[t], w) for t, w in weights.items()]))
            if (self.met[ends] > 0).sum() < .02 * len(ends):
                break
        under = {}
        for n, (cell, side, distance) in enumerate(self.needs):
            if not self.met[n] and self.reach(self.target_of[cell], side) < distance - TOLERANCE:
                under[cell, side] = distance
        exact = {i for i, t in enumerate(self.target_of)
                 if not len(self.targets[t]) or (not self.moves_of[t] and self.is_point(t))}
        for atom in np.flatnonzero(self.still).tolist():       # those which even the outsider knows
            for side in (1, -1):
                if self.still[atom]:
                    move = self.program.furthest([(atom, side)])
                    if abs(move[atom]) > TOLERANCE:
                        self.add(move)
        for i in exact:                                        # known by plain subtraction, so no end was asked
            if self.hidden[i].level is not None and not len(self.targets[self.target_of[i]]):
                under[i, 1], under[i, -1] = self.hidden[i].level, min(self.hidden[i].level, self.hidden[i].value)
        narrow, asked = set(), {}
        for n in sorted(range(len(self.needs)), key=lambda n: -self.needs[n][2]):
            cell, side, _ = self.needs[n]
            if (cell, side) not in under:
                for who, distance in self._unconvinced(n):
                    asked.setdefault(who, []).append((cell, side, distance))
        # Whether a cell that is too narrow for the outsider already is a point for somebody.
        points = {}
        for cell in {c for c, _ in under} - exact:
            t, c = self.target_of[cell], self.hidden[cell]
            spoilt = set.intersection(*(self.spoiled[k] for k, _ in self.moves_of[t]))
            for who in spoilt:
                if self.holds_others(c, t, int(self.attackers[who])):
                    points.setdefault(who, set()).add(cell)
        exact_inside = set()
        for who in sorted(asked.keys() | points.keys()):
            self.program.set_known(self.known[who])
            for cell, side, distance in asked.get(who, ()):
                t = self.target_of[cell]
                if not self.serves(t, who, side, distance) and self.reach(t, side) < distance - TOLERANCE:
                    narrow.add((cell, who))
                    points.setdefault(who, set()).add(cell)
            for cell in sorted(points.get(who, ())):
                t = self.target_of[cell]
                if not self.serves(t, who, 0, 0) and self.is_point(t):
                    exact_inside.add((cell, who))
        self.program.set_known(())
        return under, exact, narrow - exact_inside, exact_inside

    def _unconvinced(self, n):
        """Attackers whom no small move convinces that this end may be reached, and how far it must be for them."""
        cell, side, distance = self.needs[n]
        c, t = self.hidden[cell], self.target_of[cell]
        excused, unconvinced = set(), []

        def others(who):
            return self.holds_others(c, t, int(self.attackers[who]))
        while True:
            open_ = [w for w in np.flatnonzero(self.met_spoiled[n] == self.met[n]).tolist() if w not in excused]
            # No cell can be kept from being at least the weight that an insider has there itself.
            ask = None
            for who in open_:
                asked = distance if side > 0 else min(distance, c.value - c.own.get(int(self.attackers[who]), 0))
                if not others(who) or asked <= 0 or (asked < distance and self.serves(t, who, side, asked)):
                    excused.add(who)
                elif ask is None:
                    ask = who, asked
            if ask is None:
                return unconvinced
            who, asked = ask
            rivals = [w for w in open_ if w not in excused and w != who]
            shy = np.unique(np.array([a for w in rivals for a, _, _ in self.known[w]], dtype=np.int64))
            move = self.program.cheapest(t, float(asked), side, self.known[who], shy)
            excused.add(who)
            if move is None:
                unconvinced.append((who, asked))
            else:
                self.add(move)


def judge(micro, spec_path, folder, insiders="all", seed=7, also=(), detail=None):
    clock, cpu = time.time(), time.process_time()
    with open(spec_path, "rb") as stream:
        try:
            spec = tomllib.load(stream)
        except tomllib.TOMLDecodeError as error:
            refuse(str(spec_path), str(error), "TOML")
    report = dict.fromkeys(("unknown_cells", "duplicate_cells", "wrong_values", "missing_cells"), 0)
    puzzle = Puzzle(micro, spec)
    puzzle.read(folder, spec, report)
    # Counted on the release itself, before what other releases add.
    cells = puzzle.cells
    secondary = [c for c in cells if not c.published and c.level is None]
    unsafe = [c for c in cells if c.level is not None]
    report |= {
        "cells": len(cells), "unsafe": len(unsafe), "published": sum(c.published for c in cells),
        "published_unsafe": sum(c.published for c in unsafe),
        "secondary_cells": len(secondary), "secondary_heads": sum(c.value for c in secondary),
        "unsafe_heads": sum(c.value for c in unsafe), "total_heads": int(puzzle.value.sum()),
    }
    for further in also:
        puzzle.read(further, spec, dict.fromkeys(report, 0))
    attack = Attack(puzzle, insiders, seed)
    under, exact, narrow, exact_inside = attack.run()
    hidden = attack.hidden
    report |= {
        "under": len({c for c, _ in under}), "under_up": sum(s > 0 for _, s in under), "under_down": sum(s < 0 for _, s in under),
        "exact": sum(hidden[i].level is not None for i in exact), "exact_secondary": sum(hidden[i].level is None for i in exact),
        "insiders_tried": len(attack.attackers), "insiders_possible": attack.possible,
        "insiders_breaching": len({w for _, w in narrow | exact_inside}),
        "insider_exact": len(exact_inside), "insider_narrow": len(narrow),
        "insider_exact_cells": len({c for c, _ in exact_inside}), "insider_narrow_cells": len({c for c, _ in narrow}),
        "insiders_exact": len({w for _, w in exact_inside}),
        "free_atoms": len(attack.free), "equations": attack.program.equal, "ends": len(attack.needs),
        "tables_kept": len(attack.spoiled), "programs": attack.program.runs,
        "cpu_seconds": round(time.process_time() - cpu, 1), "seconds": round(time.time() - clock, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    faults = ("published_unsafe", "wrong_values", "missing_cells", "under", "exact", "insider_exact", "insider_narrow")
    report["safe"] = not any(report[f] for f in faults)
    if detail:
        number = {id(c): i for i, c in enumerate(hidden)}
        with open(detail, "w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream)
            out.writerow("cell value level published under_up under_down exact insiders_exact insiders_narrow".split())
            for c in cells:
                i = number.get(id(c))
                if c.level is None and i not in exact:
                    continue
                inside = [" ".join(str(puzzle.names[attack.attackers[w]]) for j, w in sorted(kind) if j == i) for kind in (exact_inside, narrow)]
                out.writerow([" & ".join(f"{level}={code}" for level, code in c.key) or "TOTAL", c.value, c.level or "", int(c.published),
                              int((i, 1) in under), int((i, -1) in under), int(i in exact), *inside])
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("micro"), parser.add_argument("spec"), parser.add_argument("release")
    parser.add_argument("--insiders", default="all"), parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--with", dest="also", action="append", default=[])
    parser.add_argument("--json", action="store_true"), parser.add_argument("--detail")
    given = parser.parse_args()
    if given.insiders != "all" and not given.insiders.isdigit():
        refuse("--insiders", f"`{given.insiders}`", "a number or `all`")
    report = judge(given.micro, given.spec, given.release, given.insiders, given.seed, given.also, given.detail)
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        r = report
        print(f"{'safe' if r['safe'] else 'UNSAFE'}: cells {r['cells']}, unsafe {r['unsafe']}, secondary {r['secondary_cells']} / {r['secondary_heads']} heads; "
              f"shown though unsafe {r['published_unsafe']}, wrong {r['wrong_values']}, missing {r['missing_cells']}; "
              f"outsider: exact {r['exact']} (+{r['exact_secondary']} secondary), under {r['under']} (up {r['under_up']}, down {r['under_down']}); "
              f"insiders {r['insiders_tried']} of {r['insiders_possible']}: {r['insiders_breaching']} breach, exact {r['insider_exact']}, narrow {r['insider_narrow']}; "
              f"{r['programs']} programs, {r['cpu_seconds']} cpu s, {r['peak_mb']} MB")
    return 0 if report["safe"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unjudgeable as fault:
        print(f"judge: {fault}", file=sys.stderr)
        sys.exit(2)
