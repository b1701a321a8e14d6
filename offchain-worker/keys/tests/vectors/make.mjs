// Makes the files of polkadot.js: in a folder with @polkadot/keyring, `node make.mjs FOLDER`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady, jsonEncrypt, naclEncrypt, scryptEncode, scryptToU8a } from '@polkadot/util-crypto';
import { u8aConcat } from '@polkadot/util';

const folder = process.argv[2];
const phrase = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const passphrase = 'throw-away passphrase';
const write = (name, json) => writeFileSync(join(folder, name), JSON.stringify(json));

await cryptoWaitReady();
const sr25519 = new Keyring({ type: 'sr25519' });
const pair = sr25519.addFromUri(phrase, { name: 'vector' });
write('polkadot-js.json', pair.toJson(passphrase));
write('polkadot-js-plain.json', pair.toJson());
write('polkadot-js-soft.json', sr25519.addFromUri(`${phrase}//hard/soft`).toJson(passphrase));
write('polkadot-js-network-0.json', (() => {
  const other = new Keyring({ ss58Format: 0, type: 'sr25519' });
  return other.addFromUri(phrase).toJson();
})());
write('polkadot-js-ed25519.json', new Keyring({ type: 'ed25519' }).addFromUri(phrase).toJson());
write('polkadot-js-backup.json', await (async () => {
  const accounts = sr25519.getPairs().map((pair) => pair.toJson(passphrase));
  return { ...jsonEncrypt(Buffer.from(JSON.stringify(accounts)), ['batch-pkcs8'], passphrase),
    accounts: accounts.map(({ address, meta }) => ({ address, meta })) };
})());

// As before 13.5.3: scrypt with N of 32,768.
const plain = Buffer.from(pair.toJson().encoded, 'base64');
const { params, password, salt } = scryptEncode(passphrase, undefined, { N: 1 << 15, p: 1, r: 8 });
const { encrypted, nonce } = naclEncrypt(plain, password.subarray(0, 32));
write('polkadot-js-2024.json', {
  ...pair.toJson(passphrase),
  encoded: Buffer.from(u8aConcat(scryptToU8a(salt, params), nonce, encrypted)).toString('base64')
});
