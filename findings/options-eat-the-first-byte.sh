#!/usr/bin/env bash
# Bytes given to polkadot.js for an option lose their first, and one hash in 256 becomes nothing without a word.
#
# Versions: @polkadot/types and @polkadot/types-support 16.5.6; @polkadot-api/merkleize-metadata 1.2.3.
#
# `merkleizeMetadata(…).digest()` gives 32 bytes, and a signed extension of polkadot.js takes a digest of metadata as
# `Option<[u8;32]>`. One expects the one to go into the other, as it does for `[u8;32]`. Seen:
#
#   - a Uint8Array is taken for an option that is encoded already, whatever its first byte is: this one is dropped, and
#     31 bytes are refused;
#   - if the first byte is 0 the value is None, and nothing is refused: whoever signs a digest by this way signs none;
#   - a plain array of the same numbers, and hexadecimal, are taken as they are.
#
# So give hashes to options of polkadot.js in hexadecimal.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs node, npm, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
npm install --silent --no-fund --no-audit @polkadot/types@16.5.6 @polkadot/types-support@16.5.6 \
    @polkadot-api/merkleize-metadata@1.2.3 >/dev/null

cat >options.mjs <<'JS'
import { TypeRegistry } from '@polkadot/types';
import metadata from '@polkadot/types-support/metadata/v15/substrate-hex';
import { merkleizeMetadata } from '@polkadot-api/merkleize-metadata';

const registry = new TypeRegistry();
const taken = (type, value) => {
  try {
    const made = registry.createType(type, value);
    return made.isNone ? 'none' : made.toHex();
  } catch (error) {
    return /found 31 bytes/.test(error.message) ? 'refused-31-bytes' : 'refused';
  }
};
const hash = (first) => Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? first : at));
const hex = (bytes) => `0x${Buffer.from(bytes).toString('hex')}`;
const digest = merkleizeMetadata(metadata, { tokenSymbol: 'UNIT', decimals: 12 }).digest();
for (const [name, bytes] of [['00', hash(0x00)], ['01', hash(0x01)], ['digest', digest]]) {
  const as = (type, value) => {
    const found = taken(type, value);
    return found === hex(bytes) ? 'whole' : found;
  };
  const option = 'Option<[u8;32]>';
  console.log(name, as('[u8;32]', bytes), as(option, bytes), as(option, [...bytes]), as(option, hex(bytes)));
}
JS
node options.mjs >options

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-44s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}
while read -r name plain bytes array hexadecimal; do
    wanted=refused-31-bytes
    [ "$name" != 00 ] || wanted=none
    expect "[u8;32], bytes: $name" whole "$plain"
    expect "Option<[u8;32]>, the same bytes" "$wanted" "$bytes"
    expect "Option<[u8;32]>, an array of them" whole "$array"
    expect "Option<[u8;32]>, hexadecimal" whole "$hexadecimal"
done <options
expect 'hashes' 3 "$(wc -l <options)"
exit "$failed"
