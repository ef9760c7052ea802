#!/usr/bin/env python3
"""Has the engine of tau-ARGUS read what `arpent exchange write` writes, and arpent read what the engine writes.

usage: exchange.py ARPENT GENERATOR FOLDER

A line a question, and its answer; 1 when an answer is not the one expected. The engine is that of pytauargus, which runs
without a window; it drops files where it works, so everything lies in FOLDER, which is made anew.
"""
import collections
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pytauargus.engine import Engine
from pytauargus.micro import micro_asc_rda

HERE = Path(__file__).resolve().parent
ESTABLISHMENTS, SEED = 400, 7
TABLE, DIMENSIONS, RESPONSE = "sector_naf", ["sector", "naf"], "headcount"
SPECIFY = "<SPECIFYTABLE> " + "".join(f'"{d}"' for d in DIMENSIONS) + f'|"{RESPONSE}"||'
# With holdings the first two NK and FREQ are of establishments, and the next of enterprises.
RULES = "<SAFETYRULE> NK(0,0)|NK(0,0)|NK(1,85)|NK(0,0)|FREQ(1,10)|FREQ(3,10)|ZERO(0)"
RECORDS = f'<OPENMICRODATA> "micro.asc"\n<OPENMETADATA> "micro.rda"\n{SPECIFY}\n{RULES}\n<READMICRODATA>\n'
CELLS = f'<OPENTABLEDATA> "{TABLE}.tab"\n<OPENMETADATA> "{TABLE}.rda"\n{SPECIFY}"cost"\n<SAFETYRULE> MAN(10)\n<READTABLE>\n'
STATUSES = f'<APRIORI> "{TABLE}.hst",1,";",0,0\n'
PROTECTED = "<SUPPRESS> MOD(1,1,1,1,1)\n"


def engine(folder, batch):
    """The engine after a batch, which lies beside the files that it names."""
    path = folder / "batch.arb"
    path.write_text(batch)
    os.chdir(folder)
    return Engine().run_batch(path)


def intervals(found):
    """How many cells of each status the engine finds withheld, and how many of them too narrow, by its own audit."""
    rows = found.audit(0)
    return collections.Counter(row["status"] for row in rows), sum(bool(row["unsafe"]) for row in rows)


def stated(instance):
    """The same statuses as a JJ file states them: number, value, cost, status, and so on."""
    lines = [line.split() for line in instance.read_text().splitlines()[2:]]
    return collections.Counter(line[3] for line in lines if len(line) == 9 and line[3] in "um")


def main():
    arpent, generator, folder = (Path(given).resolve() for given in sys.argv[1:4])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = lambda *command: subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)
    micro, spec, ours, open_ = folder / "micro.csv", folder / "spec.toml", folder / "ours", folder / "open"
    run(sys.executable, generator, ESTABLISHMENTS, SEED, micro)
    # The engine knows no insiders beyond singletons.
    spec.write_text((HERE / "specs" / "A.toml").read_text().replace("insiders = true", "insiders = false"))
    run(arpent, "protect", "--micro", micro, "--spec", spec, "--out", folder / "release")
    run(arpent, "exchange", "write", "--micro", micro, "--spec", spec, "--release", folder / "release", "--out", ours)
    run(arpent, "exchange", "write", "--micro", micro, "--spec", spec, "--out", open_)
    failed = 0

    def ask(question, answer, expected):
        nonlocal failed
        failed += answer != expected
        print(f"exchange: {question}: {answer}{'' if answer == expected else f', expected {expected}'}", flush=True)

    pattern = stated(ours / f"{TABLE}.jj")
    ask("unsafe cells, from .asc and .rda by its own rules", intervals(engine(ours, RECORDS))[0]["u"], pattern["u"])
    read, narrow = intervals(engine(ours, CELLS + STATUSES))
    ask("unsafe and secondary cells, from .tab, .rda and .hst", dict(read), dict(pattern))
    ask("too narrow of them, by its own audit", narrow, 0)
    ask("too narrow without what arpent withholds besides", intervals(engine(open_, CELLS + STATUSES))[1] > 0, True)

    theirs = engine(open_, CELLS + STATUSES + PROTECTED)
    instance = folder / "theirs.jj"
    least, most = theirs._table_cell_bounds(0)
    theirs._tau.write_jj_format(0, str(instance), least, most, False, False, False)
    checked = subprocess.run([arpent, "exchange", "jj", "--file", instance, "--check"], capture_output=True, text=True)
    # Whether its pattern stands is for the race to say.
    ask("its own pattern is read from its JJ file", checked.returncode in (0, 1), True)

    with open(micro, newline="", encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    columns = {"sector": "sector", "naf_division": "naf", RESPONSE: RESPONSE}
    wide = {name: [record[column] for record in records] for column, name in columns.items()}
    wide[RESPONSE] = [int(heads) for heads in wide[RESPONSE]]
    micro_asc_rda(wide, asc_filename=str(folder / "theirs.asc"), rda_filename=str(folder / "theirs.rda"), decimals=0)
    run(arpent, "exchange", "read", "--asc", folder / "theirs.asc", "--rda", folder / "theirs.rda", "--out", folder / "back.csv")
    with open(folder / "back.csv", newline="", encoding="utf-8") as stream:
        back = list(csv.DictReader(stream))
    row = lambda of: tuple(str(of[name]) for name in columns.values())
    as_sent = collections.Counter(tuple(record[column] for column in columns) for record in records)
    ask("records of its .asc and .rda, read back", collections.Counter(map(row, back)) == as_sent, True)
    return failed > 0


sys.exit(main())
