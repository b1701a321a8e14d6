#!/usr/bin/env bash
# Installs the browser in which the page of `cairn dashboard` is tested: Debian's Chromium, unless CAIRN_CHROMIUM names
# another one or it is there already. Safe to run again.
set -euo pipefail

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}

say() { printf 'browser: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if [ -n "${CAIRN_CHROMIUM:-}" ]; then
    [ -x "$CAIRN_CHROMIUM" ] || die "CAIRN_CHROMIUM is $CAIRN_CHROMIUM, and no such program is there"
    exit 0
fi
[ -x /usr/bin/chromium ] && exit 0
command -v apt-get >/dev/null || die "install Chromium, set CAIRN_CHROMIUM to its path, and run this again"
say "apt-get install chromium"
mkdir -p "$CACHE"
{
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core
} >"$CACHE/browser.log" 2>&1 || {
    tail -n 5 "$CACHE/browser.log" >&2
    die "apt-get could not install chromium; the whole log is $CACHE/browser.log"
}
