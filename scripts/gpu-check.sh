#!/usr/bin/env bash
# Sees in at most eight minutes what a machine's NVIDIA card does, and writes it down as JSON. It needs no network, no
# toolchain and no other program than `cairn` (`make portable`) and what every Linux has. PyTorch and cairn-node are
# used where they are, and are not missed.
#
#   scripts/gpu-check.sh --out DIRECTORY [--cairn FILE] [--node FILE] [--device cuda:0] [--minutes 8]
#                        [--models "100m 1b"] [--small 10m] [--seq 2048] [--batch 8] [--rehearse yes]
#
# Each step has a time limit of its own, and what fails does not stop the rest. DIRECTORY gets a file of each step's
# output (JSON, but card.csv) and of its errors, and summary.json: each step with how it ended, how long it took, and why
# it failed.
# A rehearsal makes few steps, and gives the self-test little time: for a card that is a CPU.
set -uo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
OUT= CAIRN= NODE= DEVICE=cuda:0 MINUTES=8 MODELS="100m 1b" SMALL=10m SEQ=2048 BATCH=8 REHEARSE=no

die() {
    printf 'gpu-check: %s\n' "$*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 takes a value"
    case $1 in
    --out) OUT=$2 ;;
    --cairn) CAIRN=$2 ;;
    --node) NODE=$2 ;;
    --device) DEVICE=$2 ;;
    --minutes) MINUTES=$2 ;;
    --models) MODELS=$2 ;;
    --small) SMALL=$2 ;;
    --seq) SEQ=$2 ;;
    --batch) BATCH=$2 ;;
    --rehearse) REHEARSE=$2 ;;
    *) die "there is no option $1" ;;
    esac
    shift 2
done
[ -n "$OUT" ] || die "name a directory for what is seen: --out DIRECTORY"
[[ $MINUTES =~ ^[0-9]{1,3}$ ]] || die "--minutes $MINUTES is no number of minutes"
# Beside this script in the archive of `make portable`, else on the PATH.
if [ -z "$CAIRN" ]; then
    CAIRN=$HERE/cairn
    [ -x "$CAIRN" ] || CAIRN=$(command -v cairn) || die "there is no cairn beside this script: name it with --cairn"
fi
[ -x "$CAIRN" ] || die "$CAIRN is no program"
[ -n "$NODE" ] || NODE=$(dirname "$CAIRN")/cairn-node
mkdir -p "$OUT" || die "cannot make $OUT"
[ -z "$(ls -A "$OUT")" ] || die "$OUT is not empty: name another directory"
OUT=$(cd "$OUT" && pwd)
# What scripts/cuda-tools.sh fetched.
FETCHED=${CAIRN_CACHE:-$HOME/.cache/cairn}/cuda/lib
[ -n "${CAIRN_CUDA_LIBRARIES:-}" ] || [ ! -d "$FETCHED" ] || export CAIRN_CUDA_LIBRARIES=$FETCHED
# Kernels are compiled anew, so that this is seen, too.
export CAIRN_CACHE=$OUT/cache

# Steps that are compared, steps that are timed, seconds after which training is killed, and that the doctor and the
# self-test have.
FEW=8 MANY=10 KILL_AFTER=8 DOCTOR=20 SELFTEST=90
# Steps of the intervals that are replayed on the CPU, those before them, and sequences and tokens of each step.
AUDITED=(--steps 1,2,5,10 --after 0,40 --sequences 4 --seq 128)
# How many times its seconds a step has: a CPU is slow, and may have other work. What may take longer there, the doctor
# and the self-test, gets no more for that.
TIMES=1
# Tokens of a prompt that is read, and that are chosen behind it.
TEXT=(--prompt-tokens 64 --max-tokens 128)
if [ "$REHEARSE" != no ]; then
    FEW=1 MANY=1 KILL_AFTER=1 DOCTOR=2 SELFTEST=1 TIMES=10
    TEXT=(--prompt-tokens 3 --max-tokens 2 --repeats 1)
    AUDITED=(--steps 1 --after 0 --sequences 1 --seq 16)
fi

BEGUN=$SECONDS
left() { echo $((MINUTES * 60 - (SECONDS - BEGUN))); }

STEPS=()
# Notes how a step ended: name, outcome, seconds, and in words why, if that has to be said.
note() {
    STEPS+=("{\"step\": \"$1\", \"outcome\": \"$2\", \"seconds\": $3, \"why\": \"${4:-}\"}")
    printf '%-22s %-8s %4s s  %s\n' "$1" "$2" "$3" "${4:-}" >&2
}

# What a program said of its failure, fit to be quoted in JSON: its error, else its last line.
reason() {
    { grep -m 1 -E '^(cairn|error): ' "$1" || tail -n 1 "$1"; } 2>/dev/null |
        tr -d '\000-\037' | cut -c 1-300 | sed 's/\\/\\\\/g; s/"/\\"/g'
}

# Runs a step: name, seconds at most, command. What it prints is NAME.json, or NAME.$FORMAT.
step() {
    local name=$1 limit=$(($2 * TIMES)) begun=$SECONDS rest status
    shift 2
    rest=$(left)
    if [ "$rest" -lt 5 ]; then
        note "$name" skipped 0 "no time is left"
        return 1
    fi
    [ "$limit" -lt "$rest" ] || limit=$rest
    timeout --kill-after=5 "$limit" "$@" >"$OUT/$name.${FORMAT:-json}" 2>"$OUT/$name.err" </dev/null
    status=$?
    case $status in
    0) note "$name" done $((SECONDS - begun)) ;;
    124 | 137) note "$name" timeout $((SECONDS - begun)) "it took more than $limit s" ;;
    *) note "$name" failed $((SECONDS - begun)) "$(reason "$OUT/$name.err")" ;;
    esac
    return $status
}

# A field of a step's output that is a text or a number.
field() { sed -n "s/.*\"$2\": *\"\\{0,1\\}\\([^\",}]*\\)\"\\{0,1\\}.*/\\1/p" "$OUT/$1.json" 2>/dev/null | head -n 1; }

# Whether two runs of the same steps have the same parameters: name, and the steps to compare.
compare() {
    local one other
    one=$(field "$2" root) other=$(field "$3" root)
    if [ -z "$one" ] || [ -z "$other" ]; then
        note "$1" skipped 0 "one of $2 and $3 has no root"
    elif [ "$one" = "$other" ]; then
        note "$1" done 0 "$one"
    else
        note "$1" failed 0 "$one and $other"
    fi
}

# Training that is killed in the middle of a step.
kill_in_the_middle() {
    "$CAIRN" bench train --config "$SMALL" --seq "$SEQ" --batch "$BATCH" --device "$DEVICE" --steps 100000 --json &
    local training=$!
    sleep "$KILL_AFTER"
    kill -0 "$training" || return 1
    kill -KILL "$training"
    wait "$training"
    # Killed by this signal, and nothing else.
    [ $? = 137 ]
}

train() { echo "$CAIRN" bench train --config "$1" --seq "$SEQ" --batch "$BATCH" --device "$DEVICE" --json; }

# The libraries of PyTorch's packages serve where there is no toolkit.
libraries_of_python() {
    timeout 20 python3 - <<'PYTHON' 2>/dev/null
import importlib.util, pathlib
spec = importlib.util.find_spec("nvidia")
for place in spec.submodule_search_locations if spec else []:
    for library in sorted(pathlib.Path(place).glob("**/lib*.so*")):
        print(library)
PYTHON
}
if [ -z "${CAIRN_CUDA_LIBRARIES:-}" ] && command -v python3 >/dev/null; then
    mkdir -p "$OUT/libraries"
    libraries_of_python | while read -r library; do ln -sf "$library" "$OUT/libraries/"; done
    [ -z "$(ls -A "$OUT/libraries")" ] || export CAIRN_CUDA_LIBRARIES=$OUT/libraries
fi

if command -v nvidia-smi >/dev/null; then
    FORMAT=csv step card 10 nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit,clocks.max.sm --format=csv
else
    note card skipped 0 "there is no nvidia-smi"
fi
step doctor "$DOCTOR" "$CAIRN" doctor --json
# Every kernel, selection and AdamW to the bit, the gradient; each with its time and its share of the card's peak.
step selftest "$SELFTEST" "$CAIRN" gpu-selftest --device "$DEVICE" --json
# The same steps in two processes, the second part of which the card replays from a graph.
# shellcheck disable=SC2046
step repeat-1 40 $(train "$SMALL") --steps "$FEW"
# shellcheck disable=SC2046
step repeat-2 40 $(train "$SMALL") --steps "$FEW"
compare repeats repeat-1 repeat-2
# A shell of its own, since the limit is on a program.
export CAIRN SMALL SEQ BATCH DEVICE KILL_AFTER
export -f kill_in_the_middle
step killed 30 bash -c kill_in_the_middle
# shellcheck disable=SC2046
step after-kill 40 $(train "$SMALL") --steps "$FEW"
compare recovers repeat-1 after-kill
# Asked once: the first import alone can take many seconds.
TORCH=no
[ "$(left)" -gt 60 ] && timeout 60 python3 -c 'import torch' >/dev/null 2>&1 </dev/null && TORCH=yes
for model in $MODELS; do
    # shellcheck disable=SC2046
    step "train-$model" 90 $(train "$model") --steps "$MANY"
    if [ "$TORCH" = no ]; then
        note "torch-$model" skipped 0 "no PyTorch was found in 60 s, or no time is left"
        continue
    fi
    torch=(python3 "$HERE/torch_train.py")
    [ -e "$HERE/torch_train.py" ] || torch=(python3 "$HERE/peers/torch_train.py")
    torch+=(--config "$model" --seq "$SEQ" --batch "$BATCH" --steps "$MANY" --device "$DEVICE")
    step "torch-$model" 60 "${torch[@]}"
    step "torch-compiled-$model" 120 "${torch[@]}" --compile
done
# Text, with the keys and values of what was read kept on the card.
step generate 20 "$CAIRN" bench generate --config "$SMALL" --device "$DEVICE" "${TEXT[@]}" --json
# How far the card's steps lie from the CPU's: what an audit compares, and a run's tolerance has to allow.
step audit 60 "$CAIRN" bench audit --config "$SMALL" --device "$DEVICE" --threads "$(nproc)" "${AUDITED[@]}" --json
# A round of mining without a chain: two miners train, select and seal, their files are applied and scored, all that a
# card does of it on the card. On a CPU in its place it would take too long.
if [ "$REHEARSE" = no ]; then
    step score 60 "$CAIRN" bench score --config "$SMALL" --seq 512 --steps 10 --sequences 16 --contributions 2 \
        --rounds 1 --device "$DEVICE" --json
else
    note score skipped 0 "a rehearsal does not score"
fi
# Two rounds of a network: miners train on the card, and validators score there what they made.
if [ -x "$NODE" ]; then
    step round 240 "$CAIRN" devnet --rounds 2 --miners 2 --validators 2 --cheats 0 --device "$DEVICE" \
        --node-bin "$NODE" --json -
else
    note round skipped 0 "there is no cairn-node beside cairn"
fi

{
    printf '{\n "cairn": "%s",\n "device": "%s",\n "seconds": %s,\n "steps": [\n' \
        "$("$CAIRN" --version | tr -d '"\\')" "$DEVICE" $((SECONDS - BEGUN))
    for i in "${!STEPS[@]}"; do
        printf '  %s%s\n' "${STEPS[$i]}" "$([ "$i" = $((${#STEPS[@]} - 1)) ] || echo ,)"
    done
    printf ' ]\n}\n'
} >"$OUT/summary.json"
rm -rf "$OUT/libraries" "$OUT/cache"
echo "what was seen is in $OUT; summary.json says how each step ended" >&2
case " ${STEPS[*]} " in *'"outcome": "failed"'* | *'"outcome": "timeout"'*) exit 1 ;; esac
