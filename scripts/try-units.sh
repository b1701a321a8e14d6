#!/usr/bin/env bash
# Starts the systemd units of the packages under a systemd that runs: in a container, with the settings that a package
# brings and a development chain. Each has to say that it is ready, to be healthy, to come back after it is killed, and
# to stop when told. It needs root, podman and runc of Debian, and Debian's network.
#
#   scripts/try-units.sh PACKAGES    the directory of cairn-node_*.deb and cairn_*.deb
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'try-units: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

[ $# = 1 ] || die "it takes the directory of the packages"
PACKAGES=$(realpath "$1")
. scripts/own-podman.sh
TAR=$(scripts/debian-base.sh)

mkdir "$WORK/image"
cp "$PACKAGES"/cairn-node_*.deb "$PACKAGES"/cairn_*.deb "$WORK/image/"
cat >"$WORK/image/Containerfile" <<'FILE'
FROM localhost/cairn-debian
COPY *.deb /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends systemd dbus curl /tmp/*.deb
FILE
podman import -q "$TAR" localhost/cairn-debian >>"$WORK/log" 2>&1 || failed "the empty Debian is no image"
podman build -q -t cairn-units "$WORK/image" >>"$WORK/log" 2>&1 || failed "the packages could not be installed"
# A unit of systemd makes namespaces of its own, which a container is not allowed to otherwise.
podman run -d --name units --systemd=always --privileged --stop-signal SIGRTMIN+3 cairn-units \
    /lib/systemd/systemd >>"$WORK/log" 2>&1 || failed "systemd does not start"
inside() { podman exec units "$@"; }
until_it "systemd runs" inside systemctl is-system-running

# starts UNIT: it comes back once the unit has said that it is ready.
starts() {
    inside systemctl start "$1" >>"$WORK/log" 2>&1 || {
        inside journalctl -u "$1" --no-pager --lines 5 >&2
        die "the unit $1 does not start"
    }
    say "$1 says that it is ready"
}
# is_healthy PORT PATH LINE: read to its end, or who writes would fail.
is_healthy() { inside curl -sf --max-time 5 "http://127.0.0.1:$1/$2" | grep "$3" >/dev/null; }

inside sh -c 'echo "CAIRN_NODE_ARGS=\"--dev --prometheus-port 9615\"" >/etc/default/cairn-node'
starts cairn-node
until_it "it makes blocks and shows metrics" is_healthy 9615 metrics '^cairn_chain_issued_pebbles'
inside cairn subnet create --suri //Alice --max-price 10000 >>"$WORK/log" 2>&1 || failed "no subnet could be created"
for worker in miner validator; do
    # As docs/releases.md has it: a wallet below the unit's own directory, a passphrase that only root reads.
    inside sh -c "umask 077; echo 'CAIRN_PASSPHRASE=as good as any' >/etc/cairn/$worker.env"
    made=$(podman exec -e CAIRN_PASSPHRASE='as good as any' -e HOME="/var/lib/cairn-$worker" units \
        cairn wallet new "$worker" --json) || die "no wallet could be made"
    address=$(sed -n 's/.*"address": "\(.*\)".*/\1/p' <<<"$made")
    inside cairn wallet send --suri //Alice --to "$address" 1000 >>"$WORK/log" 2>&1 || failed "no money could be sent"
    starts "cairn-$worker"
done
until_it "the miner is healthy" is_healthy 9617 healthz '^block '
until_it "the validator is healthy" is_healthy 9618 healthz '^block '

inside systemctl kill --signal KILL cairn-miner
has_come_back() { [ "$(inside systemctl show --property NRestarts --value cairn-miner)" -ge 1 ]; }
until_it "the miner was killed and is started again" has_come_back
until_it "it runs" inside systemctl is-active --quiet cairn-miner
until_it "and is healthy" is_healthy 9617 healthz '^block '
for unit in cairn-validator cairn-miner cairn-node; do
    inside systemctl stop "$unit"
    result=$(inside systemctl show --property Result --value "$unit")
    [ "$result" = success ] || die "$unit stopped with $result"
done
say "all of them stopped when told"
