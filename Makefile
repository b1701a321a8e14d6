# The commands that people type. `make help` lists them.
#
# What cargo builds goes to $(CARGO_TARGET_DIR), outside the checkout. scripts/setup.sh installs what is
# missing and writes what the build has to know to $(CAIRN_CACHE)/env, which every recipe reads (bash reads
# the file named by BASH_ENV before it runs a command).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

export CAIRN_CACHE ?= $(HOME)/.cache/cairn
export CARGO_TARGET_DIR ?= $(CAIRN_CACHE)/target
# Where the runtime's WASM builder finds Cargo.lock, since the target directory is elsewhere.
export WASM_BUILD_WORKSPACE_HINT := $(CURDIR)
export BASH_ENV := $(CAIRN_CACHE)/env

# What is passed to `cairn devnet`, for example: make devnet ARGS="--rounds 3 --miners 2"
ARGS ?=

.PHONY: wallets authorities load release-state lab lab-churn lab-joining lab-recovery lab-soak promtool units release reproducible portable deb try-release try-containers help setup cuda-tools build build-times devnet sim attacks evidence churn utilisation test test-iroh clients dashboard-test lint docs deny advisories bench compare bench-wasm bench-peers study venv eval test-peers weights chain-specs zombienet engine-torch test-engine-torch

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: compilers, protoc, Rust, the WASM target
	@scripts/setup.sh

build: setup ## build the node and the worker
	cargo build --locked --bins

build-times: setup ## build from nothing in a fresh directory and say which crates took longest (half an hour)
	@scripts/build-times.sh

devnet: build ## a whole network on this machine trains a small model (ARGS="--rounds 3 …")
	$(CARGO_TARGET_DIR)/debug/cairn devnet $(ARGS)

lab: build ## real workers at the ends of bad lines, in network namespaces; needs root (ARGS="loss nat")
	SKIP_WASM_BUILD=1 cargo build --locked -p cairn-p2p --features testing --example relay
	SKIP_WASM_BUILD=1 cargo build --locked -p cairn-store --example bucket
	tests/lab/lab.py --bin $(CARGO_TARGET_DIR)/debug $(ARGS)

lab-churn: build ## miners that are killed, come back and join, on good lines and bad ones; needs root (ARGS="calm --churn 0,30")
	tests/lab/churn.py --bin $(CARGO_TARGET_DIR)/debug $(ARGS)

lab-joining: setup ## a checkpoint of 1 GiB from several sources, beside a download from one; needs root (ARGS="2 3")
	SKIP_WASM_BUILD=1 cargo build --locked -p cairn-store --example measure
	tests/lab/joining.py --measure $(CARGO_TARGET_DIR)/debug/examples/measure $(ARGS)

lab-recovery: build ## seconds from the kill of a miner until it trains again; needs root (ARGS="--kills 3")
	tests/lab/recovery.py --bin $(CARGO_TARGET_DIR)/debug $(ARGS)

lab-soak: build ## eight workers for an hour, killed at random; needs root (ARGS="--minutes 10 --seed 7")
	tests/lab/soak.py --bin $(CARGO_TARGET_DIR)/debug $(ARGS)

lint: setup ## format and clippy, with the features that only benchmarks and try-runtime turn on
	cargo fmt --all --check
	SKIP_WASM_BUILD=1 cargo clippy --locked --workspace --all-targets \
		--features cairn-bencher/runtime-benchmarks,cairn-runtime/try-runtime -- -D warnings

# The features of `lint`, so that what they check of the dependencies is shared.
docs: setup ## what the documentation comments say and link to: warnings are errors
	SKIP_WASM_BUILD=1 RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps \
		--features cairn-bencher/runtime-benchmarks,cairn-runtime/try-runtime

deny: setup ## dependencies against deny.toml: licences, bans, sources; installs cargo-deny (minutes, once)
	@scripts/deny.sh

advisories: setup ## the same, and known faults of dependencies, from GitHub
	@scripts/deny.sh --advisories

cuda-tools: ## NVIDIA's run-time compiler, which the tests of the CUDA backend need; no card is needed (CARD=1: cuBLAS, too)
	@scripts/cuda-tools.sh $(if $(CARD),--card)

test: lint docs build cuda-tools ## everything that CI runs; make deny and promtool only where the tools are installed
	@scripts/deny.sh --if-installed
	@scripts/units.sh
	@scripts/promtool.sh --if-installed
	cargo test --locked --workspace
	cargo test --locked -p cairn-p2p --features testing
	node --test tests/clients/lib/judge.test.mjs scripts/evidence/evidence.test.mjs
	CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node node tests/clients/run.mjs polkadot-js smoldot

test-iroh: setup ## blobs from peers, which need iroh: compiles iroh first (minutes)
	SKIP_WASM_BUILD=1 cargo clippy --locked -p cairn-p2p --features testing --all-targets -- -D warnings
	cargo test --locked -p cairn-p2p --features testing

clients: build ## nine stock clients, unmodified, against a dev node; makes the table in docs/clients.md (ARGS="papi dedot")
	cargo build --locked --workspace --example stock_subxt
	CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node \
		CAIRN_SUBXT_BIN=$(CARGO_TARGET_DIR)/debug/examples/stock_subxt \
		node tests/clients/run.mjs $(ARGS)

wallets: build ## stock wallets open the key files that `cairn wallet export` writes; from npm and PyPI (a minute)
	tests/wallets/run.sh $(CARGO_TARGET_DIR)/debug/cairn

load: build ## what one node serves to ten thousand subscribers, and what it refuses and how (ARGS=60: seconds for each part)
	CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node CAIRN_BIN=$(CARGO_TARGET_DIR)/debug/cairn \
		node tests/load/run.mjs $(ARGS)

# Not part of `test`: the browser that it installs is larger than everything else together.
dashboard-test: build ## the page of `cairn dashboard` in a headless browser (ARGS=--pictures: docs/dashboard/*.png anew)
	@scripts/browser.sh
	@scripts/light-client.sh
	CAIRN_BIN=$(CARGO_TARGET_DIR)/debug/cairn CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node \
		node tests/dashboard/run.mjs $(ARGS)

sim: setup ## a whole network in one thread: runtime and machines under a seeded clock (ARGS="--miners 8 --storm …")
	SKIP_WASM_BUILD=1 cargo build --locked --workspace --bin cairn-sim
	$(CARGO_TARGET_DIR)/debug/cairn-sim run $(ARGS)

attacks: setup ## run every attack in the simulator and write docs/security.md (ARGS="--rounds 24 …")
	SKIP_WASM_BUILD=1 cargo build --locked --workspace --bin cairn-sim
	$(CARGO_TARGET_DIR)/debug/cairn-sim attacks --seed 7,8,9,10,11,12 --page docs/security.md $(ARGS)

evidence: build ## what devnets take of honest members, and what miners prove: docs/evidence.md (ARGS="--rounds 8 …")
	CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node CAIRN_BIN=$(CARGO_TARGET_DIR)/debug/cairn \
		node scripts/devnet-evidence.mjs --page docs/evidence.md $(ARGS)

churn: setup ## what becomes of work where miners are killed and join, simulated: docs/churn.md (ARGS="calm --churn 30 …")
	SKIP_WASM_BUILD=1 cargo build --locked --workspace --bin cairn-sim
	$(CARGO_TARGET_DIR)/debug/cairn-sim churn --page docs/churn.md $(ARGS)

utilisation: setup ## how much of the time contributors train at 72B, simulated: docs/utilisation.md (ARGS="--rounds 4 …")
	SKIP_WASM_BUILD=1 cargo build --locked --workspace --bin cairn-sim
	$(CARGO_TARGET_DIR)/debug/cairn-sim utilisation --page docs/utilisation.md $(ARGS)

bench: setup ## benchmarks
	@if grep -q '^\[\[bench\]\]' $$(git ls-files '*Cargo.toml'); then \
		cargo bench --locked --workspace --benches; \
	else \
		echo "no benchmarks yet"; \
	fi

compare: setup ## this checkout beside another commit, measured in turn (REV=HEAD~1 PARTS="codec score train memory devnet")
	@scripts/compare.sh $(REV) $(PARTS)

bench-wasm: setup ## what an epoch of Yuma costs as WASM
	env $${WASM_BUILD_TOOLCHAIN:+RUSTUP_TOOLCHAIN=$$WASM_BUILD_TOOLCHAIN} \
		cargo build --locked --release --manifest-path primitives/yuma/wasm-bench/Cargo.toml \
		--package yuma-wasm-guest --target wasm32v1-none
	cargo run --locked --manifest-path primitives/yuma/wasm-bench/Cargo.toml -- \
		$(CARGO_TARGET_DIR)/wasm32v1-none/release/yuma_wasm_guest.wasm

study: setup ## what sparse training costs in loss: goes on where it stopped, then draws (hours; ARGS="--jobs 16 --most 10")
	cargo build --locked --workspace --bin cairn-study
	$(CARGO_TARGET_DIR)/debug/cairn-study run $(ARGS)
	$(CARGO_TARGET_DIR)/debug/cairn-study plot

venv: setup ## PyTorch, transformers, JAX and lm-evaluation-harness in $CAIRN_CACHE/venv (several GB), to measure and check against
	scripts/peers/venv.sh

bench-peers: build venv ## training steps, contributions and generation beside PyTorch's, in turn (ARGS="--configs 10m --threads 1 …")
	$(CAIRN_CACHE)/venv/bin/python scripts/peers/train.py --cairn $(CARGO_TARGET_DIR)/debug/cairn $(ARGS)
	$(CAIRN_CACHE)/venv/bin/python scripts/peers/codec.py --cairn $(CARGO_TARGET_DIR)/debug/cairn
	$(CAIRN_CACHE)/venv/bin/python scripts/peers/generate.py --cairn $(CARGO_TARGET_DIR)/debug/cairn

eval: build venv ## an exported model by lm-evaluation-harness (ARGS="--model DIR --out DIR")
	$(CAIRN_CACHE)/venv/bin/python scripts/eval/run.py --cairn $(CARGO_TARGET_DIR)/debug/cairn $(ARGS)

test-peers: build venv ## what is exported, loaded by transformers (make test does it where the venv is there)
	CAIRN_REQUIRE_VENV=1 cargo test --locked -p cairn-worker --test hugging_face

engine-torch: setup ## PyTorch FSDP2 for `cairn mine --engine torch` in $CAIRN_CACHE/engine-torch (5.4 GB)
	@scripts/engine-torch.sh

test-engine-torch: engine-torch ## that engine at 1, 2 and 3 processes beside the CPU's, and what it does when it breaks
	$(CAIRN_CACHE)/engine-torch/bin/python offchain-worker/engines/torch/tests/test_parts.py
	cargo test --locked -p cairn-engine-process --test process -- --include-ignored --test-threads 1
	cargo test --locked -p cairn-worker --lib roles::tests::engine -- --include-ignored

weights: setup ## measure what calls and hooks cost and write pallets/*/src/weights.rs (ARGS="--pallet pallet_stake …")
	cargo build --locked --workspace --bin cairn-bencher --features cairn-bencher/runtime-benchmarks
	touch runtime/build.rs # its WASM now has benchmarks: the next build of the node makes it again
	$(CARGO_TARGET_DIR)/debug/cairn-bencher $(ARGS)
	cargo fmt --all

chain-specs: build ## write chain-specs/dev.json and chain-specs/local.json, with this checkout's runtime
	for name in dev local; do \
		$(CARGO_TARGET_DIR)/debug/cairn-node export-chain-spec --chain $$name --output chain-specs/$$name.json; \
	done

zombienet: build ## four authorities: one stops and comes back; one is replaced, and the runtime changed, while workers go on
	PATH="$(CARGO_TARGET_DIR)/debug:$$PATH" zombienet/run.sh

authorities: build ## four authorities: two stop and come back, and two are lost, which stake mends; needs npm
	CAIRN_BIN=$(CARGO_TARGET_DIR)/debug/cairn CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node \
		node tests/authorities/run.mjs

promtool: ## what a worker and a node show, alert rules and dashboards, by Prometheus' own tool
	@scripts/promtool.sh

units: ## the systemd units, by systemd's own tool
	@scripts/units.sh

release: setup ## node and worker by the release profile, packages and checksums in $(CAIRN_CACHE)/release (an hour)
	@scripts/release.sh $(CAIRN_CACHE)/release

release-state: build ## the state of a network that this checkout's programs make, for the next release's test; needs zstd (five minutes)
	CAIRN_NODE_BIN=$(CARGO_TARGET_DIR)/debug/cairn-node CAIRN_BIN=$(CARGO_TARGET_DIR)/debug/cairn \
		node scripts/release-state.mjs $(ARGS)

reproducible: setup ## the runtime's WASM as a release has it, twice, from two directories: are both the same? (an hour)
	@scripts/reproducible.sh

portable: setup ## a `cairn` for any Linux with glibc 2.28, packed with the check of a GPU, in $(CAIRN_CACHE)/portable
	@scripts/portable.sh $(CAIRN_CACHE)/portable

deb: build ## Debian packages of what `make build` built, to try them: not what is given to others
	@scripts/deb.sh $(CARGO_TARGET_DIR)/debug $(CAIRN_CACHE)/deb

try-release: deb ## install those packages into an empty Debian, run what they hold, and start their units; needs root
	@scripts/try-release.sh $(CAIRN_CACHE)/deb
	@scripts/try-units.sh $(CAIRN_CACHE)/deb

try-containers: deb ## the images of ops/container, and its compose file: node, miner, validator, Prometheus; needs root
	@scripts/try-containers.sh $(CAIRN_CACHE)/deb
