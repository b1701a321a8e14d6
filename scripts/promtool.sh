#!/usr/bin/env bash
# Holds metrics, alert rules and dashboards against Prometheus' own tool. Debian's package is unpacked into the cache
# and not installed, so no service starts and nobody has to be root. Safe to run again. With --if-installed it takes
# nothing from Debian: where there is no tool it says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

CACHE=${CAIRN_CACHE:-$HOME/.cache/cairn}
DEST=$CACHE/prometheus

say() { printf 'promtool: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

find_promtool() {
    command -v promtool && return
    [ -x "$DEST/usr/bin/promtool" ] && echo "$DEST/usr/bin/promtool" && return
    [ "$1" != --if-installed ] || return 0
    command -v apt-get >/dev/null || die "install promtool, which is part of Prometheus, and run this again"
    say "unpacking Debian's package prometheus into $DEST"
    mkdir -p "$DEST"
    (cd "$DEST" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) \
        >"$DEST.log" 2>&1 || die "the package cannot be had (apt-get update?); the log is $DEST.log"
    echo "$DEST/usr/bin/promtool"
}
PROMTOOL=$(find_promtool "${1:-}")
[ -n "$PROMTOOL" ] || { say "left out: promtool is not installed here; \`make promtool\` gets it" && exit 0; }

for exposition in ops/metrics/worker.prom ops/metrics/node.prom; do
    say "check metrics $exposition"
    "$PROMTOOL" check metrics <"$exposition"
done
"$PROMTOOL" check config ops/prometheus/prometheus.yml
"$PROMTOOL" test rules ops/prometheus/alerts.test.yml

# Queries of dashboards, as rules: so the same parser reads them. Grafana's variables become what they stand for.
QUERIES=$(mktemp)
trap 'rm -f "$QUERIES"' EXIT
{
    echo 'groups:'
    echo '- name: dashboards'
    echo '  rules:'
    grep -ho '"expr": ".*"' ops/grafana/*.json | sed 's/\$__rate_interval/5m/g; s/"expr": /expr: /' |
        awk '{ print "  - record: query" NR; print "    " $0 }'
} >"$QUERIES"
"$PROMTOOL" check rules --lint=none "$QUERIES"
