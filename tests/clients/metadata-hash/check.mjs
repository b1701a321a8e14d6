// The digest of a release's metadata, computed by a package that Substrate has no part in: the chain takes what was
// signed with it, and refuses what was signed with another.
//
//   node check.mjs CAIRN_NODE [--release] [--wasm FILE]
//
// A build without a digest is skipped, and is an error with --release. With --wasm the chain begins with that runtime in
// place of the node's own: what `make reproducible` built, beside any node of the same commit.
//
// The chain is one that is not for development: its addresses have the prefix that is in the digest.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { merkleizeMetadata } from '@polkadot-api/merkleize-metadata';
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

import { answers, freePorts, stop } from '../lib/node.mjs';

const TOKEN = { tokenSymbol: 'CRN', decimals: 9 };
// What the chain answers to a digest that it cannot know, since its build has none: `CannotLookup`.
const NO_DIGEST = /CannotLookup|Could not lookup/i;

// The key of the runtime in a chain's state: `:code`.
const CODE = '0x3a636f6465';

const { values: options, positionals: [node] } = parseArgs({
  allowPositionals: true,
  options: { release: { type: 'boolean' }, wasm: { type: 'string' } },
});
const place = mkdtempSync(join(tmpdir(), 'cairn-digest-'));
const ask = (...words) => execFileSync(node, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const key = (scheme) => JSON.parse(ask('key', 'generate', '--scheme', scheme, '--output-type', 'json'));

/** A chain with one authority, and somebody who has CRN. */
function found() {
  const [owner, babe, grandpa] = [key('sr25519'), key('sr25519'), key('ed25519')];
  const keys = join(place, 'keys.toml');
  writeFileSync(keys, `name = "Digest"
id = "digest"
block_time = 2
boot_nodes = []
telemetry = []
council = ["${owner.ss58Address}"]
[founders]
${owner.ss58Address} = "1000"
[[authorities]]
account = "${owner.ss58Address}"
babe = "${babe.publicKey}"
grandpa = "${grandpa.publicKey}"
`);
  ask('chain', 'new', '--from', keys, '--output', place);
  const spec = join(place, 'digest-raw.json');
  if (options.wasm) beginWith(options.wasm, spec);
  for (const [type, scheme, { secretPhrase }] of [['babe', 'sr25519', babe], ['gran', 'ed25519', grandpa]]) {
    const phrase = join(place, `${type}.phrase`);
    writeFileSync(phrase, secretPhrase);
    const where = ['--base-path', place, '--chain', spec, '--key-type', type, '--scheme', scheme];
    ask('key', 'insert', ...where, '--suri', phrase);
  }
  return { spec, phrase: owner.secretPhrase };
}

/** Puts this runtime into a chain's specification. */
function beginWith(wasm, spec) {
  const chain = JSON.parse(readFileSync(spec, 'utf8'));
  assert.ok(chain.genesis.raw.top[CODE], 'a raw specification has a runtime');
  chain.genesis.raw.top[CODE] = `0x${readFileSync(wasm).toString('hex')}`;
  writeFileSync(spec, JSON.stringify(chain));
}

/** Sends what was signed with a digest: the block that it is in. */
function sent(api, pair, digest) {
  const call = api.tx.system.remark('0x00');
  return new Promise((resolve, reject) => {
    // In hexadecimal: bytes would be taken for an option that is encoded already, and lose their first.
    const metadataHash = `0x${Buffer.from(digest).toString('hex')}`;
    call.signAndSend(pair, { mode: 1, metadataHash }, ({ status }) => {
      if (status.isInBlock) resolve(status.asInBlock);
      if (status.isInvalid || status.isDropped || status.isUsurped) reject(new Error(status.type));
    }).catch(reject);
    setTimeout(() => reject(new Error('no block took it within a minute')), 60_000).unref();
  });
}

async function check(api, phrase) {
  const pair = new Keyring({ type: 'sr25519' }).addFromUri(phrase);
  const metadata = (await api.call.metadata.metadataAtVersion(15)).unwrap();
  const digest = merkleizeMetadata(metadata.toU8a(true), TOKEN).digest();
  const other = Uint8Array.from(digest, (byte, at) => (at === 0 ? byte ^ 1 : byte));
  try {
    await sent(api, pair, digest);
  } catch (error) {
    if (!NO_DIGEST.test(error.message)) throw error;
    const why = 'this build has no digest of its metadata: it is no release';
    if (options.release) throw new Error(why);
    console.log(why);
    return;
  }
  await assert.rejects(sent(api, pair, other), /bad signature/i);
  console.log(`the digest of the metadata is 0x${Buffer.from(digest).toString('hex')}, by another package, too`);
}

const { spec, phrase } = found();
const [rpc, p2p] = await freePorts(2);
const child = spawn(node, [
  '--chain', spec, '--base-path', place, '--validator', '--unsafe-force-node-key-generation', '--no-prometheus',
  '--no-telemetry', '--no-mdns', '--rpc-port', String(rpc), '--listen-addr', `/ip4/127.0.0.1/tcp/${p2p}`,
], { stdio: ['ignore', 'ignore', 'pipe'] });
try {
  await answers(child, child.stderr, 'Imported #1', 'cairn-node');
  const api = await ApiPromise.create({ provider: new WsProvider(`ws://127.0.0.1:${rpc}`), noInitWarn: true });
  await check(api, phrase);
  await api.disconnect();
} finally {
  await stop(child);
  rmSync(place, { recursive: true });
}
