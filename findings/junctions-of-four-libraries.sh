#!/usr/bin/env bash
# One secret URI is up to four accounts: libraries read what stands behind a slash as a number, bytes or a text.
#
# Versions: @polkadot/keyring and @polkadot/util-crypto 14.0.3; @polkadot-labs/hdkd 0.0.28 with hdkd-helpers 0.0.30;
# substrate-interface 1.8.1; bittensor-wallet 4.1.1.
#
# Substrate reads a junction as a number if it is a u64 in decimal digits, and else as a text; so does
# bittensor-wallet. `//Alice` and `//1` are the same everywhere. Seen:
#
#   - `//0x1234` is another account in each of the four: a text (bittensor-wallet), its two bytes with no length before
#     them (polkadot.js), with one (substrate-interface), and the number 4660 (hdkd);
#   - hdkd asks JavaScript what is a number, and keeps 32 bits of it: `//1e3` is `//1000`, `//4294967296` is `//0`;
#   - from 2⁶⁴ on polkadot.js and substrate-interface still see a number, and bittensor-wallet a text.
#
# So keys that one tool derives from hashes, or from numbers that large, are not found again by another.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs node, npm and python3 with venv, and package
# indexes.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
npm install --silent --no-fund --no-audit @polkadot/keyring@14.0.3 @polkadot/util-crypto@14.0.3 \
    @polkadot-labs/hdkd@0.0.28 @polkadot-labs/hdkd-helpers@0.0.30 >/dev/null
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check substrate-interface==1.8.1 bittensor-wallet==4.1.1
paths=(//Alice //1 //0x1234 //4660 //1e3 //1000 //4294967296 //0 //18446744073709551616)

cat >derive.mjs <<'JS'
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady } from '@polkadot/util-crypto';
import { sr25519CreateDerive } from '@polkadot-labs/hdkd';
import { DEV_MINI_SECRET, ss58Address } from '@polkadot-labs/hdkd-helpers';

await cryptoWaitReady();
for (const path of process.argv.slice(2)) {
  console.log('polkadot.js', path, new Keyring({ type: 'sr25519' }).addFromUri(path).address);
  console.log('hdkd', path, ss58Address(sr25519CreateDerive(DEV_MINI_SECRET)(path).publicKey, 42));
}
JS
cat >derive.py <<'PYTHON'
import sys

import bittensor_wallet
import substrateinterface

for path in sys.argv[1:]:
    print("bittensor-wallet", path, bittensor_wallet.Keypair.create_from_uri(path).ss58_address)
    print("substrate-interface", path, substrateinterface.Keypair.create_from_uri(path).ss58_address)
PYTHON
{ node derive.mjs "${paths[@]}"; venv/bin/python derive.py "${paths[@]}"; } >accounts

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-46s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}
# of LIBRARY PATH: the account
of() { awk -v library="$1" -v path="$2" '$1 == library && $2 == path { print $3 }' accounts; }
# many PATH: how many accounts it is
many() { awk -v path="$1" '$2 == path { print $3 }' accounts | sort -u | wc -l; }

expect '//Alice, accounts' 1 "$(many //Alice)"
expect '//1, accounts' 1 "$(many //1)"
expect '//0x1234, accounts' 4 "$(many //0x1234)"
for line in bittensor-wallet:5DqRiB7pu1bhbxL4UrYc9M8kiUB3iyZxQRrWp4QuWbe7dqeK \
    polkadot.js:5GTDe5kKjgcgHGssaexX9KY6n6QTorydNtDdGrMTRXmmQnXF \
    substrate-interface:5Eqn5uX35PB8wB5ts872act36gzFQYeuQHaZC7LcUc3Vgx7s; do
    expect "//0x1234, ${line%%:*}" "${line#*:}" "$(of "${line%%:*}" //0x1234)"
done
expect '//0x1234, hdkd: that of //4660' "$(of hdkd //4660)" "$(of hdkd //0x1234)"
expect '//1e3, accounts' 2 "$(many //1e3)"
expect '//1e3, hdkd: that of //1000' "$(of hdkd //1000)" "$(of hdkd //1e3)"
expect '//4294967296, accounts' 2 "$(many //4294967296)"
expect '//4294967296, hdkd: that of //0' "$(of hdkd //0)" "$(of hdkd //4294967296)"
expect '//18446744073709551616, accounts' 3 "$(many //18446744073709551616)"
exit "$failed"
