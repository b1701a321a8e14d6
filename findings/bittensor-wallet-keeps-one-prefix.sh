#!/usr/bin/env bash
# A key pair of bittensor-wallet takes the prefix of its addresses, says that it has it, and writes them with another.
#
# Versions: bittensor-wallet 4.1.1; substrate-interface 1.8.1, whose Keypair has the same parameters.
#
# Both classes are made by `Keypair(public_key=…, ss58_format=…)`, and the one is used in place of the other. Seen:
#
#   - with ss58_format=63, substrate-interface's address begins with 7; bittensor-wallet's is that of prefix 42, while
#     its ss58_format is 63;
#   - made from an address of prefix 63, bittensor-wallet's shows that one, while its ss58_format is 42;
#   - a prefix of two bytes, such as 11077, is an OverflowError: it keeps a prefix in a byte.
#
# So a key of a chain with another prefix than 42 is shown by an address that begins with 5, and no comparison of texts
# finds it among those that the chain's other tools show: compare public keys.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check bittensor-wallet==4.1.1 substrate-interface==1.8.1

cat >"$directory/prefix.py" <<'PYTHON'
import bittensor_wallet
import substrateinterface

KEY = "0x" + "07" * 32


def shown(make):
    try:
        pair = make()
    except OverflowError:
        return "OverflowError"
    return f"{pair.ss58_format} {pair.ss58_address}"


def of(kind, prefix):
    return shown(lambda: kind(public_key=KEY, ss58_format=prefix))


theirs, other = bittensor_wallet.Keypair, substrateinterface.Keypair
for prefix in (42, 63, 11077):
    print(f"substrate-interface, ss58_format={prefix}|{of(other, prefix)}")
    print(f"bittensor-wallet, ss58_format={prefix}|{of(theirs, prefix)}")
address = other(public_key=KEY, ss58_format=63).ss58_address
print(f"bittensor-wallet, of an address of prefix 63|{shown(lambda: theirs(ss58_address=address))}")
PYTHON
found=$("$directory/venv/bin/python" "$directory/prefix.py")
expected='substrate-interface, ss58_format=42|42 5CDvHBym6RLoxTdX9MS1acpaDbNxaFagqM5LpBiFGjWT6o1n
bittensor-wallet, ss58_format=42|42 5CDvHBym6RLoxTdX9MS1acpaDbNxaFagqM5LpBiFGjWT6o1n
substrate-interface, ss58_format=63|63 7Hkmi2MEAXi5Eh8GAXuWWYQVnnP8j6oco6i6jYDZzgzh1QJg
bittensor-wallet, ss58_format=63|63 5CDvHBym6RLoxTdX9MS1acpaDbNxaFagqM5LpBiFGjWT6o1n
substrate-interface, ss58_format=11077|11077 criVs1jMGUHuckTfwFzV5AAnfqjwVDTDUYUaTGiJ9XF5FBFag
bittensor-wallet, ss58_format=11077|OverflowError
bittensor-wallet, of an address of prefix 63|42 7Hkmi2MEAXi5Eh8GAXuWWYQVnnP8j6oco6i6jYDZzgzh1QJg'
printf '%s\n' "$found" | tr '|' '\t'
if [[ $found != "$expected" ]]; then
    echo "changed: it was" >&2
    printf '%s\n' "$expected" >&2
    exit 1
fi
