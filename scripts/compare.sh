#!/usr/bin/env bash
# Builds another commit and this checkout, runs the same measurements with both in turn, and prints each beside the
# other with its ratio. Nothing of it is in the checkout: the other commit's sources are in $CAIRN_CACHE/compare, and
# what is built goes to the target directory that is there anyway.
#
#     scripts/compare.sh REV [PART …]
#
# Parts: codec, score, train, memory, devnet; all of them if none is named. RUNS=5 says how often each is run, ROUNDS=10
# how many rounds a devnet has. A devnet takes node and WASM runtime of both: without that part only `cairn` is built.
# Let nothing else run meanwhile; where something does, the ranges say so.
set -euo pipefail
cd "$(dirname "$0")/.."

rev=${1:?usage: scripts/compare.sh REV [codec] [score] [train] [memory] [devnet]}
shift
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(codec score train memory devnet)
for part in "${parts[@]}"; do
    case $part in
    codec | score | train | memory | devnet) ;;
    *) echo "there is no part $part: name codec, score, train, memory or devnet" >&2; exit 2 ;;
    esac
done
sha=$(git rev-parse --verify --quiet "$rev^{commit}") || { echo "there is no commit $rev" >&2; exit 2; }

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${CAIRN_CACHE:-$HOME/.cache/cairn}/target}
dir=${CAIRN_CACHE:-$HOME/.cache/cairn}/compare
here=$PWD
mkdir -p "$dir/then" "$dir/now"
[ ! -e "$dir/source" ] || git worktree remove --force "$dir/source"
git worktree add --force --quiet --detach "$dir/source" "$sha"
trap 'git -C "$here" worktree remove --force "$dir/source" || true' EXIT

what=(--workspace --bin cairn)
export SKIP_WASM_BUILD=1
if [[ " ${parts[*]} " == *" devnet "* ]]; then
    what=(--bins)
    unset SKIP_WASM_BUILD
fi

# build SOURCE TO: what is measured of a source.
build() {
    echo "building $1" >&2
    (cd "$1" && WASM_BUILD_WORKSPACE_HINT=$1 cargo build --locked --quiet "${what[@]}")
    cp "$CARGO_TARGET_DIR/debug/cairn" "$2/cairn"
    [[ ${what[0]} != --bins ]] || cp "$CARGO_TARGET_DIR/debug/cairn-node" "$2/cairn-node"
}

build "$dir/source" "$dir/then"
build "$here" "$dir/now"
now=$(git rev-parse --short HEAD)
[ -z "$(git status --porcelain)" ] || now="$now and what is not committed"
echo
echo "then: $(git log -1 --format='%h, %s' "$sha")"
echo "now:  $now"
node scripts/compare.mjs "$dir/then/cairn" "$dir/now/cairn" "${RUNS:-5}" "${ROUNDS:-10}" "${parts[@]}"
