"""Makes the files of Bittensor: with bittensor-wallet installed, `python make.py FOLDER`."""
import json
import pathlib
import sys

from bittensor_wallet import Keypair
from bittensor_wallet.keyfile import encrypt_keyfile_data, serialized_keypair_to_keyfile_data

FOLDER = pathlib.Path(sys.argv[1])
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
PASSPHRASE = "throw-away passphrase"


def write(name, data):
    (FOLDER / name).write_bytes(bytes(data))


of_phrase = bytes(serialized_keypair_to_keyfile_data(Keypair.create_from_mnemonic(PHRASE)))
write("bittensor.json", of_phrase)
write("bittensor.nacl", encrypt_keyfile_data(of_phrase, PASSPHRASE))
of_uri = Keypair.create_from_uri(PHRASE + "//hard/soft")
write("bittensor-derived.json", serialized_keypair_to_keyfile_data(of_uri))
of_seed = Keypair.create_from_seed(json.loads(of_phrase)["secretSeed"])
write("bittensor-seed.json", serialized_keypair_to_keyfile_data(of_seed))
ed25519 = Keypair.create_from_mnemonic(PHRASE, crypto_type=0)
write("bittensor-ed25519.json", serialized_keypair_to_keyfile_data(ed25519))
public = {key: value for key, value in json.loads(of_phrase).items() if not key.startswith(("secret", "private"))}
write("bittensor-public.txt", json.dumps(public).encode())
