#!/usr/bin/env bash
# Ranks that torchrun started live on when its process group is killed.
#
# Version: PyTorch 2.15.0.
#
# A supervisor ends a program with all that belongs to it by a SIGKILL to its process group. torchrun starts each rank
# in a session of its own, so ranks are not in that group, and nothing tells them. Seen: after `kill -9 -- -GROUP` the
# launcher is gone, and its ranks run on, with the memory and cards that they hold, under process 1 or a subreaper.
# On Linux a rank that asks for it (prctl PR_SET_PDEATHSIG) is ended with its launcher.
#
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, a package index, and room
# for 6 GB, since PyTorch's wheel brings CUDA along.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
packages=(torch==2.15.0)
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check "${packages[@]}"
python=$directory/venv/bin/python

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-44s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}

# Each rank says which process it is, then waits to be ended, for a minute at most.
mkfifo "$directory/ranks"
exec 3<>"$directory/ranks"
cat >"$directory/wait.py" <<'PYTHON'
import ctypes
import os
import signal
import sys
import time

if "die" in sys.argv:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
with open(sys.argv[1], "w") as ranks:
    ranks.write(f"{os.getpid()}\n")
time.sleep(60)
PYTHON

# after_kill MODE: what has become of the ranks once their launcher's group was killed; each has two seconds to end
after_kill() {
    setsid "$python" -m torch.distributed.run --standalone --nproc-per-node=2 \
        "$directory/wait.py" "$directory/ranks" "$1" >/dev/null 2>&1 &
    local launcher=$! one other pid state living=0
    read -r -t 120 one <&3
    read -r -t 120 other <&3
    kill -9 -- "-$launcher"
    wait "$launcher" 2>/dev/null || true
    for pid in "$one" "$other"; do
        timeout 2 tail --pid="$pid" -f /dev/null || true
        state=$(cut -d ' ' -f 3 "/proc/$pid/stat" 2>/dev/null || echo gone)
        [[ $state == gone || $state == Z ]] || { living=$((living + 1)); kill -9 "$pid"; }
    done
    echo "$living of 2 ranks live"
}

expect 'ranks as they are' '2 of 2 ranks live' "$(after_kill stay)"
expect 'ranks that ask to be ended' '0 of 2 ranks live' "$(after_kill die)"
exit "$failed"
