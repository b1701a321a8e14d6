#!/usr/bin/env bash
# Runs the networks of this directory under zombienet's native provider. Needs cairn-node on the PATH
# (`make zombienet` builds it and puts it there), cairn beside it, npm and zstd.
set -euo pipefail
cd "$(dirname "$0")/.."

for program in cairn-node cairn; do
    command -v "$program" >/dev/null || {
        echo "zombienet: $program is not on the PATH; run: make zombienet" >&2
        exit 1
    }
done
command -v zstd >/dev/null || {
    echo "zombienet: zstd is missing: apt-get install zstd" >&2
    exit 1
}
npm --prefix zombienet ci --no-audit --no-fund
mkdir -p zombienet/.spec
SPECS=zombienet/.spec
cairn-node export-chain-spec --chain local --raw --output "$SPECS/local-raw.json"
cairn-node export-chain-spec --chain local --output "$SPECS/local.json"
node zombienet/lib/spec.js <"$SPECS/local.json" >"$SPECS/quick.json"
cairn-node export-chain-spec --chain "$SPECS/quick.json" --raw --output "$SPECS/quick-raw.json"
for test in zombienet/*.zndsl; do
    zombienet/node_modules/.bin/zombienet --provider native test "$test"
done
