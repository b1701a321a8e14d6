#!/usr/bin/env bash
# Runs the networks of this directory under zombienet's native provider. Needs cairn-node on the PATH
# (`make zombienet` builds it and puts it there) and npm.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cairn-node >/dev/null || {
    echo "zombienet: cairn-node is not on the PATH; run: make zombienet" >&2
    exit 1
}
npm --prefix zombienet ci --no-audit --no-fund
mkdir -p zombienet/.spec
cairn-node export-chain-spec --chain local --raw --output zombienet/.spec/local-raw.json
for test in zombienet/*.zndsl; do
    zombienet/node_modules/.bin/zombienet --provider native test "$test"
done
