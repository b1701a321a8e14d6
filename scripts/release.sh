#!/usr/bin/env bash
# Builds what is given to others: node and worker by the release profile, stripped; the runtime's WASM; packages; and
# checksums of all of it. It takes an hour on four cores, the first time.
#
#   scripts/release.sh [OUT]          [default: $CAIRN_CACHE/release]
#   scripts/release.sh --wasm FILE    only the WASM, into a file (scripts/reproducible.sh)
set -euo pipefail
cd "$(dirname "$0")/.."

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
PLACE=/mnt

die() {
    printf 'release: %s\n' "$*" >&2
    exit 1
}

ONLY_WASM=
if [ "${1:-}" = --wasm ]; then
    ONLY_WASM=$(realpath -m "${2:?--wasm takes a file}")
    OUT=
    set -- --wasm "$ONLY_WASM"
else
    OUT=$(realpath -m "${1:-$CACHE/release}")
    set -- "$OUT"
fi
[ -z "$(git status --porcelain)" ] || die "the checkout has changes: commit them, so that others can build the same"
# Whoever builds it, it is built at one place.
if [ "$PWD" != "$PLACE" ] || [ "${CARGO_TARGET_DIR:-}" != "$PLACE/target" ]; then
    exec scripts/in-place.sh scripts/release.sh "$@"
fi
TARGET=$CARGO_TARGET_DIR
WASM=$TARGET/release/wbuild/cairn-runtime/cairn_runtime.compact.compressed.wasm
# The places of sources are in panics' messages: named alike, they are alike whoever builds.
export RUSTFLAGS="--remap-path-prefix=$PWD=/cairn --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
export WASM_BUILD_RUSTFLAGS="${WASM_BUILD_RUSTFLAGS:+$WASM_BUILD_RUSTFLAGS }$RUSTFLAGS"
if [ -n "$ONLY_WASM" ]; then
    # What runs on this machine to build the WASM is not in it, so it need not be fast; the WASM's own build has these
    # settings from Cargo.toml, not from this command line.
    cargo build --locked --release -p cairn-runtime --features cairn-runtime/metadata-hash \
        --config profile.release.opt-level=0 --config 'profile.release.package."*".opt-level=0' \
        --config profile.release.lto=false
    install -m644 "$WASM" "$ONLY_WASM"
    exit
fi
for program in node npm; do
    command -v "$program" >/dev/null || die "$program is missing, and a release's digest is checked by it: install Node.js"
done
# With the digest of the metadata in it, which hardware wallets sign.
cargo build --locked --release --bins --features cairn-runtime/metadata-hash

VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
DEST=$OUT/$VERSION
rm -rf "$DEST"
mkdir -p "$DEST"
for binary in cairn-node cairn; do
    install -m755 "$TARGET/release/$binary" "$DEST/$binary"
    strip --strip-unneeded "$DEST/$binary"
done
install -m644 "$WASM" "$DEST/cairn_runtime.wasm"
# Another package computes the same digest, or this is no release.
DIGEST=tests/clients/metadata-hash
npm --prefix "$DIGEST" ci --ignore-scripts --no-audit --no-fund
node "$DIGEST/check.mjs" "$DEST/cairn-node" --release
scripts/deb.sh "$DEST" "$DEST"
(cd "$DEST" && sha256sum -- * >SHA256SUMS)
echo "release $VERSION of commit $(git rev-parse HEAD) is in $DEST"
# By this hash a proposal names the runtime (docs/governance.md).
echo "the runtime's BLAKE2b-256: 0x$(b2sum -l 256 "$DEST/cairn_runtime.wasm" | cut -d ' ' -f 1)"
