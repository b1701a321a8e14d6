#!/usr/bin/env bash
# Holds dependencies against deny.toml: licences, crates that may not be there, sources. Safe to run again.
#
#   scripts/deny.sh                  installs cargo-deny if it is missing (some minutes), and checks
#   scripts/deny.sh --if-installed   checks where it is installed, else says that it did not
#   scripts/deny.sh --advisories     known faults, too: fetches RustSec's database from GitHub
set -euo pipefail
cd "$(dirname "$0")/.."

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
VERSION=0.20.2
DEST=$CACHE/cargo-deny-$VERSION
DENY=$DEST/bin/cargo-deny
CHECKS=(bans licenses sources)

say() { printf 'deny: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Not into this workspace's target directory: its dependencies have other features there.
install_deny() {
    local log=$CACHE/cargo-deny.log
    mkdir -p "$CACHE"
    say "installing cargo-deny $VERSION (some minutes)"
    (cd / && cargo install --locked --version "$VERSION" --root "$DEST" --target-dir "$DEST/target" cargo-deny) \
        >"$log" 2>&1 || die "cargo could not install cargo-deny $VERSION; the log is $log"
    rm -rf "$DEST/target"
}

case ${1:-} in
'') ;;
--if-installed) [ -x "$DENY" ] || { say "left out: cargo-deny $VERSION is not installed; make deny installs it" && exit 0; } ;;
--advisories) CHECKS+=(advisories) ;;
*) die "unknown: $1; it takes --if-installed or --advisories" ;;
esac
[ -x "$DENY" ] || install_deny
# Some manifests say GPL-3.0 for GPL-3.0-only, which is no error of ours.
"$DENY" --locked check --hide-inclusion-graph --allow parse-error "${CHECKS[@]}"
