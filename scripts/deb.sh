#!/usr/bin/env bash
# Makes the Debian packages cairn-node and cairn out of two binaries.
#
#   scripts/deb.sh BINARIES OUT    from BINARIES/cairn-node and BINARIES/cairn; packages go to OUT
#
# Nothing is compiled, and nobody has to be root. The same binaries give the same bytes.
set -euo pipefail

die() {
    printf 'deb: %s\n' "$*" >&2
    exit 1
}

[ $# = 2 ] || die "it takes the directory of the binaries and one for the packages"
BINARIES=$(realpath "$1")
mkdir -p "$2"
OUT=$(realpath "$2")
cd "$(dirname "$0")/.."
for tool in dpkg-deb readelf strip gzip; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install dpkg binutils gzip"
done
VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ -n "$VERSION" ] || die "Cargo.toml states no version"
ARCH=$(dpkg --print-architecture)
# Of the last commit, so that two builds of it are the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

# The newest version of the C library that a binary asks for.
glibc() {
    readelf -V "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d _ -f 2
}

# package NAME BINARY UNIT...: ROOT has its files beside those.
package() {
    local name=$1 binary=$2 root=$ROOT
    shift 2
    install -Dm755 "$BINARIES/$binary" "$root/usr/bin/$binary"
    strip --strip-unneeded "$root/usr/bin/$binary"
    local unit
    for unit in "$@"; do install -Dm644 "ops/systemd/$unit" "$root/lib/systemd/system/$unit"; done
    install -Dm644 LICENSE "$root/usr/share/doc/$name/copyright"
    gzip -9nc CHANGELOG.md >"$root/usr/share/doc/$name/changelog.gz"
    chmod 644 "$root/usr/share/doc/$name/changelog.gz"
    mkdir "$root/DEBIAN"
    (cd "$root" && find etc -type f 2>/dev/null | sed 's|^|/|') >"$root/DEBIAN/conffiles"
    cat >"$root/DEBIAN/control" <<CONTROL
Package: $name
Version: $VERSION
Architecture: $ARCH
Maintainer: The Cairn authors <noreply@example.invalid>
Installed-Size: $(du -ks "$root" | cut -f 1)
Depends: libc6 (>= $(glibc "$root/usr/bin/$binary")), libgcc-s1, ca-certificates
Recommends: systemd
Section: net
Priority: optional
Homepage: https://github.com/cairn-network/cairn
Description: $DESCRIPTION
CONTROL
    # Units need settings first, so they are neither enabled nor started; running ones are not broken off.
    cat >"$root/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
SCRIPT
    cat >"$root/DEBIAN/prerm" <<SCRIPT
#!/bin/sh
set -e
if [ "\$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now $* || true; fi
SCRIPT
    cp "$root/DEBIAN/postinst" "$root/DEBIAN/postrm"
    sed -i 's/= configure/= remove/' "$root/DEBIAN/postrm"
    chmod 755 "$root"/DEBIAN/p*
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zzstd --build "$root" "$OUT/${name}_${VERSION}_$ARCH.deb"
}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

ROOT=$WORK/cairn-node
install -Dm644 ops/debian/cairn-node.default "$ROOT/etc/default/cairn-node"
DESCRIPTION="node of the Cairn chain
 Follows the chain on which models are trained, and answers workers and wallets." \
    package cairn-node cairn-node cairn-node.service

ROOT=$WORK/cairn
install -Dm644 ops/debian/miner.toml "$ROOT/etc/cairn/miner.toml"
install -Dm644 ops/debian/validator.toml "$ROOT/etc/cairn/validator.toml"
mkdir -p "$ROOT/usr/share/man/man1" "$ROOT/usr/share/bash-completion/completions"
"$BINARIES/cairn" man "$ROOT/usr/share/man/man1" >/dev/null
gzip -9n "$ROOT"/usr/share/man/man1/*.1
"$BINARIES/cairn" completions bash >"$ROOT/usr/share/bash-completion/completions/cairn"
DESCRIPTION="mine, validate and look at a Cairn network
 The command cairn: miner, validator, wallets, stake, and a network on one machine." \
    package cairn cairn cairn-miner.service cairn-validator.service
