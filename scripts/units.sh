#!/usr/bin/env bash
# Holds the systemd units against systemd's own tool: that they can be read, and how little they may do. Where there is
# no systemd-analyze it says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# What `systemd-analyze security` may find at most, of 100: 0 is a unit that can do nothing.
MOST_EXPOSED=20

say() { printf 'units: %s\n' "$*" >&2; }
command -v systemd-analyze >/dev/null || { say "left out: there is no systemd-analyze here" && exit 0; }

# The programs need not be there: what is asked is whether the units are right.
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
mkdir -p "$ROOT/usr/bin" "$ROOT/etc/systemd/system"
for program in cairn cairn-node; do install -m755 /dev/null "$ROOT/usr/bin/$program"; done
for unit in sysinit.target basic.target shutdown.target network-online.target multi-user.target; do
    printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$unit" >"$ROOT/etc/systemd/system/$unit"
done
cp ops/systemd/*.service "$ROOT/etc/systemd/system/"
for unit in ops/systemd/*.service; do
    name=$(basename "$unit")
    # It says what is wrong, and does not always fail.
    faults=$(systemd-analyze verify --man=no --root="$ROOT" "$name" 2>&1) || true
    [ -z "$faults" ] || { say "$name: $faults" && exit 1; }
    systemd-analyze security --offline=true --no-pager --root="$ROOT" --threshold="$MOST_EXPOSED" "$name" |
        tail -n 1
done
