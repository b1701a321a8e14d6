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
# Ends with 0 while this is so, and with 1 and what changed if not. Takes Python with PyTorch from $PYTHON, else from
# what `make engine-torch` installs.
set -euo pipefail

python=${PYTHON:-${CAIRN_CACHE:-$HOME/.cache/cairn}/engine-torch/bin/python}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-44s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}

# Each rank writes its number, then waits to be ended, for a minute at most.
cat >"$directory/wait.py" <<'PYTHON'
import ctypes
import os
import signal
import sys
import time

if "die" in sys.argv:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
path = sys.argv[1] + "/" + os.environ["RANK"]
with open(path + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(path + ".part", path)
time.sleep(60)
PYTHON

# after_kill MODE: what has become of the ranks two seconds after their launcher's group was killed
after_kill() {
    rm -f "$directory/0" "$directory/1"
    setsid "$python" -m torch.distributed.run --standalone --nproc-per-node=2 "$directory/wait.py" "$directory" "$1" \
        >/dev/null 2>&1 &
    local launcher=$! pid state living=0
    until [[ -e $directory/0 && -e $directory/1 ]]; do sleep 0.1; done
    kill -9 -- "-$launcher"
    wait "$launcher" 2>/dev/null || true
    sleep 2
    for rank in 0 1; do
        pid=$(cat "$directory/$rank")
        state=$(cut -d ' ' -f 3 "/proc/$pid/stat" 2>/dev/null || echo gone)
        [[ $state == gone || $state == Z ]] || { living=$((living + 1)); kill -9 "$pid"; }
    done
    echo "$living of 2 ranks live"
}

expect 'ranks as they are' '2 of 2 ranks live' "$(after_kill stay)"
expect 'ranks that ask to be ended' '0 of 2 ranks live' "$(after_kill die)"
exit "$failed"
