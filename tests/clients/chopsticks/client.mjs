// chopsticks: forks the chain's state and makes blocks of its own, to try things without the chain noticing. The fork
// is read with polkadot.js, which chopsticks brings along.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';

import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

import { answers, freePort, stop } from '../lib/node.mjs';
import { Absent, callState, checkCalls, checkHeads, run, runNameHex, version, world } from '../lib/steps.mjs';

let fork, api, block;
const send = (method, params) => api._rpcCore.provider.send(method, params);

async function connect() {
  const port = await freePort();
  const options = ['--endpoint', world.ws, '--port', String(port), '--build-block-mode', 'Manual'];
  fork = spawn('node_modules/.bin/chopsticks', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  await answers(fork, fork.stdout, 'listening on', 'chopsticks', 50_000);
  const provider = new WsProvider(`ws://127.0.0.1:${port}`);
  api = await ApiPromise.create({ provider, noInitWarn: true, throwOnConnect: true });
  assert.equal(api.runtimeVersion.specName.toString(), 'cairn');
  assert.deepEqual(api.registry.chainTokens, ['CRN']);
  return 'a fork of the newest block';
}

async function storage() {
  assert.equal((await api.query.subnets.subnets(world.netuid)).unwrap().owner.toString(), world.owner);
  assert.equal((await api.query.subnets.coldkeys(world.hotkey)).unwrap().toString(), world.owner);
  assert.equal((await api.query.training.runs.entries()).length, 1);
  assert.ok((await api.query.training.runs(2)).isEmpty);
  return 'subnets.subnets, subnets.coldkeys, training.runs';
}

async function runtimeApi() {
  const [subnet] = await api.call.subnetsApi.subnets(0, 256);
  assert.equal(subnet.owner.toString(), world.owner);
  assert.equal((await api.call.trainingApi.run(world.netuid)).unwrap().config.name.toHex(), runNameHex);
  assert.equal((await api.call.emissionsApi.schedule()).cap.toString(), world.cap);
  return 'SubnetsApi.subnets, TrainingApi.run, EmissionsApi.schedule';
}

async function rpc() {
  try {
    await send('subnets_list', []);
  } catch (error) {
    throw new Absent(`the fork has no methods of ours (${error.message}): use runtime APIs`);
  }
  return 'subnets_list';
}

async function transfer() {
  const sender = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri(world.sender);
  await api.tx.balances.transferKeepAlive(world.to, world.amount).signAndSend(sender);
  block = await send('dev_newBlock', [{ count: 1 }]);
  const events = await (await api.at(block)).query.system.events();
  const names = events.map(({ event }) => `${event.section}.${event.method}`);
  assert.ok(names.includes('balances.Transfer'), `events were ${names}`);
  assert.equal((await api.query.system.account(world.to)).data.free.toString(), world.amount);
  return 'signed, in a block of the fork, arrived';
}

async function readBlock() {
  const { block: { extrinsics } } = await api.rpc.chain.getBlock(block);
  return checkCalls(extrinsics.map(({ method }) => `${method.section}.${method.method}`));
}

async function heads() {
  const numbers = [];
  const unsubscribe = await api.rpc.chain.subscribeNewHeads((header) => numbers.push(header.number.toNumber()));
  for (let made = 0; made < 2; made += 1) await send('dev_newBlock', [{ count: 1 }]);
  while (numbers.length < 3) await new Promise((resolve) => { setTimeout(resolve, 50); });
  unsubscribe();
  return checkHeads(numbers);
}

await run('chopsticks', version('@acala-network/chopsticks'), {
  connect,
  storage,
  'runtime-api': runtimeApi,
  'state-call': () => callState((method, input) => api.rpc.state.call(method, input).then((bytes) => bytes.toHex())),
  rpc,
  transfer,
  block: readBlock,
  heads,
});
await stop(fork);
process.exit(0);
