# Sourced by what tries packages in containers: podman with images, containers, volumes and networks in a directory of
# their own, $WORK, which `clean` removes with all that runs there. It needs root, and podman, runc and netavark of
# Debian. Not a program.

[ "$(id -u)" = 0 ] || die "it needs root"
# netavark calls iptables, which its package only recommends.
for tool in podman runc iptables curl; do
    command -v "$tool" >/dev/null ||
        die "$tool is missing: apt-get install podman podman-compose runc netavark aardvark-dns iptables curl"
done
WORK=$(mktemp -d)
cat >"$WORK/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$WORK/graph"
runroot = "$WORK/run"
CONF
# runc, since crun refuses where both kinds of control groups are mounted; limits that also a machine within a machine
# may set.
cat >"$WORK/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
[network]
network_config_dir = "$WORK/networks"
[engine]
runtime = "runc"
volume_path = "$WORK/volumes"
tmp_dir = "$WORK/tmp"
CONF
export CONTAINERS_STORAGE_CONF=$WORK/storage.conf CONTAINERS_CONF=$WORK/containers.conf
clean() {
    podman ps -aq | xargs -r podman rm -f -t 5 >/dev/null 2>&1 || true
    podman network ls -q | grep '^cairn-try' | xargs -r podman network rm -f >/dev/null 2>&1 || true
    # What was broken off may have left mounts.
    mount | awk -v work="$WORK/" 'index($3, work) == 1 { print $3 }' | sort -r | xargs -r umount -l 2>/dev/null || true
    rm -rf --one-file-system "$WORK"
}
trap clean EXIT

# After this many tries, a second apart, something is wrong on however busy a machine.
TRIES=900
# until_it "WHAT" COMMAND...: asks until the command succeeds.
until_it() {
    local what=$1
    shift
    for _ in $(seq $TRIES); do
        "$@" >>"$WORK/log" 2>&1 && say "$what" && return
        sleep 1
    done
    failed "not so: $what"
}
# failed WHY: with the last lines of what went before.
failed() {
    for name in $(podman ps -a --format '{{.Names}}'); do
        say "$name: $(podman logs --tail 1 "$name" 2>&1 || true)"
    done
    tail -n 20 "$WORK/log" >&2
    die "$1"
}
