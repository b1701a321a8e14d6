#!/usr/bin/env bash
# Stock wallets open the key files that `cairn wallet export` writes, and sign with them; with another passphrase they
# do not. The other direction, from files that stock wallets made, is a test of cairn-keys.
#
# Usage: tests/wallets/run.sh [CAIRN]. Needs node, npm and python3 with venv, and package indexes. Takes a minute.
set -euo pipefail

cairn=$(realpath "${1:-target/debug/cairn}")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
export CAIRN_WALLET_DIR=$directory/wallets
passphrase='correct horse battery'

npm install --silent --no-fund --no-audit @polkadot/keyring@14.0.3 @polkadot/util-crypto@14.0.3 >/dev/null
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check bittensor-wallet==4.1.1

CAIRN_PASSPHRASE=$passphrase "$cairn" wallet new cold --json >cold
"$cairn" wallet new hot --plain --json >hot
export_to() { "$cairn" wallet export "$1" --format "$2" --out "$3" "${@:4}" --json >/dev/null; }
CAIRN_PASSPHRASE=$passphrase export_to cold polkadot-js cold.json
CAIRN_PASSPHRASE=$passphrase export_to cold bittensor cold.nacl
export_to hot polkadot-js hot.json --plain
export_to hot bittensor hot.plain --plain

cat >open.mjs <<'JS'
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady, signatureVerify } from '@polkadot/util-crypto';

await cryptoWaitReady();
const json = (file) => JSON.parse(readFileSync(file, 'utf8'));
for (const [name, passphrase] of [['cold', process.argv[2]], ['hot', undefined]]) {
  const pair = new Keyring().addFromJson(json(`${name}.json`));
  pair.unlock(passphrase);
  const { address } = json(name);
  assert.equal(pair.address, address);
  assert.equal(pair.meta.name, name);
  assert(signatureVerify('message', pair.sign('message'), address).isValid);
  console.log(`polkadot.js opens the file of ${name}`);
}
const pair = new Keyring().addFromJson(json('cold.json'));
assert.throws(() => pair.unlock('another passphrase'));
JS
node open.mjs "$passphrase"

cat >open.py <<'PYTHON'
import json
import sys

from bittensor_wallet import Keypair
from bittensor_wallet.keyfile import decrypt_keyfile_data, deserialize_keypair_from_keyfile_data

passphrase = sys.argv[1]


def read(name):
    with open(name, "rb") as file:
        return file.read()


def check(name, pair):
    assert pair.ss58_address == json.loads(read(name))["address"]
    assert pair.verify(b"message", pair.sign(b"message"))


check("hot", deserialize_keypair_from_keyfile_data(read("hot.plain")))
check("cold", deserialize_keypair_from_keyfile_data(bytes(decrypt_keyfile_data(read("cold.nacl"), passphrase))))
check("cold", Keypair.create_from_encrypted_json(read("cold.json").decode(), passphrase))
try:
    decrypt_keyfile_data(read("cold.nacl"), "another passphrase")
except Exception:
    print("bittensor-wallet opens the files of hot and cold")
else:
    sys.exit("another passphrase opened cold.nacl")
PYTHON
venv/bin/python open.py "$passphrase" | grep -v '^Decrypting'
