#!/usr/bin/env python3
"""Makes microdata of the size and the shape of a country: communes in départements in regions, sections, brackets.

usage: gen_france.py OUT_DIR [--scale 1.0] [--seed 7]       (standard library and numpy)

Writes OUT_DIR/micro.csv and OUT_DIR/spec.toml. At scale 1: 35,000 communes in 96 départements in 13 regions, about 2.5
million establishments with employees, 21 sections of the NAF, 6 size brackets. `--scale 0.01` keeps one commune in a
hundred, and their establishments with them. Nothing is anybody's: all is drawn, and the same seed gives the same bytes.

What is heavy-tailed in Sirene is so here: establishments by commune (a few cities, many villages of a handful), headcounts
(four in five establishments below ten employees, one in a thousand above 250), establishments by enterprise (most own one,
a few own hundreds, in the same section). Communes differ in their mix of sections, big cities less than villages.
"""
import argparse
import sys
from pathlib import Path

import numpy as np

COMMUNES, DEPARTEMENTS, REGIONS, ESTABLISHMENTS = 35_000, 96, 13, 2_500_000
# Sections of the NAF with their share of establishments, in thousandths: trade, health, construction, services lead.
SECTIONS = dict(zip("ABCDEFGHIJKLMNOPQRSTU", (45, 1, 62, 3, 5, 105, 200, 35, 85, 25, 35, 30, 85, 55, 45, 30, 80, 25, 47, 1, 1)))
# SIRENE's brackets of headcount, merged to six: lowest, highest, share of establishments.
BRACKETS = (("01-09", 1, 9, .790), ("10-19", 10, 19, .105), ("20-49", 20, 49, .070),
            ("50-99", 50, 99, .020), ("100-249", 100, 249, .011), ("250+", 250, 8000, .004))
IN_A_CHAIN = 0.16            # share of establishments whose enterprise owns several
CHUNK = 100_000              # rows written at a time

SPEC = """\
contributor = "siren"
weight = "headcount"
[rules]
min_contributors = 3
dominance = { n = 1, share = 0.85 }
[protection]
width = 0.10
insiders = true
[dimensions.territory]
levels = ["region", "departement", "commune"]
[dimensions.naf]
levels = ["naf_section"]
[dimensions.size]
levels = ["size_bracket"]
[[tables]]
name = "territory_section_size"
dimensions = ["territory", "naf", "size"]
"""


def nested(draw, n, within):
    """A parent for each of n children: every parent has some, and their numbers differ by a few times."""
    weights = draw.lognormal(0, 0.45, within)
    parent = draw.choice(within, n, p=weights / weights.sum())
    parent[:within] = np.arange(within)
    return np.sort(parent)


def generate(scale, seed):
    draw = np.random.default_rng(seed)
    communes, n = max(1, round(COMMUNES * scale)), max(1, round(ESTABLISHMENTS * scale))
    departements = min(communes, DEPARTEMENTS)
    regions = min(departements, REGIONS)
    departement_of, region_of = nested(draw, communes, departements), nested(draw, departements, regions)

    # Zipf-Mandelbrot: the largest commune holds 1.5 % of all, half of the communes hold a dozen or fewer.
    rank = draw.permutation(communes) + 1
    size = 1.0 / (rank + 12.0) ** 1.12
    commune = np.sort(draw.choice(communes, n, p=size / size.sum()))

    # A commune's own mix of sections: the nation's, shaken; villages are shaken harder.
    letters = np.array(list(SECTIONS))
    nation = np.array(list(SECTIONS.values()), dtype=float)
    spread = np.where(size > np.quantile(size, .97), .35, .9)
    mix = nation * draw.lognormal(0, 1, (communes, len(letters))) ** spread[:, None]
    steps = np.cumsum(mix / mix.sum(axis=1, keepdims=True), axis=1)
    steps[:, -1] = 1.0
    section = np.empty(n, dtype=np.int64)
    for start in range(0, n, CHUNK):
        part = slice(start, min(n, start + CHUNK))
        section[part] = (draw.random(part.stop - start)[:, None] > steps[commune[part]]).sum(axis=1)

    share = np.array([b[3] for b in BRACKETS])
    bracket = draw.choice(len(BRACKETS), n, p=share / share.sum())
    low, high = (np.array([b[i] for b in BRACKETS], dtype=float)[bracket] for i in (1, 2))
    # Log-uniform to a power: within a bracket the low figures are the common ones.
    headcount = np.minimum(high, low * (high / low) ** (draw.random(n) ** 1.6)).astype(np.int64)

    # Chains: an establishment of a chain joins one of its section, large chains first (again Zipf).
    siren = 300_000_000 + np.arange(n)
    chained = np.flatnonzero(draw.random(n) < IN_A_CHAIN)
    for s in range(len(letters)):
        members = chained[section[chained] == s]
        chains = max(1, len(members) // 6)
        pull = 1.0 / (np.arange(chains) + 3.0)
        siren[members] = members[draw.choice(chains, len(members), p=pull / pull.sum())] + 300_000_000
    # The last five digits of a SIRET count the establishments of the enterprise.
    order = np.argsort(siren, kind="stable")
    first = np.r_[True, np.diff(siren[order]) != 0]
    nic = np.empty(n, dtype=np.int64)
    nic[order] = np.arange(n) - np.flatnonzero(first)[np.cumsum(first) - 1]
    return departement_of, region_of, commune, letters[section], bracket, headcount, siren, nic


def main():
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("folder", type=Path), given.add_argument("--scale", type=float, default=1.0)
    given.add_argument("--seed", type=int, default=7)
    given = given.parse_args()
    if not 0 < given.scale <= 10:
        print(f"gen_france: --scale: found {given.scale}, expected above 0, 10 at most", file=sys.stderr)
        return 2
    departement_of, region_of, commune, section, bracket, headcount, siren, nic = generate(given.scale, given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "spec.toml").write_text(SPEC, encoding="utf-8")
    names = [b[0] for b in BRACKETS]
    with open(given.folder / "micro.csv", "w", newline="\n", encoding="utf-8") as out:
        out.write("siret,siren,region,departement,commune,naf_section,size_bracket,headcount\n")
        for start in range(0, len(commune), CHUNK):
            part = range(start, min(len(commune), start + CHUNK))
            rows = []
            for i in part:
                c = commune[i]
                d = departement_of[c]
                rows.append(f"{siren[i]}{nic[i]:05d},{siren[i]},R{region_of[d] + 1:02d},D{d + 1:02d},C{c + 1:05d},{section[i]},{names[bracket[i]]},{headcount[i]}\n")
            out.write("".join(rows))
    print(f"establishments={len(commune)} communes={len(set(commune.tolist()))} enterprises={len(np.unique(siren))} headcount={headcount.sum()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
