#!/usr/bin/env bash
# Builds what `make devnet` needs from nothing, in a target directory of its own, and prints what docs/building.md
# states: processor time, wall time, the most memory in use at once, the size of the target directory, the dearest
# crates, and how long a change in the worker and a change in a pallet take. Fails if a change in the worker builds
# the WASM runtime again. Let nothing else run meanwhile. Downloads are not timed.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
export CARGO_TARGET_DIR=$dir/target WASM_BUILD_WORKSPACE_HINT=$PWD
sampler=
trap '[ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true; rm -rf "$dir"' EXIT

in_use() { awk '/^MemTotal/ { total = $2 } /^MemAvailable/ { free = $2 } END { print int((total - free) / 1024) }' /proc/meminfo; }

# The most memory that is in use, once a second, above what is in use now.
sample() {
    local before now most=0
    before=$(in_use)
    while sleep 1; do
        now=$(($(in_use) - before))
        if [ "$now" -gt "$most" ]; then
            most=$now
            echo "$most" >"$dir/memory"
        fi
    done
}

cargo fetch --locked
echo 0 >"$dir/memory"
sample &
sampler=$!
TIMEFORMAT='wall %R s, user %U s, system %S s'
time cargo build --locked --bins --timings
kill "$sampler"
echo "most memory in use: $(cat "$dir/memory") MiB"
echo "target directory: $(du -sm "$CARGO_TARGET_DIR" | cut -f1) MiB"
echo
# again FILE: builds after FILE changed.
again() {
    touch "$1"
    echo "after a change of $1:"
    time cargo build --locked --bins --quiet
}

wasm=$(find "$CARGO_TARGET_DIR/debug/wbuild" -maxdepth 2 -name 'cairn_runtime.wasm')
made=$(stat -c %Y "$wasm")
again offchain-worker/worker/src/lib.rs
[ "$(stat -c %Y "$wasm")" = "$made" ] || { echo "a change in the worker built the WASM runtime again" >&2; exit 1; }
again pallets/training/src/lib.rs
echo
node scripts/build-table.mjs "$CARGO_TARGET_DIR/cargo-timings/cargo-timing.html"
