// Runs stock clients, unmodified, against one dev node, and compares what works with expected.json.
//
//   CAIRN_NODE_BIN=… CAIRN_SUBXT_BIN=… node tests/clients/run.mjs [--accept] [CLIENT…]
//
// Each client has its own environment and says how each step went in one line of JSON. With all clients, the table in
// docs/clients.md is made anew. `--accept` writes what was found to expected.json.

import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { STEPS, differences, gather, insert, table } from './lib/judge.mjs';
import { ask, startNode } from './lib/node.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const EXPECTED = join(HERE, 'expected.json');
const PAGE = join(HERE, '../../docs/clients.md');
const SILENCE_MS = 300_000;
const SETUP_MS = 600_000;

/** What is made of what in an environment. */
const MADE = { npm: ['node_modules', 'package-lock.json'], pip: ['.venv', 'requirements.txt'] };

/** Every client and how its environment is made. */
const CLIENTS = {
  'polkadot-js': 'npm',
  papi: 'npm',
  dedot: 'npm',
  smoldot: 'npm',
  chopsticks: 'npm',
  subxt: 'rust',
  'py-substrate-interface': 'pip',
  'async-substrate-interface': 'pip',
  sidecar: 'npm',
};

/** Runs a command in a client's directory; its last words become the error. */
function sh(directory, command, args, env = {}) {
  try {
    execFileSync(command, args, {
      cwd: directory, env: { ...process.env, ...env }, timeout: SETUP_MS, stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim().split('\n');
    const short = said.length > 20 ? [...said.slice(0, 10), '…', ...said.slice(-10)] : said;
    throw new Error(`${command} ${args.join(' ')} failed in ${directory}: ${error.code ?? ''}\n${short.join('\n')}`);
  }
}

/** Makes a client's environment as its lock file says, unless it was made of the same. */
function install(client) {
  const directory = join(HERE, client);
  const [made, lock] = MADE[CLIENTS[client]] ?? [];
  if (!made) return;
  const [done, wanted] = [join(directory, made, 'made-of'), readFileSync(join(directory, lock), 'utf8')];
  if (existsSync(done) && readFileSync(done, 'utf8') === wanted) return;
  console.log(`${client}: installing`);
  rmSync(join(directory, made), { recursive: true, force: true });
  if (made === 'node_modules') {
    sh(directory, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  } else {
    sh(directory, 'python3', ['-m', 'venv', '.venv']);
    sh(directory, '.venv/bin/pip', ['install', '-q', '--disable-pip-version-check', '-r', 'requirements.txt']);
  }
  writeFileSync(done, wanted);
}

/** The command that runs a client. */
function command(client) {
  if (CLIENTS[client] === 'npm') return [process.execPath, ['client.mjs']];
  if (CLIENTS[client] === 'pip') return [join(HERE, client, '.venv/bin/python'), ['client.py']];
  return [process.env.CAIRN_SUBXT_BIN, []];
}

/** The version of subxt that the workspace has. */
function subxtVersion() {
  const lock = readFileSync(join(HERE, '../../Cargo.lock'), 'utf8');
  return lock.match(/name = "subxt"\nversion = "([^"]+)"/)?.[1] ?? '';
}

/** A public key as an address with the prefix 42. */
function address(key) {
  const body = Buffer.concat([Buffer.from([42]), key]);
  const check = createHash('blake2b512').update('SS58PRE').update(body).digest().subarray(0, 2);
  let number = BigInt(`0x${Buffer.concat([body, check]).toString('hex')}`);
  let text = '';
  for (; number > 0n; number /= 58n) {
    text = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'[Number(number % 58n)] + text;
  }
  return text;
}

/** The chain's specification with the node as the one to begin with: all that a light client is given. */
async function writeChainSpec(node) {
  const file = join(node.directory, 'light.json');
  sh(HERE, process.env.CAIRN_NODE_BIN, ['export-chain-spec', '--chain', 'dev', '--raw', '--output', file]);
  const spec = JSON.parse(readFileSync(file, 'utf8'));
  const peer = await ask(node.http, 'system_localPeerId');
  spec.bootNodes = [`/ip4/127.0.0.1/tcp/${node.p2p}/ws/p2p/${peer}`];
  writeFileSync(file, JSON.stringify(spec));
  return file;
}

/** Runs one client and gathers what it says. A client that falls silent is ended. */
function runClient(client, world, directory) {
  const file = join(directory, `${client}.json`);
  writeFileSync(file, JSON.stringify({ ...world, to: address(randomBytes(32)) }));
  const [program, args] = command(client);
  const env = { ...process.env, CAIRN_WORLD: file, CAIRN_CLIENT_VERSION: subxtVersion() };
  const cwd = existsSync(join(HERE, client)) ? join(HERE, client) : HERE;
  return new Promise((resolve) => {
    const [lines, said] = [[], []];
    let why = '';
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch { /* the whole group is gone */ }
    };
    const late = setTimeout(() => {
      why = `not reached: the client said nothing for ${SILENCE_MS / 1000} s`;
      end();
    }, SILENCE_MS);
    createInterface({ input: child.stdout }).on('line', (text) => {
      late.refresh();
      const line = parse(text);
      if (!line) return said.push(text);
      lines.push(line);
      const mark = { true: 'ok', false: 'FAILS', null: 'absent' }[line.ok];
      return console.log(`${client} ${line.version}  ${line.step}: ${mark} (${line.detail})`);
    });
    createInterface({ input: child.stderr }).on('line', (text) => said.push(text));
    child.on('error', (error) => { why = `not reached: ${error.message}`; });
    child.on('close', (code) => {
      clearTimeout(late);
      end();
      const missing = STEPS.length - lines.length;
      if (missing > 0) console.error(`${client}: ${missing} steps are missing\n${said.slice(-15).join('\n')}`);
      resolve(gather(lines, why || `not reached: the client ended with ${code}`));
    });
  });
}

/** A line of a client as it is meant, or nothing. */
function parse(text) {
  try {
    const line = JSON.parse(text);
    return STEPS.includes(line?.step) ? line : undefined;
  } catch {
    return undefined;
  }
}

/** Runs the clients against a node that lives as long. */
async function runAll(clients) {
  const node = await startNode(process.env.CAIRN_NODE_BIN);
  try {
    const world = {
      ...JSON.parse(readFileSync(join(HERE, 'world.json'), 'utf8')),
      ws: node.ws,
      genesis: await ask(node.http, 'chain_getBlockHash', [0]),
      chainSpec: await writeChainSpec(node),
    };
    const file = join(node.directory, 'prepare.json');
    writeFileSync(file, JSON.stringify(world));
    sh(join(HERE, 'polkadot-js'), process.execPath, ['prepare.mjs'], { CAIRN_WORLD: file });
    const results = {};
    for (const client of clients) results[client] = await runClient(client, world, node.directory);
    return results;
  } finally {
    await node.close();
  }
}

async function main() {
  const args = process.argv.slice(2);
  const accept = args.includes('--accept');
  const named = args.filter((arg) => arg !== '--accept');
  const unknown = named.find((name) => !(name in CLIENTS));
  if (unknown) throw new Error(`there is no client ${unknown}; there are ${Object.keys(CLIENTS).join(', ')}`);
  const clients = named.length > 0 ? named : Object.keys(CLIENTS);
  if (!process.env.CAIRN_NODE_BIN) throw new Error('set CAIRN_NODE_BIN to the path of cairn-node, or use make clients');
  if (clients.includes('subxt') && !process.env.CAIRN_SUBXT_BIN) {
    throw new Error('set CAIRN_SUBXT_BIN to the path of the example stock_subxt, or use make clients');
  }
  for (const client of new Set(['polkadot-js', ...clients])) install(client);
  const results = await runAll(clients);
  const expected = existsSync(EXPECTED) ? JSON.parse(readFileSync(EXPECTED, 'utf8')) : {};
  const differ = clients.flatMap((client) => differences(client, results[client], expected[client]));
  if (accept) writeFileSync(EXPECTED, `${JSON.stringify({ ...expected, ...results }, null, 2)}\n`);
  if (clients.length === Object.keys(CLIENTS).length) {
    writeFileSync(PAGE, insert(readFileSync(PAGE, 'utf8'), table(results)));
  }
  for (const line of differ) console.error(`clients: ${line}`);
  if (differ.length > 0 && !accept) {
    throw new Error('not what tests/clients/expected.json says; if it is right so: node tests/clients/run.mjs --accept');
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(`clients: ${error.message}`);
  process.exit(1);
});
