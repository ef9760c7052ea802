"""What serving costs, beside nginx with the same bytes as a file and beside pygeoapi with the same layer.

    python3 benches/serve/load.py --arpent BINARY --data DIRECTORY [--seconds 5] [--rounds 3] [--million] [--pygeoapi BIN]

Everything is asked over loopback by wrk, in turn, so that what else the machine does weighs on all alike. Besides
requests a second there are requests a CPU second of the server (user and system, all its processes), which say more on
a machine that others share. Both servers write a line of log for each request. Medians of the rounds are told.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ITEMS = "/collections/secteurs/items"
# wrk takes one of two cores; more connections than a browser opens, fewer than fill any queue.
CONNECTIONS = 32
# As many as the workers of pygeoapi: more would only wait for them.
PEER_CONNECTIONS = 4
MILLION = 1_000_000
RELEASES = 50


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    """A process and those it started."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    for child in children.read_text().split() if children.exists() else []:
        found += tree(int(child))
    return found


def cpu_seconds(pid):
    total = 0
    for p in tree(pid):
        fields = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{p}/status").read_text())[1]) for p in tree(pid)) / 1024


def get(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()


def wait_for(url, process, seconds=60):
    end = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            sys.exit(f"load: {process.args[0]} stopped with code {process.returncode}")
        try:
            return get(url)
        except OSError:
            if time.monotonic() > end:
                sys.exit(f"load: found no answer at {url} after {seconds} s")
            time.sleep(0.05)


def wrk(url, seconds, headers, pid, connections=CONNECTIONS):
    """Requests a second, requests a CPU second, and answers that were no success."""
    before = cpu_seconds(pid)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    used = max(cpu_seconds(pid) - before, 0.01)
    requests = int(re.search(r"(\d+) requests in", said)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return rate, requests / used, int(wrong[1]) if wrong else 0, requests


def start_arpent(binary, data, folder):
    port = free_port()
    log = open(folder / "arpent.log", "w")
    begun = time.monotonic()
    process = subprocess.Popen(
        [binary, "serve", "--data", data, "--listen", f"127.0.0.1:{port}", "--no-staff"], stderr=log, stdout=log
    )
    wait_for(f"http://127.0.0.1:{port}/readyz", process)
    return process, f"http://127.0.0.1:{port}", time.monotonic() - begun


def publish_demo(binary, data):
    """The demo territory, published in an empty directory."""
    port = free_port()
    process = subprocess.Popen([binary, "demo", "--data", data, "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    # A first publication takes seconds with an optimised build, and minutes on a machine that is busy.
    wait_for(f"http://127.0.0.1:{port}/readyz", process, 1800)
    process.send_signal(signal.SIGTERM)
    process.wait()


def with_earlier(data, releases, folder):
    """A copy of a store whose release has so many others before it, alike but for their names."""
    copy = folder / "many"
    shutil.copytree(data, copy)
    with sqlite3.connect(copy / "arpent.db") as store:
        name, created, content = store.execute("SELECT id, created, content FROM releases").fetchone()
        at, author, hash_of_line = store.execute("SELECT at, author, hash FROM ledger LIMIT 1").fetchone()
        for i in range(releases - 1):
            other = f"{i + 1:016x}"
            # Sealed bytes end with the digest of those before it.
            sealed = content[:-32].replace(name.encode(), other.encode())
            sealed += hashlib.sha256(sealed).digest()
            digest = hashlib.sha256(sealed).hexdigest()
            store.execute("INSERT INTO releases (id, created, digest, content) VALUES (?, ?, ?, ?)", (other, created, digest, sealed))
            line = (at, author, "release.current", other, digest, hash_of_line)
            store.execute("INSERT INTO ledger (at, author, act, subject, digest, hash) VALUES (?, ?, ?, ?, ?, ?)", line)
    store.close()
    return copy


def start_nginx(bodies, folder):
    port = free_port()
    root = folder / "nginx"
    root.mkdir()
    root.chmod(0o755)
    for name, (body, _) in bodies.items():
        (root / name).write_bytes(body)
    places = "\n".join(
        f"location = /{name} {{ default_type application/geo+json; "
        + (f"add_header Content-Encoding {coding}; " if coding else "")
        + "add_header Cache-Control 'public, max-age=300'; add_header Vary 'Accept, Accept-Encoding'; }"
        for name, (_, coding) in bodies.items()
    )
    # As Debian sets it up (sendfile, tcp_nopush), and with a cache of open files besides.
    (folder / "nginx.conf").write_text(
        f"""worker_processes auto; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.error;
events {{ worker_connections 768; }}
http {{ sendfile on; tcp_nopush on; open_file_cache max=100; keepalive_requests 1000000; access_log {folder}/nginx.log;
client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
server {{ listen 127.0.0.1:{port}; root {root}; {places} }} }}"""
    )
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.error")])
    wait_for(f"http://127.0.0.1:{port}/{next(iter(bodies))}", process)
    return process, f"http://127.0.0.1:{port}"


def start_pygeoapi(folder_of_programs, layer, folder):
    """The same layer, from a GeoPackage, as pygeoapi serves it with four workers of gunicorn."""
    port = free_port()
    # They are started from another folder.
    programs = pathlib.Path(folder_of_programs).absolute()
    (folder / "layer.geojson").write_bytes(layer)
    config = {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port}, "url": f"http://127.0.0.1:{port}",
            "mimetype": "application/json; charset=UTF-8", "encoding": "utf-8", "gzip": False, "languages": ["en-US"],
            "limits": {"default_items": 1000, "max_items": 10000}, "map": {"url": "", "attribution": ""},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "t", "description": "d", "keywords": ["k"], "keywords_type": "theme",
                "terms_of_service": "https://example.org", "url": "https://example.org",
            },
            "license": {"name": "l", "url": "https://example.org"},
            "provider": {"name": "p", "url": "https://example.org"},
            "contact": {"name": "c", "position": "p", "email": "a@example.org"},
        },
        "resources": {
            "secteurs": {
                "type": "collection", "title": "t", "description": "d", "keywords": ["k"], "links": [],
                "extents": {"spatial": {"bbox": [4, 47, 6, 48], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}},
                "providers": [
                    {"type": "feature", "name": "GeoJSON", "data": str(folder / "layer.geojson"), "id_field": "code"}
                ],
            }
        },
    }
    (folder / "pygeoapi.yml").write_text(json.dumps(config))
    environment = dict(
        os.environ, PYGEOAPI_CONFIG=str(folder / "pygeoapi.yml"), PYGEOAPI_OPENAPI=str(folder / "openapi.yml")
    )
    subprocess.run(
        [programs / "pygeoapi", "openapi", "generate", str(folder / "pygeoapi.yml"), "--output-file", str(folder / "openapi.yml")],
        check=True, env=environment, capture_output=True,
    )
    process = subprocess.Popen(
        [str(programs / "gunicorn"), "-w", "4", "-b", f"127.0.0.1:{port}", "--log-level", "error", "pygeoapi.flask_app:APP"],
        env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=open(folder / "pygeoapi.log", "w"),
    )
    wait_for(f"http://127.0.0.1:{port}/collections/secteurs/items?limit=1&f=json", process)
    return process, f"http://127.0.0.1:{port}"


def race(name, racers, seconds, rounds, connections=CONNECTIONS):
    """Racers in turn; a row for each, with its ratio to the last one."""
    told = {racer: [] for racer in racers}
    for _ in range(rounds):
        for racer, (url, headers, pid) in racers.items():
            rate, by_cpu, wrong, _ = wrk(url, seconds, headers, pid, connections)
            if wrong or not rate:
                sys.exit(f"load: {racer}, {name}: found {wrong} answers that were neither 2xx nor 3xx, and {rate} a second")
            told[racer].append((rate, by_cpu))
    middle = {r: [statistics.median(column) for column in zip(*rows)] for r, rows in told.items()}
    base = middle[list(racers)[-1]]
    for racer, (rate, by_cpu) in middle.items():
        print(f"| {name} | {racer} | {rate:,.0f} | {by_cpu:,.0f} | {rate / base[0]:.2f} | {by_cpu / base[1]:.2f} |", flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--arpent", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--million", action="store_true", help="a million requests, and the memory before and after")
    options.add_argument("--pygeoapi", help="folder of the programs of pygeoapi and gunicorn")
    options = options.parse_args()
    for tool in ["wrk", "nginx"]:
        if not shutil.which(tool):
            sys.exit(f"load: found no {tool}, expected it (apt-get install nginx-light wrk)")
    started = []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="arpent-load-"))
    folder.chmod(0o755)
    try:
        if not pathlib.Path(options.data, "arpent.db").exists():
            publish_demo(options.arpent, options.data)
        arpent, ours, cold = start_arpent(options.arpent, options.data, folder)
        started.append(arpent)
        print(f"cold start: ready after {cold * 1000:.0f} ms", flush=True)
        many, _, cold = start_arpent(options.arpent, with_earlier(options.data, RELEASES, folder), folder)
        print(f"cold start with {RELEASES} releases: ready after {cold * 1000:.0f} ms", flush=True)
        many.send_signal(signal.SIGTERM)
        many.wait()
        plain_head, plain = get(ours + ITEMS)
        gzip_head, packed = get(ours + ITEMS, {"Accept-Encoding": "gzip"})
        nginx, theirs = start_nginx({"plain.geojson": (plain, None), "gzip.geojson": (packed, "gzip")}, folder)
        started.append(nginx)
        assert get(f"{theirs}/plain.geojson")[1] == plain
        their_tag = get(f"{theirs}/gzip.geojson")[0]["ETag"]
        print(f"the 48 sectors with figures: {len(plain):,} bytes, {len(packed):,} in gzip\n")
        print("| what | who | requests/s | requests/CPU s | ratio | ratio by CPU |\n|---|---|---|---|---|---|")
        gzip = {"Accept-Encoding": "gzip"}
        race("plain", {
            "arpent": (ours + ITEMS, {}, arpent.pid), "nginx": (f"{theirs}/plain.geojson", {}, nginx.pid),
        }, options.seconds, options.rounds)
        race("gzip", {
            "arpent": (ours + ITEMS, gzip, arpent.pid), "nginx": (f"{theirs}/gzip.geojson", gzip, nginx.pid),
        }, options.seconds, options.rounds)
        race("304", {
            "arpent": (ours + ITEMS, gzip | {"If-None-Match": gzip_head["ETag"]}, arpent.pid),
            "nginx": (f"{theirs}/gzip.geojson", gzip | {"If-None-Match": their_tag}, nginx.pid),
        }, options.seconds, options.rounds)
        if options.pygeoapi:
            peer, url = start_pygeoapi(options.pygeoapi, plain, folder)
            started.append(peer)
            race("48 sectors", {
                "arpent": (ours + ITEMS, {}, arpent.pid),
                "pygeoapi": (f"{url}/collections/secteurs/items?f=json&limit=1000", {}, peer.pid),
            }, 4 * options.seconds, 1, PEER_CONNECTIONS)
        if options.million:
            before, asked = resident_mib(arpent.pid), 0
            while asked < MILLION:
                asked += wrk(ours + ITEMS, options.seconds, gzip | {"If-None-Match": gzip_head["ETag"]}, arpent.pid)[3]
                asked += wrk(ours + ITEMS, options.seconds, gzip, arpent.pid)[3]
            print(f"\n{asked:,} requests: {before:.1f} MiB before, {resident_mib(arpent.pid):.1f} MiB after")
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
