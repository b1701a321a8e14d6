#!/usr/bin/env bash
# Builds the runtime's WASM as a release has it, twice, from two clones of the last commit in two directories, and says
# whether both are the same bytes. It takes some half an hour on four cores for the first and less for the second, since
# what runs on this machine while it is built is shared; nothing of what goes into the WASM is.
#
#   scripts/reproducible.sh [DIRECTORY]    [default: $CAIRN_CACHE/reproducible; it is emptied but for that]
set -euo pipefail
cd "$(dirname "$0")/.."

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
WORK=${1:-$CACHE/reproducible}

die() {
    printf 'reproducible: %s\n' "$*" >&2
    exit 1
}

[ -z "$(git status --porcelain)" ] || die "the checkout has changes: commit them, since clones have the last commit"
mkdir -p "$WORK/target"
WORK=$(realpath "$WORK")
export CARGO_TARGET_DIR=$WORK/target
COMMIT=$(git rev-parse HEAD)
HASHES=()
for name in one a/second/one; do
    rm -rf "${WORK:?}/$name" "$CARGO_TARGET_DIR/release/wbuild"
    git clone -q --no-hardlinks . "$WORK/$name"
    git -C "$WORK/$name" checkout -q "$COMMIT"
    "$WORK/$name/scripts/release.sh" --wasm "$WORK/$name.wasm"
    HASHES+=("0x$(b2sum -l 256 "$WORK/$name.wasm" | cut -d ' ' -f 1)")
    echo "$WORK/$name: the runtime's BLAKE2b-256 is ${HASHES[-1]}"
done
[ "${HASHES[0]}" = "${HASHES[1]}" ] || die "two builds of one commit are two runtimes"
echo "both are the same"
