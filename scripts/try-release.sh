#!/usr/bin/env bash
# Installs the packages into an empty Debian and runs what they hold: a node makes blocks and shows metrics, a miner
# finds it and is healthy, and removing the packages leaves settings alone. It needs root, for chroot, and the network
# of Debian. There is no systemd in a chroot: scripts/try-units.sh starts the units.
#
#   scripts/try-release.sh PACKAGES    the directory of cairn-node_*.deb and cairn_*.deb
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'try-release: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

[ $# = 1 ] || die "it takes the directory of the packages"
PACKAGES=$(realpath "$1")
[ "$(id -u)" = 0 ] || die "it needs root, for chroot"
BASE=$(scripts/debian-base.sh)

ROOT=$(mktemp -d)
RUNNING=()
stop() {
    for pid in "${RUNNING[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
    RUNNING=()
}
trap 'stop; umount "$ROOT/proc" 2>/dev/null || true; rm -rf --one-file-system "$ROOT"' EXIT
tar -C "$ROOT" -xf "$BASE"
mount -t proc proc "$ROOT/proc"
cp "$PACKAGES"/cairn-node_*.deb "$PACKAGES"/cairn_*.deb "$ROOT/tmp/"
inside() { chroot "$ROOT" env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/var/lib/try LC_ALL=C.UTF-8 "$@"; }

# What listens on a port, asked until it answers with a line like this: LOG is shown if it never does.
answers() {
    local url=$1 line=$2 log=$3
    for _ in $(seq 120); do
        curl -sf --max-time 2 "$url" 2>/dev/null | grep "$line" >/dev/null && return
        sleep 1
    done
    tail -n 5 "$log" >&2
    die "$url never had a line like $line"
}

inside mkdir -p /var/lib/try
# What the packages ask for comes from the mirror.
inside sh -c 'apt-get update && apt-get install -y --no-install-recommends /tmp/*.deb' >"$ROOT/install.log" 2>&1 ||
    { tail -n 5 "$ROOT/install.log" >&2 && die "apt-get could not install them"; }
say "installed: $(inside cairn --version), $(inside cairn-node --version)"
for unit in cairn-node cairn-miner cairn-validator; do
    [ -s "$ROOT/lib/systemd/system/$unit.service" ] || die "no unit $unit"
done

inside cairn-node --dev --tmp --rpc-port 19944 --port 19333 --prometheus-port 19615 >"$ROOT/node.log" 2>&1 &
RUNNING+=($!)
answers http://127.0.0.1:19615/metrics '^cairn_chain_issued_pebbles' "$ROOT/node.log"
say "the node makes blocks and shows metrics"
NODE=(--node ws://127.0.0.1:19944)
inside cairn subnet create --suri //Alice --max-price 10000 "${NODE[@]}" >"$ROOT/subnet.log" 2>&1 ||
    { cat "$ROOT/subnet.log" >&2 && die "no subnet could be created"; }
inside cairn mine --suri //Charlie --netuid 1 --store file:///var/lib/try/store "${NODE[@]}" --metrics 19617 \
    >"$ROOT/miner.log" 2>&1 &
RUNNING+=($!)
answers http://127.0.0.1:19617/healthz '^block ' "$ROOT/miner.log"
answers http://127.0.0.1:19617/metrics '^cairn_worker_best_block' "$ROOT/miner.log"
say "the miner found it and is healthy"
stop

inside dpkg -r cairn cairn-node >/dev/null
[ ! -e "$ROOT/usr/bin/cairn" ] && [ ! -e "$ROOT/lib/systemd/system/cairn-node.service" ] || die "something stays"
[ -e "$ROOT/etc/cairn/miner.toml" ] || die "removing took settings along"
say "removed; settings stay"
