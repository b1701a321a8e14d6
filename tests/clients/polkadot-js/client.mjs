// polkadot.js: what most explorers and wallets are made of. It knows nothing of Cairn: whatever works here works
// from the chain's metadata alone.

import assert from 'node:assert/strict';

import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

import { askOurs, callState, checkCalls, checkHeads, run, runNameHex, version, world } from '../lib/steps.mjs';

const CALLS = {
  subnets: ['createSubnet', 'setHyperparameters', 'withdrawHyperparameters', 'register', 'setRole', 'leave'],
  stake: ['addStake', 'removeStake', 'addBond', 'unbond', 'withdrawBond', 'setForeignStake'],
  training: ['startRun', 'stopRun', 'commit', 'reveal', 'attest', 'commitAttestation', 'here'],
  emissions: ['setScores', 'commitScores', 'revealScores', 'setEmitting'],
};
let api, block;

async function connect() {
  api = await ApiPromise.create({ provider: new WsProvider(world.ws), noInitWarn: true, throwOnConnect: true });
  assert.equal(api.genesisHash.toHex(), world.genesis);
  assert.equal(api.runtimeVersion.specName.toString(), 'cairn');
  assert.deepEqual(api.registry.chainTokens, ['CRN']);
  assert.deepEqual(api.registry.chainDecimals, [9]);
  for (const [pallet, names] of Object.entries(CALLS)) {
    for (const name of names) assert.equal(typeof api.tx[pallet]?.[name], 'function', `${pallet}.${name}`);
  }
  return 'name, genesis, token, and every call of our pallets';
}

async function storage() {
  assert.equal((await api.query.subnets.subnets(world.netuid)).unwrap().owner.toString(), world.owner);
  assert.equal((await api.query.subnets.coldkeys(world.hotkey)).unwrap().toString(), world.owner);
  assert.equal((await api.query.training.runs.entries()).length, 1);
  assert.ok((await api.query.training.runs(2)).isEmpty, 'there is no run on subnet 2');
  return 'subnets.subnets, subnets.coldkeys, training.runs';
}

async function runtimeApi() {
  const [subnet] = await api.call.subnetsApi.subnets(0, 256);
  assert.equal(subnet.owner.toString(), world.owner);
  assert.equal((await api.call.trainingApi.run(world.netuid)).unwrap().config.name.toHex(), runNameHex);
  assert.equal((await api.call.emissionsApi.schedule()).cap.toString(), world.cap);
  return 'SubnetsApi.subnets, TrainingApi.run, EmissionsApi.schedule';
}

/** A stock polkadot.js has no names for our namespaces; its provider sends what one likes. */
const send = (method, params) => api._rpcCore.provider.send(method, params);

async function transfer() {
  const sender = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri(world.sender);
  const events = await new Promise((resolve, reject) => {
    api.tx.balances.transferKeepAlive(world.to, world.amount)
      .signAndSend(sender, ({ status, events: seen, dispatchError }) => {
        if (dispatchError) reject(new Error(dispatchError.toString()));
        else if (status.isInBlock) {
          block = status.asInBlock;
          resolve(seen.map(({ event }) => `${event.section}.${event.method}`));
        }
      })
      .catch(reject);
  });
  assert.ok(events.includes('balances.Transfer'), `events were ${events}`);
  assert.equal((await api.query.system.account(world.to)).data.free.toString(), world.amount);
  return 'signed, in a block, arrived';
}

async function readBlock() {
  const { block: { extrinsics } } = await api.rpc.chain.getBlock(block);
  return checkCalls(extrinsics.map(({ method }) => `${method.section}.${method.method}`));
}

/** The numbers of the next `wanted` heads. */
function follow(subscribe, wanted) {
  return new Promise((resolve, reject) => {
    const numbers = [];
    const end = subscribe((header) => {
      numbers.push(header.number.toNumber());
      if (numbers.length === wanted) end.then((unsubscribe) => unsubscribe()).then(() => resolve(numbers));
    });
    end.catch(reject);
  });
}

async function heads() {
  checkHeads(await follow(api.rpc.chain.subscribeFinalizedHeads, 2));
  return checkHeads(await follow(api.rpc.chain.subscribeNewHeads, 3));
}

await run('polkadot-js', version('@polkadot/api'), {
  connect,
  storage,
  'runtime-api': runtimeApi,
  'state-call': () => callState((method, input) => api.rpc.state.call(method, input).then((bytes) => bytes.toHex())),
  rpc: () => askOurs(send),
  transfer,
  block: readBlock,
  heads,
});
process.exit(0);
