#!/usr/bin/env bash
# Makes an empty Debian 12 by debootstrap, once, and says where it is: a tar file that a chroot or an image begins with.
# It needs root, and the network of Debian.
set -euo pipefail

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
SUITE=bookworm
BASE=$CACHE/debian-$SUITE.tar

die() {
    printf 'debian-base: %s\n' "$*" >&2
    exit 1
}

if [ ! -e "$BASE" ]; then
    [ "$(id -u)" = 0 ] || die "it needs root, for debootstrap"
    command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
    printf 'debian-base: an empty Debian comes from its mirror, once\n' >&2
    mkdir -p "$CACHE"
    NEW=$(mktemp -d)
    trap 'rm -rf "$NEW"' EXIT
    debootstrap --variant=minbase "$SUITE" "$NEW" >"$CACHE/debootstrap.log" ||
        die "debootstrap failed; the log is $CACHE/debootstrap.log"
    tar -C "$NEW" -cf "$BASE.new" .
    mv "$BASE.new" "$BASE"
fi
echo "$BASE"
