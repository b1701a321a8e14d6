// smoldot: a light client. It speaks to the node as a peer, not by RPC, and checks what it is told. It has no API of
// its own beyond JSON-RPC, so polkadot-api drives it.

import { readFile } from 'node:fs/promises';

import { sr25519CreateDerive } from '@polkadot-labs/hdkd';
import * as helpers from '@polkadot-labs/hdkd-helpers';
import { getExtrinsicDecoder } from '@polkadot-api/tx-utils';
import { createClient } from 'polkadot-api';
import { getPolkadotSigner } from 'polkadot-api/signer';
import { getSmProvider } from 'polkadot-api/sm-provider';
import { start } from 'smoldot';

import { papiSteps, signer } from '../lib/papi.mjs';
import { Absent, run, version, world } from '../lib/steps.mjs';

const light = start({
  maxLogLevel: Number(process.env.SMOLDOT_LOG ?? 2),
  logCallback: (level, target, message) => {
    if (process.env.SMOLDOT_LOG) console.error(level, target, message);
  },
});

async function open() {
  const chainSpec = await readFile(world.chainSpec, 'utf8');
  return createClient(getSmProvider(() => light.addChain({ chainSpec })));
}

const steps = papiSteps({
  open,
  from: signer({ derive: sr25519CreateDerive, helpers, getPolkadotSigner }),
  getExtrinsicDecoder,
});

await run('smoldot', version('smoldot'), {
  connect: steps.connect,
  storage: steps.storage,
  'runtime-api': steps.runtimeApi,
  'state-call': steps.stateCall,
  async rpc() {
    try {
      await steps.client()._request('subnets_list', []);
    } catch (error) {
      throw new Absent(`a light client has no methods of ours (${error.message}): use runtime APIs`);
    }
    return 'subnets_list';
  },
  transfer: steps.transfer,
  block: steps.readBlock,
  heads: steps.heads,
});
process.exit(0);
