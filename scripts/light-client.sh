#!/usr/bin/env bash
# Fetches smoldot, the light client of `cairn dashboard --light`, from npm into the cache: the version that the page
# knows, by its checksum. smoldot is under GPL-3.0-or-later WITH Classpath-exception-2.0, and no part of Cairn.
# Safe to run again.
set -euo pipefail

VERSION=3.4.1
SUM=Ht3gPaRIjFWlBjen3+7xgms5rNYqhxvY0xyBwaV7Z1iBGyaOInQwvaZxPgZQw0ihk/h35+NTPPi47xqUvKkkxg==
DEST=${CAIRN_CACHE:-$HOME/.cache/cairn}/smoldot-$VERSION

say() { printf 'light-client: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

[ -f "$DEST/made-of" ] && [ "$(cat "$DEST/made-of")" = "$SUM" ] && exit 0
command -v npm >/dev/null || die "install npm, and run this again"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
say "npm pack smoldot@$VERSION"
(cd "$directory" && npm pack --silent "smoldot@$VERSION") >/dev/null || die "npm cannot get smoldot $VERSION"
found=$(openssl dgst -sha512 -binary "$directory/smoldot-$VERSION.tgz" | base64 -w0)
[ "$found" = "$SUM" ] || die "what npm brought is not smoldot $VERSION: its SHA-512 is $found"
tar -xzf "$directory/smoldot-$VERSION.tgz" -C "$directory"
mkdir -p "$(dirname "$DEST")"
rm -rf "$DEST"
mv "$directory/package" "$DEST"
printf '%s' "$SUM" >"$DEST/made-of"
say "smoldot $VERSION is in $DEST"
