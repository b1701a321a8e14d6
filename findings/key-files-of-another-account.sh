#!/usr/bin/env bash
# polkadot.js and bittensor-wallet open a key file that states one account and holds the key of another.
#
# Versions: @polkadot/keyring and @polkadot/util-crypto 14.0.3; bittensor-wallet 4.1.1.
#
# Both formats state an address beside the secret, so one expects a file whose address was changed to be refused when it
# is opened. Seen:
#
#   - polkadot.js shows the stated address until the pair is unlocked; then the pair has another address, without an
#     error, and the keyring still gives it to whoever asks for the stated one;
#   - bittensor-wallet takes the phrase, and looks at none of publicKey, accountId and ss58Address.
#
# So a file that somebody was given, to receive money on or to sign with, can be another account than it shows.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs node, npm and python3 with venv, and package
# indexes.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
alice=5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
bob=5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-58s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}

cat >open.mjs <<'JS'
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady } from '@polkadot/util-crypto';

await cryptoWaitReady();
const [, , stated] = process.argv;
const file = new Keyring({ type: 'sr25519' }).addFromUri('//Bob').toJson('passphrase');
file.address = stated;
const keyring = new Keyring();
const pair = keyring.addFromJson(file);
const before = pair.address;
pair.unlock('passphrase');
console.log(before, pair.address, keyring.getPair(stated).address);
JS
npm install --silent --no-fund --no-audit @polkadot/keyring@14.0.3 @polkadot/util-crypto@14.0.3 >/dev/null
read -r before after asked < <(node open.mjs "$alice")
expect "polkadot.js, a file of Bob's key that states Alice's, locked" "$alice" "$before"
expect 'the same, unlocked' "$bob" "$after"
expect "the same, asked for by Alice's address" "$bob" "$asked"

cat >open.py <<'PYTHON'
import json
import sys

from bittensor_wallet import Keypair
from bittensor_wallet.keyfile import deserialize_keypair_from_keyfile_data, serialized_keypair_to_keyfile_data

stated = sys.argv[1]
phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow"
key = Keypair.create_from_mnemonic(phrase)
file = json.loads(bytes(serialized_keypair_to_keyfile_data(key)))
public = "0x" + bytes(Keypair(ss58_address=stated).public_key).hex()
file.update(ss58Address=stated, publicKey=public, accountId=public)
opened = deserialize_keypair_from_keyfile_data(json.dumps(file).encode())
print("another" if opened.ss58_address == key.ss58_address != stated else opened.ss58_address)
PYTHON
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check bittensor-wallet==4.1.1
expect "bittensor-wallet, a file that states Alice's, opened" another "$(venv/bin/python open.py "$alice")"
exit "$failed"
