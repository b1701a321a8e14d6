// A stock polkadot.js knows nothing of Cairn: whatever works here works from the chain's metadata alone.
//
//   CAIRN_NODE_BIN=path/to/cairn-node npm test

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

const DEADLINE_MS = 300_000;
const command = process.env.CAIRN_NODE_BIN;
let node, api, directory;

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves once the node says that it answers RPC; rejects with its last words if it stops before. */
function answers(child) {
  return new Promise((resolve, reject) => {
    const said = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      if (line.includes('Running JSON-RPC server')) resolve();
    });
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`cairn-node ended with ${code}:\n${said.slice(-20).join('\n')}`)));
  });
}

before(async () => {
  assert.ok(command, 'set CAIRN_NODE_BIN to the path of the cairn-node binary');
  directory = await mkdtemp(join(tmpdir(), 'cairn-polkadot-js-'));
  const [rpc, p2p] = [await freePort(), await freePort()];
  node = spawn(command, [
    '--dev', '--base-path', directory, '--no-prometheus', '--no-telemetry',
    '--rpc-port', String(rpc), '--port', String(p2p),
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  await answers(node);
  api = await ApiPromise.create({ provider: new WsProvider(`ws://127.0.0.1:${rpc}`), noInitWarn: true });
}, { timeout: DEADLINE_MS });

after(async () => {
  await api?.disconnect();
  if (node && node.exitCode === null) {
    node.kill('SIGTERM');
    await once(node, 'exit');
  }
  if (directory) await rm(directory, { recursive: true, force: true });
});

test('it connects to the chain it expects', () => {
  assert.equal(api.runtimeVersion.specName.toString(), 'cairn');
  assert.deepEqual(api.registry.chainTokens, ['CRN']);
  assert.deepEqual(api.registry.chainDecimals, [9]);
});

test('it reads the storage of the training pallet', async () => {
  assert.ok((await api.query.training.runs(1)).isEmpty, 'no run was started on a fresh chain');
  assert.deepEqual(await api.query.training.runs.entries(), []);
});

test('it knows every call of our pallets from the metadata', () => {
  const calls = {
    subnets: ['createSubnet', 'setHyperparameters', 'register', 'leave'],
    stake: ['addStake', 'removeStake', 'addBond', 'unbond', 'withdrawBond'],
    training: ['startRun', 'stopRun', 'commit', 'reveal', 'attest'],
    emissions: ['setWeights', 'commitWeights', 'revealWeights'],
  };
  for (const [pallet, names] of Object.entries(calls)) {
    for (const name of names) assert.equal(typeof api.tx[pallet]?.[name], 'function', `${pallet}.${name}`);
  }
});

test('it submits a transfer', { timeout: DEADLINE_MS }, async () => {
  const keyring = new Keyring({ type: 'sr25519', ss58Format: 42 });
  const alice = keyring.addFromUri('//Alice');
  const newcomer = keyring.addFromUri('//Newcomer');
  const amount = 12_345_678_901n;
  const events = await new Promise((resolve, reject) => {
    api.tx.balances.transferKeepAlive(newcomer.address, amount)
      .signAndSend(alice, ({ status, events, dispatchError }) => {
        if (dispatchError) reject(new Error(dispatchError.toString()));
        else if (status.isInBlock) resolve(events.map(({ event }) => `${event.section}.${event.method}`));
      })
      .catch(reject);
  });
  assert.ok(events.includes('balances.Transfer'), `events were ${events}`);
  assert.equal((await api.query.system.account(newcomer.address)).data.free.toBigInt(), amount);
});
