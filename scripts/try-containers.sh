#!/usr/bin/env bash
# Builds the images of ops/container and plays its compose file: a node that joins a chain by a boot node, a miner and a
# validator with wallets of their own, and Prometheus, which has to see all three. Each container's own health check
# has to pass. The base image is an empty Debian by debootstrap, so that no registry of images is asked. It needs root,
# podman and podman-compose of Debian, Debian's network, and ports 30333 and 9090.
#
#   scripts/try-containers.sh PACKAGES    the directory of cairn-node_*.deb and cairn_*.deb
#
# What it made it removes, the images too. podman runs health checks by systemd's timers; they are run here, too, since
# not every machine has those.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'try-containers: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

[ $# = 1 ] || die "it takes the directory of the packages"
CAIRN_RELEASE=$(realpath "$1")
command -v podman-compose >/dev/null || die "podman-compose is missing: apt-get install podman-compose"
. scripts/own-podman.sh
TAR=$(scripts/debian-base.sh)

# The files of compose are played where they lie, but for the settings that an operator adds beside them.
mkdir -p "$WORK/ops"
cp -r ops/container ops/prometheus "$WORK/ops/"
for worker in miner validator; do
    echo 'CAIRN_PASSPHRASE=as good as any' >"$WORK/ops/container/$worker.env"
done
export CAIRN_RELEASE CAIRN_BASE=localhost/cairn-debian CAIRN_CHAIN=/chains/try-raw.json
compose() {
    (cd "$WORK" && podman-compose -p cairn-try -f ops/container/compose.yaml "$@") >>"$WORK/log" 2>&1
}

podman import "$TAR" "$CAIRN_BASE" >>"$WORK/log" 2>&1 || failed "the empty Debian is no image"
compose build || failed "the images could not be built"
# podman-compose ends with 0 where podman did not build.
podman image exists cairn || failed "the images could not be built"
say "the images are built: $(podman run --rm cairn cairn --version), $(podman run --rm cairn cairn-node --version)"

# A chain to join: one authority that makes blocks, known to the others by its boot node alone.
CHAINS=$WORK/ops/container/chains
mkdir "$CHAINS"
podman run --rm cairn cairn-node key generate-node-key >"$WORK/node.key" 2>"$WORK/peer"
BOOT=/dns4/authority/tcp/30333/p2p/$(tail -n 1 "$WORK/peer")
podman run --rm cairn cairn-node export-chain-spec --chain dev --raw 2>>"$WORK/log" |
    sed "s|\"bootNodes\": \[\]|\"bootNodes\": [\"$BOOT\"]|" >"$CHAINS/try-raw.json"
grep -q "$BOOT" "$CHAINS/try-raw.json" || die "the specification has no place for a boot node"
podman network create cairn-try_default >>"$WORK/log"
podman run -d --name authority --network cairn-try_default -v "$CHAINS:/chains:ro" cairn cairn-node \
    --chain /chains/try-raw.json --alice --force-authoring --tmp --no-mdns --node-key "$(cat "$WORK/node.key")" \
    >>"$WORK/log" 2>&1 || failed "the authority does not start"

# Wallets go into the workers' volumes, as docs/releases.md has it.
declare -A ADDRESS
for worker in miner validator; do
    podman volume create "cairn-try_$worker" >>"$WORK/log"
    made=$(podman run --rm --env-file "$WORK/ops/container/$worker.env" -v "cairn-try_$worker:/data" cairn \
        cairn wallet new "$worker" --json 2>>"$WORK/log") || failed "no wallet could be made"
    ADDRESS[$worker]=$(sed -n 's/.*"address": "\(.*\)".*/\1/p' <<<"$made")
done
compose up -d || failed "the services could not be started"
healthy() { podman healthcheck run "cairn-try_$1_1"; }
until_it "the node answers" healthy node
inside() { podman run --rm --network cairn-try_default cairn cairn "$@" --suri //Alice --node ws://node:9944; }
until_it "it has found the authority: a subnet could be created" inside subnet create --max-price 10000
for worker in miner validator; do
    until_it "the $worker has money" inside wallet send --to "${ADDRESS[$worker]}" 1000
done
for worker in miner validator; do until_it "the $worker is healthy" healthy "$worker"; done

# What Prometheus answers: a value for this expression.
answers() {
    curl -sf --max-time 5 http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" | grep "\"$2\"\]" >/dev/null
}
until_it "Prometheus sees all three" answers 'count(up == 1)' 3
until_it "it has the chain's metrics" answers 'count(cairn_chain_issued_pebbles)' 1
until_it "and the workers'" answers 'count(cairn_worker_best_block)' 2
curl -sf http://127.0.0.1:9090/api/v1/rules | grep CairnChain >/dev/null || die "Prometheus has no alert rules"
compose down || failed "the services could not be stopped"
