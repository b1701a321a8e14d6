#!/usr/bin/env bash
# A laboratory: a real node and real workers, each worker in a network namespace of its own, at the end of a line that
# is slow, loses packets, is cut, or leads through a router without open ports.
#
#   tests/lab/lab.sh                 all scenarios, and a table
#   tests/lab/lab.sh loss nat        these
#   LAB_ROUNDS=10 LAB_MINERS=4 LAB_VALIDATORS=2 LAB_KEEP=/tmp/lab tests/lab/lab.sh churn
#
# Needs root, iproute2, nftables and python3; `make lab` builds what it starts. Where namespaces or TUN devices cannot
# be made, it says so and ends with 0.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
BIN=${LAB_BIN:-${CARGO_TARGET_DIR:-$HOME/.cache/cairn/target}/debug}
RUN=${LAB_RUN:-$ROOT/offchain-worker/worker/tests/run-small.toml}
ROUNDS=${LAB_ROUNDS:-5}
MINERS=${LAB_MINERS:-2}
VALIDATORS=${LAB_VALIDATORS:-1}
PATIENCE=${LAB_PATIENCE:-1500} # seconds for a scenario
KEEP=${LAB_KEEP:-$(mktemp -d)}

HUB=lab-hub
HUB_IP=10.77.0.1
LINES=()   # process ids of the lines
SERVERS=() # of relay and bucket server
MEMBERS=()

say() { printf 'lab: %s\n' "$*" >&2; }
skip() {
    say "skipped: $*"
    exit 0
}
die() {
    say "$*"
    exit 1
}

# What cannot be made here is found out before anything is started.
check() {
    [ "$(id -u)" = 0 ] || skip "network namespaces need root"
    for tool in ip nft python3; do
        command -v "$tool" >/dev/null || skip "$tool is missing: apt-get install iproute2 nftables python3"
    done
    ip netns add lab-probe 2>/dev/null || skip "network namespaces cannot be made here"
    local made=yes
    ip -n lab-probe tuntap add dev probe mode tun 2>/dev/null || made=no
    ip netns del lab-probe
    [ $made = yes ] || skip "TUN devices cannot be made here"
    for program in cairn cairn-node examples/relay examples/s3; do
        [ -x "$BIN/$program" ] || die "$BIN/$program is missing: run this by \`make lab\`"
    done
}

# join NAME ADDRESS DELAY LOSS: a namespace at the end of a line.
join() {
    ip netns add "lab-$1"
    ip -n "lab-$1" link set lo up
    local log=$DIR/line-$1.log
    python3 "$HERE/link.py" $HUB "to-$1" "lab-$1" "$2" --delay "$3" --loss "$4" --seed "${#LINES[@]}" \
        >"$log" 2>&1 &
    LINES+=($!)
    MEMBERS+=("$1")
    for _ in $(seq 100); do
        grep -q ready "$log" && return
        sleep 0.1
    done
    die "the line to $1 does not come up: $(cat "$log")"
}

# Members behind routers: what they send leaves under the hub's address, and nothing reaches them that they did not ask.
behind_routers() {
    ip netns exec $HUB nft -f - <<'NFT'
table ip lab {
    chain out {
        type nat hook postrouting priority srcnat;
        iifname "to-*" oifname "to-*" masquerade
    }
    chain through {
        type filter hook forward priority filter;
        iifname "to-*" oifname "to-*" ct state new drop
    }
}
NFT
}

# serve NAME COMMAND...: a server in the hub; waits until it says where it is.
serve() {
    local name=$1
    shift
    ip netns exec $HUB "$@" >"$DIR/$name.log" 2>&1 &
    SERVERS+=($!)
    for _ in $(seq 100); do
        grep -q http "$DIR/$name.log" && return
        sleep 0.1
    done
    die "$name does not come up: $(cat "$DIR/$name.log")"
}

clear_up() {
    [ ${#LINES[@]} = 0 ] || kill "${LINES[@]}" 2>/dev/null || true
    [ ${#SERVERS[@]} = 0 ] || kill "${SERVERS[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    for member in "${MEMBERS[@]}"; do ip netns del "lab-$member" 2>/dev/null || true; done
    ip netns del $HUB 2>/dev/null || true
    LINES=() SERVERS=() MEMBERS=()
}
trap clear_up EXIT

# cut NUMBER ROUND SECONDS: cuts a member's line when this round has been shown, for so long.
cut() {
    until grep -qE "^ +$2 " "$DIR/said.log" 2>/dev/null; do
        sleep 1
        [ -d "/proc/$DEVNET" ] || return 0
    done
    say "the line of ${MEMBERS[$1]} is cut for $3 s"
    kill -USR1 "${LINES[$1]}"
    sleep "$3"
    kill -USR2 "${LINES[$1]}"
    say "it is joined again"
}

# scenario NAME TRANSPORT DELAY LOSS [nat] [cut=NUMBER,ROUND,SECONDS] [DEVNET'S OPTION...]
scenario() {
    local name=$1 transport=$2 delay=$3 loss=$4 nat=no cuts=""
    shift 4
    local options=()
    for word in "$@"; do
        case $word in
            nat) nat=yes ;;
            cut=*) cuts=${word#cut=} ;;
            *) options+=("$word") ;;
        esac
    done
    DIR=$KEEP/$name
    rm -rf "$DIR" && mkdir -p "$DIR"
    say "$name: $transport, $delay ms each way, $loss % lost ${options[*]}"
    ip netns add $HUB
    ip -n $HUB link set lo up
    ip -n $HUB addr add $HUB_IP/32 dev lo
    ip netns exec $HUB sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    local number
    for number in $(seq "$MINERS"); do join "miner-$number" "10.77.1.$number" "$delay" "$loss"; done
    for number in $(seq "$VALIDATORS"); do join "validator-$number" "10.77.2.$number" "$delay" "$loss"; done
    if [ $nat = yes ]; then
        behind_routers
        serve relay "$BIN/examples/relay" $HUB_IP:3340
        options+=(--p2p-relay "http://$HUB_IP:3340")
    fi
    if [ "$transport" = s3 ]; then
        mkdir -p "$DIR/buckets/bucket"
        export AWS_ENDPOINT_URL=http://$HUB_IP:9000 AWS_ALLOW_HTTP=true
        export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret
        serve s3 "$BIN/examples/s3" $HUB_IP:9000 "$DIR/buckets"
        options+=(--store s3://bucket/lab)
    fi
    ip netns exec $HUB timeout "$PATIENCE" "$BIN/cairn" devnet --transport "$transport" --netns lab --host $HUB_IP \
        --node-bin "$BIN/cairn-node" --run "$RUN" --rounds "$ROUNDS" --miners "$MINERS" --validators "$VALIDATORS" \
        --cheats 0 --keep "$DIR/kept" --json "$DIR/report.json" "${options[@]}" >"$DIR/said.log" 2>&1 &
    DEVNET=$!
    local cutter=""
    if [ -n "$cuts" ]; then
        cut ${cuts//,/ } &
        cutter=$!
    fi
    wait $DEVNET && echo 0 >"$DIR/code" || echo $? >"$DIR/code"
    [ -z "$cutter" ] || { kill $cutter 2>/dev/null || true; }
    clear_up
    python3 "$HERE/table.py" "$MINERS" "$ROUNDS" "$DIR" || FAILED=1
}

every() { # every EVENT FIRST LAST: EVENT@FIRST,…,EVENT@LAST
    local words=()
    for round in $(seq "$2" "$3"); do words+=("$1@$round"); done
    local IFS=,
    echo "${words[*]}"
}

play() {
    case $1 in
        still) scenario still p2p 0 0 ;;
        loss) scenario loss p2p 20 10 ;;
        far) scenario far p2p 250 0 ;;
        file) scenario file file 20 10 ;;
        s3) scenario s3 s3 20 10 ;;
        nat) scenario nat p2p 20 0 nat ;;
        cut) scenario cut p2p 20 0 cut=0,1,60 ;;
        churn) scenario churn p2p 20 10 --chaos "$(every kill-miner 1 $((ROUNDS - 1)))" ;;
        nodes) scenario nodes p2p 20 10 --nodes 3 --chaos kill-node@1,stall-node@3 ;;
        *) die "there is no scenario $1: still loss far file s3 nat cut churn nodes" ;;
    esac
}

check
mkdir -p "$KEEP"
say "logs are in $KEEP"
[ $# -gt 0 ] || set -- still loss far file s3 nat cut churn nodes
FAILED=0
for name in "$@"; do play "$name"; done
exit $FAILED
