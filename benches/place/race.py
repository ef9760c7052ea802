#!/usr/bin/env python3
"""arpent and its peers place the same points in the same zones, from files to files, in turn.

Each peer is a process of its own; its time is the CPU time (user and system) of that process, imports included, and the
answers are compared by one checksum of (zone, count, sum of ids). The median of the rounds is shown. A peer that is not
installed is skipped with a word. Zones and points come from ../shared/peers/join/gen.py; see docs/PERFORMANCE.md.
"""
import argparse, json, os, platform, resource, statistics, subprocess, sys, time

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


def peer(name, data, out):
    zones, points = os.path.join(data, "zones.parquet"), os.path.join(data, "points.parquet")
    if name == "pycanopy":
        import polars as pl, pycanopy as pc
        frame = pc.SpatialFrame.from_wkb_polygons(pl.read_parquet(zones, columns=["zone", "geometry"]), "geometry")
        joined = frame.lazy().within_join(pl.read_parquet(points), x_col="x", y_col="y")
        joined = joined.collect() if hasattr(joined, "collect") else joined
        joined.select(["id", "zone"]).write_parquet(out, compression="zstd")
    elif name == "geopandas":
        import geopandas as gpd, pandas as pd
        layer, table = gpd.read_parquet(zones), pd.read_parquet(points)
        frame = gpd.GeoDataFrame(table[["id"]], geometry=gpd.points_from_xy(table.x, table.y), crs=layer.crs)
        joined = gpd.sjoin(frame, layer, predicate="within")
        write(out, joined["id"].to_numpy(), joined["zone"].to_numpy())
    elif name == "shapely":
        import pyarrow.parquet as pq, shapely
        table, layer = pq.read_table(points), pq.read_table(zones)
        places = shapely.points(table["x"].to_numpy(), table["y"].to_numpy())
        shapes = shapely.from_wkb(layer["geometry"].to_numpy())
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
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode(errors="replace")
    _, status, use = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    return process.returncode, use.ru_utime + use.ru_stime, wall, use.ru_maxrss / 1024, said.strip().splitlines()[-1:]


def part(data, limit):
    """The first points of some work, as work of its own."""
    import pyarrow.parquet as pq
    folder = f"{data}-{limit}"
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(data):
        if name.startswith("zones.") and not os.path.exists(os.path.join(folder, name)):
            os.symlink(os.path.abspath(os.path.join(data, name)), os.path.join(folder, name))
    target = os.path.join(folder, "points.parquet")
    if not os.path.exists(target):
        pq.write_table(pq.read_table(os.path.join(data, "points.parquet")).slice(0, limit), target, row_group_size=131072)
    return folder


def race(data, arpent, rounds, only):
    rows = asked("rows", os.path.join(data, "points.parquet"))
    out, index = os.path.join(data, "out.parquet"), os.path.join(data, "zones.index")
    zones, points = os.path.join(data, "zones.shp"), os.path.join(data, "points.parquet")
    place = [arpent, "assign", "--points", points, "--out", out]
    if not os.path.exists(index):
        subprocess.run(place + ["--zones", zones, "--index", index], check=True, stderr=subprocess.DEVNULL)
    commands = {
        "arpent, index kept": place + ["--index", index],
        "arpent, index built": place + ["--zones", zones],
    }
    for name, module in PEERS.items():
        if module:
            commands[name] = [sys.executable, __file__, "--peer", module, "--data", data, "--out", out]
    times = {name: [] for name in commands if not only or name in only}
    sums, skipped = {}, {}
    for _ in range(rounds):
        for name in list(times):
            if os.path.exists(out):
                os.remove(out)
            code, cpu, wall, mib, said = timed(commands[name])
            if code != 0 or not os.path.exists(out):
                skipped[name] = said[0] if said else f"exit {code}"
                del times[name]
                continue
            times[name].append((cpu, wall, mib))
            sums[name] = tuple(asked("answer", out))
    medians = {n: [statistics.median(v) for v in zip(*t)] for n, t in times.items()}
    best = min((m[0] for n, m in medians.items() if not n.startswith("arpent")), default=None)
    print(f"\n{rows:,} points of {data}, medians of {rounds} rounds, from files to a file")
    print("| | CPU s | million points a CPU second | best peer's CPU, times ours | peak MiB | placed | checksum |")
    print("|---|---|---|---|---|---|---|")
    for name, (cpu, _, mib) in sorted(medians.items(), key=lambda m: m[1][0]):
        ratio = f"{best / cpu:.1f}" if best and name.startswith("arpent") else ""
        placed, total = sums[name]
        print(f"| {name} | {cpu:.2f} | {rows / cpu / 1e6:.2f} | {ratio} | {mib:.0f} | {placed:,} | {total} |")
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
    a.add_argument("--limit", type=int, default=0, help="the first N points only")
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
    race(part(o.data, o.limit) if o.limit else o.data, o.arpent, o.rounds, o.only)


if __name__ == "__main__":
    main()
