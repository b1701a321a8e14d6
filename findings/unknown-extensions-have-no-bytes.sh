#!/usr/bin/env bash
# A polkadot.js that does not know a transaction's extension signs and reads as if that had no bytes: a transfer is then
# another call.
#
# Versions: @polkadot/types 10.13.1 with @polkadot/keyring 12.6.2, which @substrate/api-sidecar 18.0.0 brings along;
# @polkadot/types 16.5.6 with @polkadot/keyring 14.0.1; the metadata is of @polkadot/types-support 16.5.6.
#
# Metadata says which extensions a transaction has and of which type what they add to it is. So one expects a library
# to encode an extension that it has not met by that type, or to refuse. Seen with Polkadot's and Kusama's own metadata,
# which have `CheckMetadataHash` (one byte):
#
#   - version 10 tells in its log that it treats the extension as one without effect, and signs: what it made is a byte
#     shorter than what version 16 makes of the same call, and the chain reads the call's first byte as the extension;
#   - given what version 16 made, version 10 does not say that it lacks an extension: it reads a call of the pallet
#     `system` where there is a transfer.
#
# So sign with a version that knows all that a chain's metadata lists, or name the extension to the registry.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs node, npm, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
# install DIRECTORY TYPES KEYRING
install() {
    mkdir "$1"
    npm install --silent --no-fund --no-audit --prefix "$1" "@polkadot/types@$2" "@polkadot/keyring@$3" \
        "@polkadot/util-crypto@$3" @polkadot/types-support@16.5.6 >/dev/null
}
install old 10.13.1 12.6.2
install new 16.5.6 14.0.1

cat >transfer.mjs <<'JS'
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [chain, read] = process.argv.slice(2);
const load = (from) => createRequire(join(process.cwd(), from, 'any.cjs'));
const { expandMetadata, Metadata, TypeRegistry } = load('.')('@polkadot/types');
const { Keyring } = load('.')('@polkadot/keyring');
const wrapped = load('../new')(`@polkadot/types-support/metadata/v15/${chain}-hex`).default;
const registry = new TypeRegistry();
// Behind the bytes in which a runtime API wraps it.
const metadata = new Metadata(registry, `0x${wrapped.slice(wrapped.indexOf('6d657461'))}`);
registry.setMetadata(metadata);
if (read) {
  try {
    const { method } = registry.createType('Extrinsic', read);
    console.log(`${method.section}.${method.method}`);
  } catch (error) {
    console.log(error.message.match(/failed decoding (\w+)\./)?.[1] ?? 'another error');
  }
} else {
  const pair = new Keyring({ type: 'ed25519' }).addFromUri('//Alice');
  const call = expandMetadata(registry, metadata).tx.balances.transferKeepAlive(pair.address, 1000);
  const genesisHash = `0x${'11'.repeat(32)}`;
  const extrinsic = registry.createType('Extrinsic', call, { version: 4 });
  extrinsic.sign(pair, {
    blockHash: genesisHash, era: registry.createType('ExtrinsicEra'), genesisHash, nonce: 0,
    runtimeVersion: { specVersion: 1, transactionVersion: 1 }, tip: 0,
  });
  console.log(extrinsic.toHex());
}
JS
# with VERSION ARGUMENTS...
with() { (cd "$1" && node ../transfer.mjs "${@:2}" 2>"$directory/log"); }

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-52s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}
for chain in polkadot kusama; do
    old=$(with old "$chain")
    expect "$chain, what version 10 says" 1 "$(grep -c 'CheckMetadataHash found, treating' "$directory/log")"
    new=$(with new "$chain")
    expect "$chain, bytes that version 10 leaves out" 1 "$(((${#new} - ${#old}) / 2))"
    expect "$chain, version 16 reads its own" balances.transferKeepAlive "$(with new "$chain" "$new")"
    expect "$chain, version 10 reads it as a call of" system "$(with old "$chain" "$new")"
done
exit "$failed"
