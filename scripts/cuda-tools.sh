#!/usr/bin/env bash
# Puts NVIDIA's run-time compiler (NVRTC) into $CAIRN_CACHE/cuda/lib, where `cairn` and the tests look for it.
# No GPU, no driver and no CUDA toolkit is needed to compile kernels with it. Safe to run again.
#
# With --card also cuBLAS, for a machine that has a card but no CUDA toolkit (a download of half a gigabyte).
set -euo pipefail

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
DEST=$CACHE/cuda/lib
# CUDA 13.0 goes with drivers from 580 on. The licence of these packages lies beside their files.
NVRTC=nvidia-cuda-nvrtc==13.0.88
CUBLAS=nvidia-cublas==13.1.0.3

say() { printf 'cuda-tools: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# fetch PACKAGE: the package's shared libraries and its licence.
fetch() {
    local dir
    dir=$(mktemp -d)
    say "fetching $1"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$dir" "$1" >"$CACHE/cuda.log" 2>&1 ||
        {
            rm -rf "$dir"
            tail -n 3 "$CACHE/cuda.log" >&2
            die "pip could not fetch $1; check the network, or copy its libraries to $DEST"
        }
    (cd "$dir" && python3 -m zipfile -e ./*.whl wheel)
    mkdir -p "$DEST"
    cp "$dir"/wheel/*.dist-info/licenses/* "$DEST/LICENCE-${1%%==*}.txt" 2>/dev/null ||
        cp "$dir"/wheel/*.dist-info/[Ll]icen* "$DEST/LICENCE-${1%%==*}.txt" 2>/dev/null || true
    find "$dir/wheel/nvidia" -name 'lib*.so*' ! -name '*.alt.so*' -exec cp {} "$DEST/" \;
    rm -rf "$dir"
}

mkdir -p "$CACHE"
python3 -m pip --version >/dev/null 2>&1 || die "Python's pip is needed: install python3-pip (Debian, Ubuntu) and run this again"
[ -e "$DEST/libnvrtc.so.13" ] || fetch "$NVRTC"
if [ "${1:-}" = --card ] && [ ! -e "$DEST/libcublasLt.so.13" ]; then fetch "$CUBLAS"; fi
