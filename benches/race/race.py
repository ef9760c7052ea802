#!/usr/bin/env python3
"""Runs arpent and its peers on the same microdata, has one judge look at every pattern, and prints a Markdown table.

usage: race.py [--shapes A,B,L] [--sizes 3000,12000,40000] [--seeds 7,11,13,17,19] [--peers NAME,...] [--doc FILE]
               [--peer-seconds S] [--our-seconds S] [--judge-seconds S] [--insiders N|all] [--by-seed] [--peers-only] [--fresh|--kept]

Shapes: benches/race/specs/{A,B,L}.toml. Peers: tauargus:MOD, tauargus:OPT, secret_stat, gauss, gauss:interval.
Each run is a process of its own with a time limit; processor time and peak memory are the kernel's account of it.
What was measured stays in target/race/results/ and is not measured again while its tool, microdata and specification
are the same; --fresh forgets it, --kept shows it and runs nothing. --doc replaces what lies between the two marks in
that file. The runners of the peers and the generator of the microdata lie in ../shared/peers/sdc.
GaussSuppression is an R package outside Debian: it is run when target/race/R (or R_LIBS) holds it. To install it there
from sources: Debian's r-base-core, r-cran-{matrix,mass,ellipsis,rlang,rglpk}, then `R CMD INSTALL -l target/race/R` of
SSBtools 1.8.6, RegSDC 1.0.0 and GaussSuppression 1.2.3, in this order.
"""
import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pattern

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "race"
PEERS = ["tauargus:MOD", "tauargus:OPT", "secret_stat", "gauss", "gauss:interval"]
SHAPES_OF = {"tauargus:MOD": "AB", "tauargus:OPT": "AB"}       # others take every shape
GRACE_SECONDS = 60                                             # a peer that watches its own limit may end by itself
READ = [
    "Instances: A is sector × NAF (sections, divisions); B is A × size bracket; L is four linked tables, A, sector × section × size, "
    "commune × section, and IRIS. The number is that of establishments.",
    "Rules: fewer than 3 enterprises, or one above 85 %; width 10 %; `arpent:outsider` is arpent with `insiders = false`.",
    "Heads withheld: the sum of the secondary cells, each distinct cell once; the same person counts at each level where it is hidden.",
    "Under: unsafe cells with an end of the outsider's interval short of the level. Exact: those whose interval is a point.",
    "Insiders: pairs of an insider and somebody else's unsafe cell that it works out exactly, and too narrowly, beyond what the outsider can; "
    "by how many of the insiders that attacked.",
    "gauss is GaussSuppression 1.2.3, secret_stat 1.0.0; tauargus is the engine of τ-ARGUS in pytauargus 0.6.0. "
    "Only τ-ARGUS and gauss:interval mean to keep intervals wide; none of them means to stop insiders, singletons apart.",
    "Processor seconds are of the whole process, reading included.",
]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def digest(*paths):
    whole = hashlib.sha256()
    for path in paths:
        whole.update(Path(path).read_bytes())
    return whole.hexdigest()[:16]


def measured(command, seconds, log, env=None, cwd=None):
    """Runs a command for so long at most: how it ended, processor seconds, wall seconds, peak memory in MB."""
    start, load = time.time(), os.getloadavg()[0]
    with open(log, "wb") as out:
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=env,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
        ended = None
        while ended is None:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                ended = os.waitstatus_to_exitcode(status)
            elif time.time() - start > seconds:
                os.killpg(child.pid, signal.SIGKILL)
                _, _, usage = os.wait4(child.pid, 0)
                ended = "time"
            else:
                time.sleep(0.05)
        child.returncode = 0                                   # reaped here already
    return {"end": ended, "cpu": round(usage.ru_utime + usage.ru_stime, 1), "wall": round(time.time() - start, 1),
            "mb": usage.ru_maxrss // 1024, "load": round(load, 1)}


def version(tool, given):
    """What must not have changed for a figure to be kept."""
    if tool.startswith("arpent"):
        return digest(given.arpent)
    scripts = given.shared / "peers" / "sdc"
    runners = {"tauargus": scripts / "run_tauargus.py", "gauss": scripts / "run_gauss.R"}
    runner = runners.get(tool.split(":")[0], HERE / "peer_secret_stat.py")
    return f"{named(tool)} {digest(runner, HERE / 'pattern.py')}"


def named(tool):
    """A peer and its version."""
    lines = {"tauargus": "pytauargus", "secret_stat": "secret_stat"}
    name = lines.get(tool.split(":")[0])
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if name and line.startswith(name + "=="):
            return line
    return "GaussSuppression"


def run(tool, shape, micro, folder, given):
    """Has a tool write `folder` as a release. Says how it went."""
    spec = HERE / "specs" / f"{shape}.toml"
    log, raw = folder.with_suffix(".log"), folder.with_suffix(".pattern.csv")
    shutil.rmtree(folder, ignore_errors=True)
    if tool.startswith("arpent"):
        if tool == "arpent:outsider":
            text = spec.read_text().replace("insiders = true", "insiders = false")
            spec = folder.with_suffix(".toml")
            spec.write_text(text)
        return measured([given.arpent, "protect", "--micro", micro, "--spec", spec, "--out", folder], given.our_seconds, log)
    if tool == "secret_stat":
        return measured([sys.executable, HERE / "peer_secret_stat.py", micro, spec, folder], given.peer_seconds, log)
    scripts = given.shared / "peers" / "sdc"
    method = tool.split(":")[1] if ":" in tool else ""
    scratch = folder.with_suffix(".work")                      # the engine of tau-ARGUS leaves files where it runs
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    if tool.startswith("tauargus"):
        minutes = max(1, given.peer_seconds // 60)
        env = dict(os.environ, TMPDIR=str(scratch))
        how = measured([sys.executable, scripts / "run_tauargus.py", micro, shape, method, raw, minutes],
                       given.peer_seconds + GRACE_SECONDS, log, env, scratch)
    else:
        env = dict(os.environ, R_LIBS=os.pathsep.join(filter(None, [str(WORK / "R"), os.environ.get("R_LIBS")])))
        how = measured(["Rscript", scripts / "run_gauss.R", micro, shape, method or "gauss", raw], given.peer_seconds, log, env, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    if how["end"] == 0:
        pattern.write(raw, spec, micro, folder)
    return how


def judged(shape, micro, folder, insiders, given):
    command = [sys.executable, HERE / "judge.py", micro, HERE / "specs" / f"{shape}.toml", folder, "--json", "--insiders", insiders]
    log = folder.with_suffix(".verdict.json")
    how = measured(command, given.judge_seconds, log)
    if how["end"] not in (0, 1):
        print(f"race: no verdict on {folder.name} ({how['end']})", file=sys.stderr)
        return None
    return json.loads(log.read_text())


def outcome(tool, shape, size, seed, given):
    """One line of the race, from an earlier run where nothing changed since."""
    micro = WORK / "data" / f"{size}-{seed}.csv"
    generator = given.shared / "peers" / "sdc" / "gen_micro.py"
    if not micro.exists():
        micro.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, generator, str(size), str(seed), micro], check=True)
    results = WORK / "results"
    results.mkdir(parents=True, exist_ok=True)
    name = f"{shape}-{size}-{seed}-{tool.replace(':', '_')}"
    kept, folder = results / f"{name}.json", results / name
    limit = given.our_seconds if tool.startswith("arpent") else given.peer_seconds
    made_of = [version(tool, given), digest(micro, HERE / "specs" / f"{shape}.toml")]
    insiders = given.insiders or ("all" if size <= 3000 or shape == "A" else "200")
    if tool == "arpent:outsider":
        insiders = "0"
    judged_by = [digest(HERE / "judge.py"), insiders]
    found = json.loads(kept.read_text()) if kept.exists() and not given.fresh else {}
    ran_out = found.get("how", {}).get("end") == "time" and found.get("limit", 0) < limit
    if given.kept and (found.get("made_of") != made_of or found["how"]["end"] == 0 and not found.get("verdict")):
        return None
    if given.kept:
        return found | {"shape": shape, "size": size, "seed": seed, "tool": tool}
    if found.get("made_of") != made_of or ran_out:
        print(f"race: {name} runs", file=sys.stderr, flush=True)
        found = {"made_of": made_of, "limit": limit, "how": run(tool, shape, micro, folder, given)}
    if found["how"]["end"] == 0 and found.get("judged_by") != judged_by:
        print(f"race: {name} is judged", file=sys.stderr, flush=True)
        verdict = judged(shape, micro, folder, insiders, given)
        found |= {"judged_by": judged_by if verdict else None, "verdict": verdict}
    kept.write_text(json.dumps(found, indent=1))
    return found | {"shape": shape, "size": size, "seed": seed, "tool": tool}


def number(values, digits=0):
    """The figure of one seed, or the mean and the extent of several."""
    if not values:
        return "–"
    text = f"{statistics.fmean(values):,.{digits}f}"
    return text if len(values) == 1 or min(values) == max(values) else f"{text} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def line(outcomes):
    """Outcomes of one tool on one shape and size, over seeds, as a row of the table."""
    first = outcomes[0]
    sane = [o for o in outcomes if o["how"]["end"] == 0]
    verdicts = [o["verdict"] for o in sane if o.get("verdict")]
    instance = f"{first['shape']} {first['size']:,}"
    cpu = number([o["how"]["cpu"] for o in outcomes], 1)
    memory = [o["how"]["mb"] for o in outcomes if o["how"].get("mb")]
    end = [f"{o['how']['wall']:,.0f} s, no answer" if o["how"]["end"] == "time" else f"failed ({o['how']['end']})"
           for o in outcomes if o["how"]["end"] != 0]
    if not verdicts:
        cells = [end[0] if end else "not judged", *["–"] * 5]
    else:
        total = lambda key: sum(v[key] for v in verdicts)
        tried = {v["insiders_tried"] for v in verdicts}
        inside = "not asked" if tried == {0} else (f"{total('insider_exact')} + {total('insider_narrow')} by "
                                                   f"{total('insiders_breaching')} of {total('insiders_tried'):,}")
        cells = [number([v["cells"] for v in verdicts]), number([v["secondary_cells"] for v in verdicts]),
                 number([v["secondary_heads"] for v in verdicts]), str(total("under")), str(total("exact")), inside]
        if end:
            cells[0] += f"; {len(end)} of {len(outcomes)} seeds: {end[0]}"
    return [instance, first["tool"], str(len(outcomes)), *cells, cpu, f"{max(memory):,}" if memory else "–"]


def table(rows):
    head = ["instance", "tool", "seeds", "cells", "secondary cells", "heads withheld by them", "under", "exact",
            "insiders: exact + narrow", "cpu s", "peak MB"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(r) + " |" for r in lines)


def processor():
    try:
        for text in open("/proc/cpuinfo", encoding="utf-8"):
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def main():
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--shapes", default="A,B,L"), given.add_argument("--sizes", default="3000,12000,40000")
    given.add_argument("--seeds", default="7,11,13,17,19"), given.add_argument("--peers", default=",".join(PEERS))
    given.add_argument("--peer-seconds", type=int, default=240), given.add_argument("--our-seconds", type=int, default=1800)
    given.add_argument("--judge-seconds", type=int, default=1800), given.add_argument("--insiders")
    given.add_argument("--arpent", type=Path, default=ROOT / "target" / "debug" / "arpent")
    given.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    given.add_argument("--doc", type=Path), given.add_argument("--by-seed", action="store_true")
    given.add_argument("--fresh", action="store_true"), given.add_argument("--kept", action="store_true"), given.add_argument("--peers-only", action="store_true")
    given = given.parse_args()
    listed = lambda text: [item for item in text.replace(",", " ").split() if item]
    if not (given.shared / "peers" / "sdc" / "gen_micro.py").exists():
        print("race: skipped: no ../shared")
        return 0
    tools, absent = [] if given.peers_only else ["arpent", "arpent:outsider"], []
    for peer in listed(given.peers):
        if peer not in PEERS:
            print(f"race: --peers: found `{peer}`, expected some of {', '.join(PEERS)}", file=sys.stderr)
            return 2
        if peer.startswith("gauss"):
            held = [WORK / "R", *map(Path, filter(None, os.environ.get("R_LIBS", "").split(os.pathsep)))]
            if not shutil.which("Rscript") or not any((d / "GaussSuppression").exists() for d in held):
                absent.append(peer)
                continue
        tools.append(peer)
    lines, unsafe, loads = [], 0, [0]
    for shape in listed(given.shapes):
        for size in map(int, listed(given.sizes)):
            for tool in tools:
                if shape not in SHAPES_OF.get(tool, "ABL"):
                    continue
                outcomes = [outcome(tool, shape, size, int(seed), given) for seed in listed(given.seeds)]
                outcomes = [o for o in outcomes if o]
                if not outcomes:
                    continue
                loads += [o["how"].get("load", 0) for o in outcomes]
                if tool.startswith("arpent"):
                    unsafe += sum(not (o.get("verdict") or {}).get("safe") for o in outcomes)
                lines += [line([o]) for o in outcomes] if given.by_seed else [line(outcomes)]
    text = table(lines)
    seeds = listed(given.seeds)
    notes = [f"`make race-secrecy` on {os.cpu_count()} cores, {processor()}; peers had {given.peer_seconds} s, arpent {given.our_seconds} s; seeds {', '.join(seeds)}.", *READ]
    if len(seeds) > 1 and not given.by_seed:
        notes.append("Over several seeds: the mean (least–most) of cells, heads and processor seconds, the sum of faults, the highest memory.")
    if max(loads) > os.cpu_count():
        notes.append(f"The machine had other work (load up to {max(loads):.0f} when a run began): an idle one needs fewer processor seconds.")
    if absent:
        notes.append(f"Not installed here, so not run: {', '.join(absent)}.")
    print(text)
    notes = [f"- {note}" for note in notes]
    print("\n" + "\n".join(notes))
    if given.doc:
        write(given.doc, "\n".join([*notes, "", text]))
    return 1 if unsafe else 0


def write(path, text):
    """Replaces what lies between the marks; the rest of the page is somebody's prose."""
    page = path.read_text(encoding="utf-8") if path.exists() else f"# Secrecy\n\n## Measured\n\n{BEGIN}\n{END}\n"
    if BEGIN not in page or END not in page:
        page = page.rstrip("\n") + f"\n\n## Measured\n\n{BEGIN}\n{END}\n"
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
