// Makes runtime/fixtures/state.json.zst: the state of a small network's chain that has trained and paid, and what its
// own node says of it. A test of the next release runs that release's migrations on it (docs/releases.md).
//
//   CAIRN_BIN=… CAIRN_NODE_BIN=… node scripts/release-state.mjs [ROUNDS]    [default: 6]
//
// Both programs are those of the release. `make release-state` builds this checkout's, and runs it. It needs zstd.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { answers, ask, freePorts, stop } from '../tests/clients/lib/node.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = join(ROOT, 'runtime/fixtures/state.json.zst');
const { CAIRN_BIN: CAIRN, CAIRN_NODE_BIN: NODE } = process.env;
/** The key of the runtime's code, which is not kept. */
const CODE = '0x3a636f6465';
const NETUID = 1;
const MOST_BYTES = 300 * 1024;

/** A network that trains and pays for some rounds, and then stops. Its cheat loses what it put up. */
async function play(directory, rounds) {
  const child = spawn(CAIRN, [
    'devnet', '--rounds', String(rounds), '--miners', '2', '--validators', '2', '--cheats', '1',
    '--run', join(ROOT, 'offchain-worker/worker/tests/run-small.toml'), '--node-bin', NODE, '--keep', directory,
  ], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`cairn devnet ended with ${code}`);
}

/** What the release's node says as of its newest block, which nobody follows with another. */
async function told(base) {
  const [rpc, p2p] = await freePorts(2);
  const child = spawn(NODE, [
    '--chain', 'devnet', '--base-path', base, '--rpc-port', String(rpc), '--listen-addr', `/ip4/127.0.0.1/tcp/${p2p}`,
    '--no-prometheus', '--no-telemetry', '--no-mdns',
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    await answers(child, child.stderr, 'Running JSON-RPC server', 'cairn-node');
    const http = `http://127.0.0.1:${rpc}`;
    const at = await ask(http, 'chain_getBlockHash');
    const answer = (method, params) => ask(http, method, { ...params, at });
    const { number } = await ask(http, 'chain_getHeader', [at]);
    const { specVersion } = await ask(http, 'state_getRuntimeVersion', [at]);
    const members = await answer('subnets_members', { netuid: NETUID });
    const { owner } = await answer('subnets_show', { netuid: NETUID });
    const addresses = [...new Set([owner, ...members.map(({ coldkey }) => coldkey)])].sort();
    const accounts = {};
    for (const account of addresses) accounts[account] = await answer('emissions_account', { account });
    return {
      version: await ask(http, 'system_version'),
      spec_version: specVersion,
      block: Number(number),
      told: {
        issuance: await answer('emissions_issuance', {}),
        members,
        accounts,
        lineage: await answer('training_lineage', { netuid: NETUID, from: 0 }),
      },
    };
  } finally {
    await stop(child);
  }
}

/** The state of a block, by key, without the code. */
async function state(base, block, directory) {
  const file = await open(join(directory, 'exported.json'), 'w');
  const child = spawn(NODE, ['export-state', '--chain', 'devnet', '--base-path', base, String(block)], {
    stdio: ['ignore', file.fd, 'pipe'],
  });
  const said = [];
  createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  await once(child, 'close');
  await file.close();
  try {
    // How it ends says nothing: whether all is there does.
    const { genesis: { raw } } = JSON.parse(await readFile(join(directory, 'exported.json'), 'utf8'));
    if (Object.keys(raw.childrenDefault ?? {}).length > 0) throw new Error('it has child tries, which are not kept');
    const entries = Object.entries(raw.top).filter(([key]) => key !== CODE);
    return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
  } catch (error) {
    throw new Error(`export-state: ${error.message}:\n${said.slice(-10).join('\n')}`);
  }
}

const rounds = Number(process.argv[2] ?? 6);
if (!CAIRN || !NODE) throw new Error('CAIRN_BIN and CAIRN_NODE_BIN name the programs of the release');
const directory = await mkdtemp(join(tmpdir(), 'cairn-state-'));
try {
  const kept = join(directory, 'devnet');
  await play(kept, rounds);
  const base = join(kept, 'node');
  const release = await told(base);
  const whole = { ...release, state: await state(base, release.block, directory) };
  const plain = join(directory, 'state.json');
  await writeFile(plain, `${JSON.stringify(whole, null, 0)}\n`);
  await promisify(execFile)('zstd', ['-19', '--no-progress', '-f', '-q', plain, '-o', OUT]);
  const { size } = await stat(OUT);
  console.log(`release-state: ${OUT}: version ${release.version}, block ${release.block}, `
    + `${Object.keys(whole.state).length} entries, ${size} bytes`);
  if (size > MOST_BYTES) throw new Error(`it is longer than ${MOST_BYTES} bytes: fewer rounds make it shorter`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
