// polkadot-api (papi): what new applications are written with.

import { sr25519CreateDerive } from '@polkadot-labs/hdkd';
import * as helpers from '@polkadot-labs/hdkd-helpers';
import { getExtrinsicDecoder } from '@polkadot-api/tx-utils';
import { createClient } from 'polkadot-api';
import { getPolkadotSigner } from 'polkadot-api/signer';
import { getWsProvider } from 'polkadot-api/ws';
import { WebSocket } from 'ws';

import { papiSteps, signer } from '../lib/papi.mjs';
import { askOurs, run, version, world } from '../lib/steps.mjs';

// Node has had a global `WebSocket` since version 22.
globalThis.WebSocket ??= WebSocket;

const steps = papiSteps({
  open: () => createClient(getWsProvider(world.ws)),
  from: signer({ derive: sr25519CreateDerive, helpers, getPolkadotSigner }),
  getExtrinsicDecoder,
});

await run('papi', version('polkadot-api'), {
  connect: steps.connect,
  storage: steps.storage,
  'runtime-api': steps.runtimeApi,
  'state-call': steps.stateCall,
  rpc: () => askOurs((method, params) => steps.client()._request(method, params)),
  transfer: steps.transfer,
  block: steps.readBlock,
  heads: steps.heads,
});
process.exit(0);
