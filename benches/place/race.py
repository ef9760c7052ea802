#!/usr/bin/env python3
"""arpent and its peers place the same points in the same zones, from files to files, in turn.

Each peer is a process of its own; its time is the CPU time (user and system) of that process, imports included, and the
answers are compared by one checksum of (zone, count, sum of ids). The median of the rounds is shown; a peer that took
more than twice the CPU time of the best one is not asked again. Beside it stands the join alone: files read, nothing
written yet, the peer's own index included where it builds one in its join; ours is one thread of benches/assign.rs with
an index at hand. A peer that is not installed is skipped with a word. Zones and points come from
../shared/peers/join/gen.py; see docs/PERFORMANCE.md.
"""
import argparse, json, os, platform, statistics, subprocess, sys, tempfile, time

PEERS = {
    # The form of each that was fastest in ../shared/PERFORMANCE.md.
    "arpent, index kept": None,
    "arpent, index built": None,
    "PyCanopy": "pycanopy",
    "GeoPandas within": "geopandas",
    "shapely prepared": "shapely",
    "SedonaDB": "sedonadb",
    "polars-st": "polars_st",
    "DuckDB": "duckdb",
}
M = (1 << 61) - 1


def checksum(pairs):
    total, placed = 0, 0
    for zone, count, ids in pairs:
        total = (total + (int(zone) + 1) * (int(count) * 1000003 + int(ids))) % M
        placed += int(count)
    return placed, total


def write(out, ids, zones):
    """What every command here writes: an identifier and its zone."""
    import pyarrow as pa, pyarrow.parquet as pq
    pq.write_table(pa.table({"id": ids, "zone": zones}), out, compression="zstd")


class Join:
    """The CPU seconds of a join, and nothing around it."""
    def __enter__(self):
        self.begun = time.process_time()
    def __exit__(self, *_):
        print(json.dumps({"join": time.process_time() - self.begun}))


def peer(name, data, out):
    zones, points = os.path.join(data, "zones.parquet"), os.path.join(data, "points.parquet")
    if name == "pycanopy":
        import polars as pl, pycanopy as pc
        frame = pc.SpatialFrame.from_wkb_polygons(pl.read_parquet(zones, columns=["zone", "geometry"]), "geometry")
        table = pl.read_parquet(points)
        with Join():
            joined = frame.lazy().within_join(table, x_col="x", y_col="y")
            joined = joined.collect() if hasattr(joined, "collect") else joined
        joined.select(["id", "zone"]).write_parquet(out, compression="zstd")
    elif name == "geopandas":
        import geopandas as gpd, pandas as pd
        layer, table = gpd.read_parquet(zones), pd.read_parquet(points)
        frame = gpd.GeoDataFrame(table[["id"]], geometry=gpd.points_from_xy(table.x, table.y), crs=layer.crs)
        with Join():
            joined = gpd.sjoin(frame, layer, predicate="within")
        write(out, joined["id"].to_numpy(), joined["zone"].to_numpy())
    elif name == "shapely":
        import pyarrow.parquet as pq, shapely
        table, layer = pq.read_table(points), pq.read_table(zones)
        places = shapely.points(table["x"].to_numpy(), table["y"].to_numpy())
        shapes = shapely.from_wkb(layer["geometry"].to_numpy())
        with Join():
            shapely.prepare(shapes)
            i, k = shapely.STRtree(shapes).query(places)
            held = shapely.contains(shapes[k], places[i])
        write(out, table["id"].to_numpy()[i[held]], k[held])
    elif name == "sedonadb":
        import sedona.db, pyarrow.parquet as pq
        sd = sedona.db.connect()
        sd.read_parquet(zones).to_view("z", overwrite=True)
        sd.read_parquet(points).to_view("p", overwrite=True)
        joined = sd.sql("SELECT p.id, z.zone FROM p JOIN (SELECT zone, ST_SetSRID(geometry, 0) AS g FROM z) z "
                        "ON ST_Contains(z.g, ST_Point(p.x, p.y))").to_arrow_table()
        pq.write_table(joined, out, compression="zstd")
    elif name == "polars_st":
        import polars as pl, polars_st as st
        layer = st.GeoDataFrame(pl.read_parquet(zones, columns=["zone", "geometry"]))
        table = st.GeoDataFrame(pl.read_parquet(points).select("id", geometry=st.point(pl.concat_arr("x", "y"))))
        table.st.sjoin(layer, on="geometry", predicate="intersects").select(["id", "zone"]).write_parquet(out)
    elif name == "duckdb":
        import duckdb
        try:
            from duckdb_extensions import import_extension
            import_extension("spatial")
        except Exception:
            pass
        con = duckdb.connect()
        con.execute("LOAD spatial")
        con.execute("SET preserve_insertion_order=false")
        con.execute(f"COPY (SELECT p.id, z.zone FROM (SELECT id, ST_Point(x, y) AS g FROM read_parquet('{points}')) p "
                    f"JOIN (SELECT zone, geometry AS g FROM read_parquet('{zones}')) z ON ST_Intersects(p.g, z.g)) "
                    f"TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def asked(what, path):
    """Asks in a process of its own: this one stays small, since a child's peak memory begins at its parent's."""
    return json.loads(subprocess.run([sys.executable, __file__, "--ask", what, "--data", path], check=True, capture_output=True).stdout)


def rows_of(path):
    import pyarrow.parquet as pq
    return pq.ParquetFile(path).metadata.num_rows


def answer(out):
    import numpy as np, pyarrow.parquet as pq
    table = pq.read_table(out, columns=["id", "zone"]).drop_null()
    ids, zones = table["id"].to_numpy(), table["zone"].to_numpy().astype(np.int64)
    n = np.bincount(zones)
    sums = np.zeros(len(n), np.int64)
    np.add.at(sums, zones, ids)
    return checksum((z, n[z], sums[z]) for z in range(len(n)))


def timed(command):
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=told, stderr=said)
        _, status, use = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        last = lambda file: file.seek(0) or file.read().decode(errors="replace").strip().splitlines()[-1:]
        told, said = last(told), last(said)
    join = json.loads(told[0]).get("join") if told and told[0].startswith("{") else None
    return process.returncode, use.ru_utime + use.ru_stime, use.ru_maxrss / 1024, join, said


def alone(data):
    """Our join and our build alone, by the bench: CPU seconds of one thread, medians."""
    command = ["cargo", "bench", "--quiet", "--locked", "--profile", "dev", "--bench", "assign", "--", "--join", os.path.abspath(data)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])


def race(data, arpent, rounds, only):
    rows = asked("rows", os.path.join(data, "points.parquet"))
    out, index = os.path.join(data, "out.parquet"), os.path.join(data, "zones.index")
    zones, points = os.path.join(data, "zones.shp"), os.path.join(data, "points.parquet")
    place = [arpent, "assign", "--points", points, "--out", out]
    # Built again when it is of another version.
    subprocess.run(place + ["--zones", zones, "--index", index], check=True, stderr=subprocess.DEVNULL)
    commands = {
        "arpent, index kept": place + ["--index", index],
        "arpent, index built": place + ["--zones", zones],
    }
    for name, module in PEERS.items():
        if module:
            commands[name] = [sys.executable, __file__, "--peer", module, "--data", data, "--out", out]
    times = {name: [] for name in commands if not only or name in only}
    ours = lambda name: name.startswith("arpent")
    sums, skipped = {}, {}
    for number in range(rounds):
        for name in list(times):
            if number and not ours(name) and times[name][0][0] > 2 * min(t[0][0] for n, t in times.items() if not ours(n)):
                continue
            if os.path.exists(out):
                os.remove(out)
            code, cpu, mib, join, said = timed(commands[name])
            if code != 0 or not os.path.exists(out):
                skipped[name] = said[0] if said else f"exit {code}"
                del times[name]
                continue
            times[name].append((cpu, mib, join))
            sums[name] = tuple(asked("answer", out))
    median = lambda values: statistics.median(values) if None not in values else None
    medians = {n: [median(v) for v in zip(*t)] for n, t in times.items()}
    bench = alone(data)
    best = min((m[0] for n, m in medians.items() if not ours(n)), default=None)
    best_join = min((m[2] for n, m in medians.items() if m[2] is not None), default=None)
    print(f"\n{rows:,} points of {data}, medians of {rounds} rounds, from files to a file")
    print("| | CPU s | million points a CPU second | best peer's CPU, times ours | peak MiB | rounds | placed | checksum |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (cpu, mib, _) in sorted(medians.items(), key=lambda m: m[1][0]):
        ratio = f"{best / cpu:.1f}" if best and ours(name) else ""
        placed, total = sums[name]
        n = len(times[name])
        print(f"| {name} | {cpu:.2f} | {rows / cpu / 1e6:.2f} | {ratio} | {mib:.0f} | {n} | {placed:,} | {total} |")
    print("\nThe join alone")
    print("| | CPU s | million points a CPU second | best peer's CPU, times ours |")
    print("|---|---|---|---|")
    joins = {name: m[2] for name, m in medians.items() if m[2] is not None} | {"arpent, one thread": bench["join"]}
    for name, cpu in sorted(joins.items(), key=lambda j: j[1]):
        ratio = f"{best_join / cpu:.1f}" if best_join and ours(name) else ""
        print(f"| {name} | {cpu:.3f} | {rows / cpu / 1e6:.2f} | {ratio} |")
    print(f"\nThe best of the rounds of arpent's join: {bench['join_best']:.3f} s, "
          f"{rows / bench['join_best'] / 1e6:.1f} million points a CPU second. "
          f"A loop of plain sums took {bench['loop_best'] * 1e3:.0f} to {bench['loop_worst'] * 1e3:.0f} ms meanwhile.")
    print(f"\nIndex: {bench['build']:.3f} s of wall to build on all cores, {bench['index_mib']:.1f} MiB, "
          f"{bench['build_mib']:.0f} MiB at the height of the build beside the zoning")
    sums["the join alone"] = bench["placed"], bench["checksum"]
    for name, why in skipped.items():
        print(f"skipped: {name} ({why[:120]})")
    if len(set(sums.values())) != 1:
        sys.exit("the answers differ")
    print("every answer is the same")


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--data", required=True)
    a.add_argument("--arpent", default="target/debug/arpent")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--only", nargs="*", default=[])
    a.add_argument("--peer")
    a.add_argument("--ask", choices=["rows", "answer"])
    a.add_argument("--out")
    o = a.parse_args()
    if o.ask:
        return print(json.dumps({"rows": rows_of, "answer": answer}[o.ask](o.data)))
    if o.peer:
        return peer(o.peer, o.data, o.out)
    with open("/proc/cpuinfo") as f:
        model = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), "unknown")
    print(f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}")
    race(o.data, o.arpent, o.rounds, o.only)


if __name__ == "__main__":
    main()
