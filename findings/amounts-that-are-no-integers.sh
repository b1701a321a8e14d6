#!/usr/bin/env bash
# Four of five SCALE codecs cut off what an amount has behind the point, and polkadot.js alone refuses it.
#
# Versions: scalecodec 1.2.12 (substrate-interface); cyscale 0.8.0 (async-substrate-interface);
# @polkadot-api/substrate-bindings 0.21.0 with scale-ts 1.6.1 (papi); @dedot/shape 1.3.0 (dedot);
# @polkadot/types 16.5.6 (polkadot.js).
#
# 1.001 CRN are 1,001,000,000 pebble, but `1.001 * 10**9` is 1000999999.9999999 in Python and JavaScript. An amount is
# an integer on chain, so one expects a codec to refuse that. Seen for Compact<u64>, which a transfer's amount is:
#
#   - all but polkadot.js encode 1,000,999,999 and say nothing;
#   - with a plain u64 papi's and dedot's refuse it, and the two for Python still cut it off.
#
# papi and dedot look at a call's arguments before they encode it, so it is those who use the codecs alone, and all
# users of the two clients for Python, who send or stake a pebble less. They should make pebble of integers.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs node, npm and python3 with venv, and package
# indexes.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
npm install --silent --no-fund --no-audit @polkadot-api/substrate-bindings@0.21.0 scale-ts@1.6.1 @dedot/shape@1.3.0 \
    @polkadot/types@16.5.6 >/dev/null
for package in scalecodec==1.2.12 cyscale==0.8.0; do
    python3 -m venv "${package%%=*}"
    "${package%%=*}/bin/pip" install -q --disable-pip-version-check "$package"
done

cat >encode.mjs <<'JS'
import * as papi from '@polkadot-api/substrate-bindings';
import * as dedot from '@dedot/shape';
import { TypeRegistry } from '@polkadot/types';

const registry = new TypeRegistry();
const encoders = [
  ['papi', papi.compactBn.enc, papi.u64.enc],
  ['dedot', (n) => dedot.compactU64.tryEncode(n), (n) => dedot.u64.tryEncode(n)],
  ['polkadot.js', ...['Compact<u64>', 'u64'].map((type) => (n) => registry.createType(type, n).toU8a())],
];
const hex = (encode, n) => {
  try {
    return Buffer.from(encode(n)).toString('hex');
  } catch {
    return 'refused';
  }
};
const cut = 1.001 * 10 ** 9;
for (const [library, compact, plain] of encoders)
  console.log(library, hex(compact, 1001000000n), hex(compact, cut), hex(plain, cut));
JS
cat >encode.py <<'PYTHON'
import sys

from scalecodec.base import RuntimeConfigurationObject
from scalecodec.type_registry import load_type_registry_preset

runtime = RuntimeConfigurationObject()
runtime.update_type_registry(load_type_registry_preset("legacy"))


def encoded(name, amount):
    try:
        return runtime.create_scale_object(name).encode(amount).to_hex()[2:]
    except (TypeError, ValueError):
        return "refused"


cut = 1.001 * 10**9
print(sys.argv[1], encoded("Compact<u64>", 1001000000), encoded("Compact<u64>", cut), encoded("u64", cut))
PYTHON
{
    for library in scalecodec cyscale; do "$library/bin/python" encode.py "$library"; done
    node encode.mjs
} >encoded

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-34s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}
while read -r library whole compact plain; do
    # 1,000,999,999 in either type
    wanted=fe30a8ee wanted_plain=refused
    case $library in
        polkadot.js) wanted=refused ;;
        scalecodec | cyscale) wanted_plain=3f0caa3b00000000 ;;
    esac
    expect "$library, 1001000000" 0231a8ee "$whole"
    expect "$library, 1.001 * 10**9" "$wanted" "$compact"
    expect "$library, the same as u64" "$wanted_plain" "$plain"
done <encoded
expect 'libraries' 5 "$(wc -l <encoded)"
exit "$failed"
