// dedot: a small client for applications, with names as polkadot.js has them.

import assert from 'node:assert/strict';

import { Keyring } from '@polkadot/keyring';
import { DedotClient, WsProvider } from 'dedot';

import { askOurs, callState, checkCalls, checkHeads, hex, run, runNameHex, version, world } from '../lib/steps.mjs';

let client, block;

async function connect() {
  client = await DedotClient.new(new WsProvider(world.ws));
  assert.equal(client.genesisHash, world.genesis);
  assert.equal(client.runtimeVersion.specName, 'cairn');
  assert.equal((await client.chainSpec.properties()).tokenSymbol, 'CRN');
  return 'name, genesis, token';
}

async function storage() {
  assert.equal((await client.query.subnets.subnets(world.netuid)).owner.address(), world.owner);
  assert.equal((await client.query.subnets.coldkeys(world.hotkey)).address(), world.owner);
  assert.equal((await client.query.training.runs.entries()).length, 1);
  assert.equal(await client.query.training.runs(2), undefined);
  return 'subnets.subnets, subnets.coldkeys, training.runs';
}

async function runtimeApi() {
  const [subnet] = await client.call.subnetsApi.subnets(0, 256);
  assert.equal(subnet.owner.address(), world.owner);
  assert.equal(hex((await client.call.trainingApi.run(world.netuid)).config.name), runNameHex);
  assert.equal(String((await client.call.emissionsApi.schedule()).cap), world.cap);
  return 'subnetsApi.subnets, trainingApi.run, emissionsApi.schedule';
}

async function transfer() {
  const sender = new Keyring({ type: 'sr25519' }).addFromUri(world.sender);
  const { status, events, dispatchError } = await client.tx.balances
    .transferKeepAlive(world.to, BigInt(world.amount))
    .signAndSend(sender)
    .untilBestChainBlockIncluded();
  assert.equal(dispatchError, undefined);
  assert.ok(events.some(({ event }) => client.events.balances.Transfer.is(event)), 'no balances.Transfer');
  block = status.value.blockHash;
  const { data } = await (await client.at(block)).query.system.account(world.to);
  assert.equal(String(data.free), world.amount);
  return 'signed, in a block, arrived';
}

async function readBlock() {
  const extrinsics = (await client.block.body(block)).map((bytes) => client.registry.$Extrinsic.tryDecode(bytes));
  return checkCalls(extrinsics.map(({ call }) => `${call.pallet}.${call.palletCall.name ?? call.palletCall}`));
}

/** The numbers of the next `wanted` heads. */
function follow(subscribe, wanted) {
  return new Promise((resolve) => {
    const numbers = [];
    const end = subscribe(({ number }) => {
      numbers.push(number);
      if (numbers.length === wanted) resolve(numbers);
      if (numbers.length >= wanted) queueMicrotask(() => end());
    });
  });
}

async function heads() {
  checkHeads(await follow((each) => client.block.finalized(each), 2));
  return checkHeads(await follow((each) => client.block.best(each), 3));
}

await run('dedot', version('dedot'), {
  connect,
  storage,
  'runtime-api': runtimeApi,
  'state-call': () => callState((method, input) => client.rpc.state_call(method, input)),
  rpc: () => askOurs((method, params) => client.rpc[method](...params)),
  transfer,
  block: readBlock,
  heads,
});
process.exit(0);
