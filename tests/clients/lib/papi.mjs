// The steps of polkadot-api, on whatever brings its JSON-RPC: a WebSocket or a light client.
//
// The packages are passed in, since each client has its own.

import assert from 'node:assert/strict';

import { callState, checkCalls, checkHeads, hex, runNameHex, world } from './steps.mjs';

const AT_BEST = { at: 'best' };

/** What `//Bob` and its like sign with. */
export function signer({ derive, helpers, getPolkadotSigner }) {
  const entropy = helpers.mnemonicToEntropy(helpers.DEV_PHRASE);
  const keys = derive(helpers.entropyToMiniSecret(entropy))(world.sender);
  return getPolkadotSigner(keys.publicKey, 'Sr25519', keys.sign);
}

/** The first `wanted` values of an observable. */
function take(observable, wanted) {
  return new Promise((resolve, reject) => {
    const values = [];
    const subscription = observable.subscribe({
      next(value) {
        values.push(value);
        if (values.length < wanted) return;
        resolve(values);
        queueMicrotask(() => subscription.unsubscribe());
      },
      error: reject,
      complete: () => reject(new Error('the stream ended')),
    });
  });
}

/** Signs, and waits until the transfer is in a block of the best chain. */
function submit(transaction, from) {
  return new Promise((resolve, reject) => {
    const subscription = transaction.signSubmitAndWatch(from).subscribe({
      next(event) {
        if (event.type !== 'txBestBlocksState' || !event.found) return;
        if (event.ok) resolve(event);
        else reject(new Error(JSON.stringify(event.dispatchError)));
        queueMicrotask(() => subscription.unsubscribe());
      },
      error: reject,
    });
  });
}

/**
 * Every method of our runtime APIs but that of development; a guard of cairn-house compares. A light client runs them
 * itself, on proofs: each has to be provable.
 */
function everyCall() {
  const { netuid, owner, hotkey } = world;
  return {
    SubnetsApi: {
      subnets: [0, 256], subnet: [netuid], members: [netuid, 0, 256], member: [netuid, hotkey], creation_price: [],
      hotkey: [hotkey], hotkeys: [owner, undefined], limits: [], positions: [owner, undefined],
      position: [owner, netuid, hotkey],
    },
    TrainingApi: {
      run: [netuid], round: [netuid, 0], contributions: [netuid, 0, 0, 256], settled: [netuid, 0],
      lineage: [netuid, 0], ended_run: [netuid],
    },
    AuditsApi: { open: [netuid, undefined, 256], outcome: [netuid, 0, 0] },
    EndpointsApi: { endpoints: [netuid, 0, 256], endpoints_of: [netuid, [hotkey]] },
    EmissionsApi: {
      schedule: [], issuance: [], emission: [netuid], member_emission: [netuid, 0], account: [owner],
      subnet_history: [netuid, 0, 64], member_history: [netuid, 0, 0, 64], voting: [netuid, hotkey],
      scores: [netuid],
    },
  };
}

/** All steps but the RPC namespaces. */
export function papiSteps({ open, from, getExtrinsicDecoder }) {
  let client, api, block;
  return {
    client: () => client,
    async connect() {
      client = await open();
      const { genesisHash, properties } = await client.getChainSpecData();
      assert.equal(genesisHash, world.genesis);
      assert.equal(properties.tokenSymbol, 'CRN');
      api = client.getUnsafeApi();
      assert.equal((await api.constants.System.Version()).spec_name, 'cairn');
      return 'name, genesis, token';
    },
    async storage() {
      const { netuid, hotkey, owner } = world;
      assert.equal((await api.query.Subnets.Subnets.getValue(netuid, AT_BEST)).owner, owner);
      assert.equal(await api.query.Subnets.Coldkeys.getValue(hotkey, AT_BEST), owner);
      assert.equal((await api.query.Training.Runs.getEntries(AT_BEST)).length, 1);
      assert.equal(await api.query.Training.Runs.getValue(2, AT_BEST), undefined);
      return 'Subnets.Subnets, Subnets.Coldkeys, Training.Runs';
    },
    async runtimeApi() {
      const [subnet] = await api.apis.SubnetsApi.subnets(0, 256, AT_BEST);
      assert.equal(subnet.owner, world.owner);
      assert.equal(hex((await api.apis.TrainingApi.run(world.netuid, AT_BEST)).config.name), runNameHex);
      assert.equal(String((await api.apis.EmissionsApi.schedule(AT_BEST)).cap), world.cap);
      for (const [name, methods] of Object.entries(everyCall())) {
        for (const [method, args] of Object.entries(methods)) {
          await api.apis[name][method](...args, AT_BEST).catch((error) => {
            throw new Error(`${name}.${method}: ${error.message}`);
          });
        }
      }
      return 'every method of our runtime APIs';
    },
    stateCall: () => callState((method, input) => client._request('state_call', [method, input])),
    async transfer() {
      const dest = { type: 'Id', value: world.to };
      const seen = await submit(
        api.tx.Balances.transfer_keep_alive({ dest, value: BigInt(world.amount) }), from,
      );
      block = seen.block.hash;
      const events = seen.events.map(({ type, value }) => `${type}.${value.type}`);
      assert.ok(events.includes('Balances.Transfer'), `events were ${events}`);
      const { data: { free } } = await api.query.System.Account.getValue(world.to, AT_BEST);
      assert.equal(String(free), world.amount);
      return 'signed, in a block, arrived';
    },
    async readBlock() {
      const decode = getExtrinsicDecoder(await client.getMetadata(block));
      const extrinsics = (await client.getBlockBody(block)).map((bytes) => decode(bytes));
      return checkCalls(extrinsics.map(({ call }) => `${call.type}.${call.value.type}`));
    },
    async heads() {
      checkHeads((await take(client.finalizedBlock$, 3)).map(({ number }) => number));
      // The same best block is shown again when another becomes final.
      const best = (await take(client.bestBlocks$, 6)).map(([{ number }]) => number);
      return checkHeads(best.filter((number, at) => number !== best[at - 1]));
    },
  };
}
