# arpent: `make run` and `make test` do all the set-up on a fresh Debian 12 with Rust and make.
# One build profile (dev, optimised: see Cargo.toml) serves run, test and bench, so that C++ compiles once.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help run test test-clients setup packages lint doc bench load fuzz fuzz-seeds race race-secrecy data clean-data

# A fresh Rust may not be on the path of this shell yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

DATA = var/demo
LISTEN = 127.0.0.1:8080

help: ## prints this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## fills an empty data directory with the demo territory and serves it
	@cargo run --locked -- demo --data $(DATA) --listen $(LISTEN)

test: setup ## passes every test; those that need ../shared say so when it is missing
	@cargo test --locked --workspace
	@tests/clients/run

test-clients: setup ## asks with every client, those too that bring hundreds of packages with them
	@cargo build --locked
	@tests/clients/run --heavy

setup: packages ## installs what is missing: Debian packages, then crates
	@cargo fetch --locked

# cmake, g++ and sqlite3 build PROJ and its tables; libclang reads the headers of HiGHS; the tests ask with curl, and
# with clients in Python, which stand apart from the system's.
packages:
	@command -v cargo >/dev/null || { \
	  echo "setup: found no cargo, expected Rust 1.95 or later (https://rustup.rs)" >&2; exit 2; }; \
	missing=""; \
	for tool in cmake g++ pkg-config sqlite3 curl; do \
	  command -v "$$tool" >/dev/null || missing="$$missing $$tool"; \
	done; \
	if [ -z "$${LIBCLANG_PATH:-}" ]; then \
	  found=no; \
	  for library in /usr/lib/llvm-*/lib/libclang.so /usr/lib/*/libclang.so /usr/lib64/libclang.so; do \
	    [ ! -e "$$library" ] || found=yes; \
	  done; \
	  [ "$$found" = yes ] || missing="$$missing libclang-dev"; \
	fi; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
	  echo "setup: missing$$missing, and there is no apt-get: install them by your system's own means" >&2; exit 2; \
	fi; \
	root=""; \
	if [ "$$(id -u)" -ne 0 ]; then \
	  command -v sudo >/dev/null || { echo "setup: missing$$missing: install them as root, or install sudo" >&2; exit 2; }; \
	  root=sudo; \
	fi; \
	echo "setup: installing$$missing with apt-get"; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null && \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ca-certificates $$missing </dev/null

lint: setup ## checks the format, and that clippy has nothing to say
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings

doc: setup ## builds the reference of the library
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

bench: setup ## measures, in the same profile as the rest
	@cargo bench --locked --profile dev

# Peers that a machine cannot have are left out, with a word. LOAD= passes other arguments of benches/serve/load.py.
LOAD_DIR = target/load
LOAD = --million
load: setup ## asks for the 48 sectors by wrk, beside nginx with the same bytes and beside pygeoapi with the same layer
	@set -e; cargo build --locked; mkdir -p $(LOAD_DIR); \
	if ! command -v wrk >/dev/null || ! command -v nginx >/dev/null; then \
	  echo "load: found no wrk or no nginx, expected both (apt-get install wrk nginx-light)" >&2; exit 2; \
	fi; \
	peer=$(LOAD_DIR)/venv/bin; \
	there() { "$$peer/pygeoapi" --version && "$$peer/gunicorn" --version; }; \
	if ! there >/dev/null 2>&1; then \
	  python3 -m venv --clear $(LOAD_DIR)/venv; \
	  "$$peer/python" -m pip install -q --disable-pip-version-check pygeoapi gunicorn && there >/dev/null || { \
	    echo "skipped: pygeoapi does not install"; peer=; }; \
	fi; \
	python3 benches/serve/load.py --arpent target/debug/arpent --data $(LOAD_DIR)/demo \
	  $${peer:+--pygeoapi "$$peer"} $(LOAD)

MINUTES = 3
fuzz: setup ## damages small files for MINUTES=3 minutes, and hands them to every reader
	@ARPENT_FUZZ_MINUTES=$(MINUTES) cargo test --locked --test it -- --ignored --exact --nocapture \
	  mutants::no_mutant_makes_a_reader_panic_for_minutes

# What `cargo +nightly fuzz run NAME` begins with; cargo-fuzz and a nightly Rust are for who runs it to install.
fuzz-seeds: setup ## writes the same small files under fuzz/corpus
	@cargo test --locked --test it -- --ignored --exact mutants::each_target_gets_the_samples_of_its_kind

# The race of docs/SECRECY.md. Daily: make race-secrecy SHAPES=A SIZES=3000 SEEDS=7 PEERS=
# With DOC=docs/SECRECY.md the table goes there too; RACE= passes other arguments of benches/race/race.py.
SHAPES = A,B,L
SIZES = 3000,12000,40000
SEEDS = 7,11,13,17,19
PEERS = tauargus:MOD,tauargus:OPT,secret_stat,gauss,gauss:interval

race-secrecy: setup target/race/venv/ready ## races arpent against its peers on the same microdata, under one judge
	@cargo build --locked
	@cd benches/race && ../../target/race/venv/bin/python test_judge.py
	@[ ! -e ../shared/peers/sdc/gen_micro.py ] || target/race/venv/bin/python benches/race/exchange.py \
	  target/debug/arpent ../shared/peers/sdc/gen_micro.py target/race/exchange
	@target/race/venv/bin/python benches/race/race.py --shapes "$(SHAPES)" --sizes "$(SIZES)" --seeds "$(SEEDS)" \
	  --peers "$(PEERS)" $(if $(DOC),--doc "$(DOC)") $(RACE)

target/race/venv/ready: benches/race/requirements.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "race-secrecy: found no Python 3.11 or later, expected one" >&2; exit 2; }
	@python3 -m venv target/race/venv || { \
	  echo "race-secrecy: found no venv in Python, expected the package python3-venv" >&2; exit 2; }
	@target/race/venv/bin/pip install --quiet --disable-pip-version-check -r benches/race/requirements.txt
	@touch $@

# Peers that a machine cannot have are left out, with a word.
RACE_DIR = target/race
GEN = ../shared/peers/join/gen.py
race: setup ## places the same points with arpent and with each peer that installs, and compares
	@[ -e $(GEN) ] || { echo "skipped: no ../shared"; exit 0; }; \
	set -e; mkdir -p $(RACE_DIR); cargo build --locked; \
	if [ ! -x $(RACE_DIR)/place/bin/python ]; then \
	  python3 -m venv $(RACE_DIR)/place; \
	  $(RACE_DIR)/place/bin/pip install -q numpy scipy pyarrow pandas geopandas shapely pyogrio; \
	  for peer in "polars pycanopy" "sedonadb apache-sedona[db]" "duckdb duckdb-extensions duckdb-extension-spatial" polars-st; do \
	    $(RACE_DIR)/place/bin/pip install -q $$peer || echo "skipped: $$peer does not install"; \
	  done; \
	fi; \
	[ -e $(RACE_DIR)/a/meta.json ] || $(RACE_DIR)/place/bin/python $(GEN) --out $(RACE_DIR)/a; \
	[ -e $(RACE_DIR)/b/meta.json ] || $(RACE_DIR)/place/bin/python $(GEN) --out $(RACE_DIR)/b --zones 49000 --points 5000000 --size-km 1000 \
	  --origin 100000 6100000 --level 4 --cities 1500 --seed-share 0.6 --point-share 0.75; \
	$(RACE_DIR)/place/bin/python benches/place/race.py --data $(RACE_DIR)/a; \
	$(RACE_DIR)/place/bin/python benches/place/race.py --data $(RACE_DIR)/b

data: setup ## makes the demo territory of data/demo again, byte for byte
	@cargo run --locked --example territory -- data/demo

clean-data: ## removes the data of `make run`
	@rm -rf "$(DATA)"
