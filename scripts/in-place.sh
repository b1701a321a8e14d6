#!/usr/bin/env bash
# Runs a command with this checkout at /mnt and what cargo builds at /mnt/target, for that command alone. The runtime's
# WASM is built in a workspace of its own, and the place of crates outside of it may be in what is built: here that is
# always the same. Whether it has to be was not tried.
#
#   scripts/in-place.sh COMMAND...
#
# It needs Linux' namespaces, and nobody has to be root where users may have namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'in-place: %s\n' "$*" >&2
    exit 1
}

[ $# -gt 0 ] || die "it takes a command"
command -v unshare >/dev/null || die "unshare is missing: apt-get install util-linux"
TARGET=${CARGO_TARGET_DIR:-${CAIRN_CACHE:-$HOME/.cache/cairn}/target}
mkdir -p "$TARGET" target
TARGET=$(realpath "$TARGET")
NAMESPACES=(--mount)
[ "$(id -u)" = 0 ] || NAMESPACES+=(--user --map-root-user)
unshare "${NAMESPACES[@]}" true 2>/dev/null || die "this user may have no namespaces here: run it as root"
# The target directory first, since the checkout may hide it.
exec unshare "${NAMESPACES[@]}" bash -c '
    set -e
    mount --bind "$1" "$2/target"
    mount --rbind "$2" /mnt
    cd /mnt
    export CARGO_TARGET_DIR=/mnt/target WASM_BUILD_WORKSPACE_HINT=/mnt
    shift 2
    exec "$@"
' in-place "$TARGET" "$PWD" "$@"
