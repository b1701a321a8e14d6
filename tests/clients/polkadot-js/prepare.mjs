// Puts something on a fresh dev chain for the clients to read: a subnet, a validator, a miner, and a run of them.

import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

import { world, within } from '../lib/steps.mjs';

const MOST = 1_000_000_000_000_000n;
const STAKE = 1_000_000_000_000n;
const SETUP_MS = 480_000;
const root = (byte) => `0x${byte.repeat(32)}`;

/** A run that could be, of a model that nobody trains. */
const config = {
  name: world.run,
  model: {
    layers: 2, dModel: 64, heads: 4, kvHeads: 2, ffn: 128, vocabulary: 1024, context: 64, ropeTheta: 10_000,
    tiedEmbeddings: true,
  },
  initialParameters: { Seed: 7 },
  initialRoot: root('11'),
  data: { manifestRoot: root('22'), tokenizerRoot: root('33'), store: '', windows: 1_000_000 },
  inner: {
    steps: 2, sequences: 2, sequenceLength: 64, learningRate: 1_000_000, finalRate: 100_000_000, warmupSteps: 1,
    totalSteps: 100, beta1: 900_000_000, beta2: 950_000_000, epsilon: 10, weightDecay: 100_000_000,
    clipNorm: 1_000_000_000, traceEvery: 1,
  },
  compression: { keptPerBlock: 64, errorDecay: 900_000_000, finalErrorDecay: null, turns: 1 },
  outer: { learningRate: 1_000_000_000, rho: 500_000_000, clip: 1_000_000_000 },
  phases: { train: 1_000, reveal: 10, attest: 10, floor: 25 },
  maxContributors: 8,
  audits: { rate: 0, auditors: 3, blocks: 8, tolerance: 0, cardBond: 2 },
  overlap: 0,
  checkpointEvery: 5,
};

const api = await ApiPromise.create({ provider: new WsProvider(world.ws), noInitWarn: true, throwOnConnect: true });
const keys = new Keyring({ type: 'sr25519', ss58Format: 42 });
const alice = keys.addFromUri('//Alice');

const { netuid, hotkey, miner } = world;

/** Submits and waits for the block; an error of the chain is ours. */
function submit(call) {
  return new Promise((resolve, reject) => {
    call.signAndSend(alice, ({ status, dispatchError }) => {
      if (dispatchError?.isModule) {
        const { section, name } = api.registry.findMetaError(dispatchError.asModule);
        reject(new Error(`${call.method.section}.${call.method.method}: ${section}.${name}`));
      } else if (dispatchError) reject(new Error(dispatchError.toString()));
      else if (status.isInBlock) resolve();
    }).catch(reject);
  });
}

/** A hotkey agrees to sit on the subnet as Alice's: the domain, and SCALE of genesis, netuid and coldkey. */
function signature(uri) {
  const payload = Buffer.concat([
    Buffer.from('cairn/register'), api.genesisHash.toU8a(), api.createType('u16', netuid).toU8a(), alice.publicKey,
  ]);
  return { Sr25519: keys.addFromUri(uri).sign(payload) };
}

await within(SETUP_MS, (async () => {
  await submit(api.tx.utility.batchAll([
    api.tx.subnets.createSubnet(MOST),
    api.tx.subnets.register(netuid, hotkey, 'Validator', MOST, signature(world.hotkeyUri)),
    api.tx.stake.addStake(netuid, hotkey, STAKE),
    api.tx.subnets.register(netuid, miner, 'Miner', MOST, signature(world.minerUri)),
    api.tx.stake.addBond(netuid, miner, STAKE),
    api.tx.training.startRun(netuid, config),
  ]));
})());
await api.disconnect();
