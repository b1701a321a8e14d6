#!/usr/bin/env bash
# Builds a `cairn` that runs on any Linux on x86-64 with the C library 2.28 of 2018 or newer, strips it, and packs it
# together with what checks a machine's card. The linker is zig's, which knows the symbols of older C libraries; it and
# cargo-zigbuild come from PyPI, once (100 MB).
#
#   scripts/portable.sh [OUT]    [default: $CAIRN_CACHE/portable]
set -euo pipefail
cd "$(dirname "$0")/.."

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
TARGET=${CARGO_TARGET_DIR:-$CACHE/target}
OUT=${1:-$CACHE/portable}
GLIBC=2.28
# The most bytes that it may have.
MOST=$((40 * 1024 * 1024))
ZIG=$CACHE/zig

die() {
    printf 'portable: %s\n' "$*" >&2
    exit 1
}

for tool in python3 objdump strip; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install python3 python3-venv binutils"
done
if [ ! -x "$ZIG/bin/cargo-zigbuild" ]; then
    python3 -m venv "$ZIG" || die "cannot make $ZIG: apt-get install python3-venv"
    "$ZIG/bin/pip" install -q ziglang==0.17.1 cargo-zigbuild==0.24.1
fi
export RUSTFLAGS="--remap-path-prefix=$PWD=/cairn --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
PATH=$ZIG/bin:$PATH cargo zigbuild --locked --profile portable -p cairn-worker --bin cairn \
    --target "x86_64-unknown-linux-gnu.$GLIBC"

DEST=$OUT/cairn-portable
rm -rf "$DEST"
mkdir -p "$DEST"
install -m755 "$TARGET/x86_64-unknown-linux-gnu/portable/cairn" scripts/gpu-check.sh "$DEST"
install -m644 scripts/peers/torch_train.py LICENSE "$DEST"
strip --strip-unneeded "$DEST/cairn"
asked=$(objdump -T "$DEST/cairn" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
[ "$(printf '%s\n' "$asked" $GLIBC | sort -V | tail -n 1)" = $GLIBC ] || die "it asks for glibc $asked"
size=$(stat -c %s "$DEST/cairn")
[ "$size" -le $MOST ] || die "it has $size bytes, more than $MOST"
tar -C "$OUT" -czf "$OUT/cairn-portable.tar.gz" cairn-portable
echo "$OUT/cairn-portable.tar.gz: cairn has $size bytes and asks for glibc $asked"
