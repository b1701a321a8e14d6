#!/usr/bin/env bash
# substrate-interface decodes with another package's code as soon as async-substrate-interface lies beside it.
#
# Versions: substrate-interface 1.8.1 with scalecodec 1.2.12; async-substrate-interface 2.2.1 with cyscale 0.8.0.
#
# Both scalecodec and cyscale install a package named `scalecodec`. cyscale brings compiled modules, which Python
# prefers to the .py files of scalecodec, whichever was installed last. Seen in one environment with both:
#
#   - pip installs both and `pip check` finds nothing broken;
#   - `import async_substrate_interface` is refused: it looks for this very case, and its README says so;
#   - `import substrateinterface` works, and says nothing, but its codec is now cyscale's:
#     a BTreeMap<u32,u32> decodes to {1: 2} instead of [(1, 2)].
#
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
first=(substrate-interface==1.8.1 scalecodec==1.2.12)
second=(async-substrate-interface==2.2.1 cyscale==0.8.0)

cat >"$directory/decode.py" <<'PYTHON'
from substrateinterface import SubstrateInterface  # noqa: F401
from scalecodec.base import RuntimeConfigurationObject, ScaleBytes
from scalecodec.type_registry import load_type_registry_preset

runtime = RuntimeConfigurationObject()
runtime.update_type_registry(load_type_registry_preset("legacy"))
# one entry: 1 to 2
pairs = runtime.create_scale_object("BTreeMap<u32,u32>", ScaleBytes("0x040100000002000000"))
print(pairs.decode())
PYTHON

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-67s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}
make_venv() {
    local venv=$directory/$1
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "${@:2}"
}
decode() { "$directory/$1/bin/python" "$directory/decode.py" 2>&1 | tail -n 1; }

make_venv alone "${first[@]}"
make_venv later "${first[@]}"
"$directory/later/bin/pip" install -q --disable-pip-version-check "${second[@]}"
make_venv earlier "${second[@]}"
"$directory/earlier/bin/pip" install -q --disable-pip-version-check "${first[@]}"

expect 'substrate-interface alone decodes' '[(1, 2)]' "$(decode alone)"
for venv in later earlier; do
    case $venv in
        later) how='substrate-interface first' ;;
        earlier) how='async-substrate-interface first' ;;
    esac
    checked=$("$directory/$venv/bin/pip" check)
    expect "$how: pip check" 'No broken requirements found.' "$checked"
    imported=refused
    "$directory/$venv/bin/python" -c 'import async_substrate_interface' 2>/dev/null && imported=works
    expect "$how: import async_substrate_interface" refused "$imported"
    expect "$how: substrate-interface decodes" '{1: 2}' "$(decode "$venv")"
done
exit "$failed"
