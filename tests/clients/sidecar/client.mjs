// sidecar: a REST service beside a node, which exchanges and custodians use. It has no way to sign: whoever uses it
// makes the transaction from `transaction/material`, here with the polkadot.js that it brings along.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';

import { Keyring } from '@polkadot/api';
import { Metadata, TypeRegistry, expandMetadata } from '@polkadot/types';

import { answers, freePort, stop } from '../lib/node.mjs';
import { Absent, checkCalls, checkHeads, run, runNameHex, version, world } from '../lib/steps.mjs';

let service, base;

/** Asks the service; what it calls an error is one. */
async function rest(path, body) {
  const answer = await fetch(`${base}/${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const value = await answer.json();
  if (answer.ok) return value;
  // Where a runtime stopped, in another build it is elsewhere.
  const [why] = String(value.cause ?? value.message ?? value.error).split(/\s+WASM backtrace/);
  throw new Error(`${path.split('/')[0]}: ${answer.status} ${why}`);
}

async function connect() {
  const port = await freePort();
  base = `http://127.0.0.1:${port}`;
  service = spawn('node_modules/.bin/substrate-api-sidecar', [], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SAS_SUBSTRATE_URL: world.ws, SAS_EXPRESS_PORT: String(port) },
  });
  await answers(service, service.stdout, 'Listening on', 'sidecar', 50_000);
  const spec = await rest('runtime/spec');
  assert.equal(spec.specName, 'cairn');
  assert.equal(spec.properties.tokenSymbol[0] ?? spec.properties.tokenSymbol, 'CRN');
  return 'runtime/spec';
}

async function storage() {
  const subnet = await rest(`pallets/subnets/storage/subnets?keys[]=${world.netuid}`);
  assert.equal(subnet.value.owner, world.owner);
  const config = await rest(`pallets/training/storage/configs?keys[]=${world.netuid}`);
  assert.equal(config.value.name, runNameHex);
  return 'subnets and configs under pallets/PALLET/storage';
}

const absent = (what) => async () => { throw new Absent(what); };

/** Signs a transfer from what the service says of the chain. */
async function signed() {
  const sender = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri(world.sender);
  const [material, { nonce }] = await Promise.all([
    rest('transaction/material?metadata=scale'), rest(`accounts/${sender.address}/balance-info`),
  ]);
  const registry = new TypeRegistry();
  const metadata = new Metadata(registry, material.metadata);
  registry.setMetadata(metadata);
  const { tx } = expandMetadata(registry, metadata);
  const call = tx.balances.transferKeepAlive(world.to, world.amount);
  const { specVersion, txVersion: transactionVersion, genesisHash } = material;
  const extrinsic = registry.createType('Extrinsic', call, { version: 4 });
  return extrinsic.sign(sender, {
    blockHash: genesisHash, era: registry.createType('ExtrinsicEra'), genesisHash, nonce,
    runtimeVersion: { specVersion, transactionVersion }, tip: 0,
  }).toHex();
}

async function transfer() {
  await rest('transaction', { tx: await signed() });
  for (;;) {
    const { free } = await rest(`accounts/${world.to}/balance-info`);
    if (free === world.amount) return 'signed, sent, arrived';
    await new Promise((resolve) => { setTimeout(resolve, 500); });
  }
}

async function readBlock() {
  const { extrinsics } = await rest('blocks/head?finalized=false');
  return checkCalls(extrinsics.map(({ method }) => `${method.pallet}.${method.method}`));
}

/** REST has no subscriptions: the header is asked for until there were three. */
async function heads() {
  const numbers = [];
  while (numbers.length < 3) {
    const { number } = await rest('blocks/head/header?finalized=false');
    if (number !== numbers.at(-1)) numbers.push(number);
    else await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  return `${checkHeads(numbers)}, of blocks/head/header`;
}

await run('sidecar', version('@substrate/api-sidecar'), {
  connect,
  storage,
  'runtime-api': absent('REST has no way to call a runtime API'),
  'state-call': absent('REST has no state_call'),
  rpc: absent('REST passes no method of ours on'),
  transfer,
  block: readBlock,
  heads,
});
await stop(service);
process.exit(0);
