// What docs/operators.md says under "When authorities stop", tried on four nodes of the `local` chain with a block in
// half a second: two of them stop and come back; two are lost for good, which a referendum mends; and one runs twice.
//
//   CAIRN_BIN=… CAIRN_NODE_BIN=… node tests/authorities/run.mjs
//
// It tells what it sees, and ends with 1 if something is not as the page says. Nothing is judged by how long it takes.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { answers, ask, freePorts, stop } from '../clients/lib/node.mjs';

/** polkadot.js is where its own test has it. */
const CLIENT = fileURLToPath(new URL('../clients/polkadot-js/', import.meta.url));
const NODE = process.env.CAIRN_NODE_BIN;
const CAIRN = process.env.CAIRN_BIN;
/** Who has CRN from the beginning and votes, and with how many: more than half of all there is. */
const VOTERS = ['//Bob', '//Charlie', '//Dave', '//Ferdie'];
const VOTE = '90000';
/** By so much a referendum's delays are shorter here: an hour is a block. */
const HURRY = 7200;
/** Milliseconds to a block. */
const BLOCK = 500;
/** Blocks that are made while nothing becomes final. */
const BLOCKS = 20;
/** Blocks after which the next authorities begin, once their session has. */
const DELAY = 10;
/** By which keys charlie and dave vote. */
const VOTERS_GONE = [
  '5DbKjhNLpqX3zqZdNBc9BGb4fHU1cRBaDhJUskrvkwfraDi6', '5ECTwv6cZ5nJQPk6tWfaTrEk8YH2L7X1VT4EL5Tx2ikfFwb7',
];
/** How often a node is asked. */
const POLL_MS = 500;
/** After this time what is waited for never comes, on however busy a machine. */
const NEVER_MS = 60 * 60_000;

const say = (what) => console.log(`${new Date().toISOString()} ${what}`);
const pause = () => new Promise((resolve) => { setTimeout(resolve, POLL_MS); });

function expect(is, what) {
  if (!is) throw new Error(`not as docs/operators.md says: ${what}`);
}

/** What `look` first gives that is neither false nor nothing. */
async function until(what, look) {
  for (const end = Date.now() + NEVER_MS; Date.now() < end;) {
    const seen = await look();
    if (seen) return seen;
    await pause();
  }
  throw new Error(`it never is so that ${what}`);
}

/** A node of the chain: it can be stopped and started again, and lose everything. */
class Node {
  #child = null;

  constructor(name, place, spec, [rpc, p2p], more) {
    Object.assign(this, { name, base: join(place, name), log: join(place, `${name}.log`), spec, rpc, p2p, more });
  }

  get http() { return `http://127.0.0.1:${this.rpc}`; }

  get ws() { return `ws://127.0.0.1:${this.rpc}`; }

  async start(boot = []) {
    const args = [
      '--chain', this.spec, '--base-path', this.base, '--rpc-port', String(this.rpc),
      '--listen-addr', `/ip4/127.0.0.1/tcp/${this.p2p}`, '--unsafe-force-node-key-generation', '--no-prometheus',
      '--no-telemetry', '--no-mdns', ...this.more,
      ...boot.flatMap((address) => ['--bootnodes', address]),
    ];
    this.#child = spawn(NODE, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr.on('data', (bytes) => appendFileSync(this.log, bytes));
    await answers(this.#child, this.#child.stderr, 'Running JSON-RPC server', this.name);
    // Later its end is no failure.
    this.#child.on('error', () => {});
  }

  async stop() {
    await stop(this.#child);
    say(`${this.name} is gone`);
  }

  /** Stops it and forgets everything, its keys as well. */
  async lose() {
    await this.stop();
    await rm(this.base, { recursive: true, force: true });
  }

  ask(method, ...params) { return ask(this.http, method, params); }

  async address() { return `/ip4/127.0.0.1/tcp/${this.p2p}/p2p/${await this.ask('system_localPeerId')}`; }

  async best() { return Number((await this.ask('chain_getHeader')).number); }

  async final() {
    const hash = await this.ask('chain_getFinalizedHead');
    return Number((await this.ask('chain_getHeader', hash)).number);
  }

  /** Waits until a block of this number is final. */
  async finalises(number) {
    await until(`block ${number} is final`, async () => (await this.final()) >= number);
  }
}

/** The `local` chain in a hurry, raw. */
async function specification(place) {
  const make = async (...args) => {
    const { stdout } = await promisify(execFile)(NODE, ['export-chain-spec', ...args], { maxBuffer: 2 ** 28 });
    return stdout;
  };
  const spec = JSON.parse(await make('--chain', 'local'));
  spec.genesis.runtimeGenesis.patch.blockTime.milliseconds = BLOCK;
  spec.genesis.runtimeGenesis.patch.governance.hurry = HURRY;
  spec.id = 'cairn_authorities';
  const [plain, raw] = [join(place, 'plain.json'), join(place, 'raw.json')];
  await writeFile(plain, JSON.stringify(spec));
  await writeFile(raw, await make('--chain', plain, '--raw'));
  return raw;
}

/** Two of four stop: blocks go on and none is final. They come back: all is. */
async function comeBack([alice, bob, charlie, dave]) {
  await Promise.all([charlie.stop(), dave.stop()]);
  // What was voted for before may still become final.
  const later = (await alice.best()) + BLOCKS;
  await until('two of four make blocks', async () => (await alice.best()) >= later);
  const [stood, made] = [await alice.final(), await alice.best()];
  await until('they go on', async () => (await alice.best()) >= made + BLOCKS);
  const now = [await alice.final(), await bob.final()];
  expect(now.every((number) => number <= stood), `block ${stood} was the last final one, and now ${now} are`);
  say(`blocks ${made} to ${made + BLOCKS} came while ${stood} stayed the last final one`);
  const { best } = await alice.ask('grandpa_roundState');
  expect(best.thresholdWeight === 3 && best.totalWeight === 4, `${best.thresholdWeight} of ${best.totalWeight} vote`);
  expect(VOTERS_GONE.every((key) => best.prevotes.missing.includes(key)), `${best.prevotes.missing} do not vote`);
  const caught = await alice.best();
  const boot = [await alice.address(), await bob.address()];
  await Promise.all([charlie.start(boot), dave.start(boot)]);
  say('charlie and dave are back');
  await Promise.all([alice, bob, charlie, dave].map((node) => node.finalises(caught + 1)));
  say(`block ${caught + 1} is final at all four`);
}

/** Signs, sends, and waits until it is in a block; an error if it fails there. */
function send(api, call, pair) {
  return new Promise((resolve, reject) => {
    const sent = call.signAndSend(pair, ({ status, dispatchError, events }) => {
      const failed = dispatchError ?? events.find(({ event }) => event.method === 'Sudid' && event.data[0].isErr);
      if (status.isInBlock && failed) reject(new Error(`${call.method.section}.${call.method.method}: ${failed}`));
      else if (status.isInBlock) resolve();
      else if (status.isInvalid || status.isDropped || status.isUsurped) reject(new Error(status.type));
    });
    sent.catch(reject);
  });
}

/** Runs `cairn` at a node: what it prints. */
async function cairn(node, ...words) {
  const env = { ...process.env, CAIRN_NODE: node.ws };
  const { stdout } = await promisify(execFile)(CAIRN, words, { env, maxBuffer: 2 ** 24 });
  return stdout;
}

/** A referendum by which finality begins anew, with the votes that it takes. */
async function passes(node, least) {
  const proposed = await cairn(
    node, 'governance', 'propose', '--suri', '//Alice', '--json', '--restart-finality', String(least),
  );
  const [, index] = JSON.parse(proposed).did.match(/referendum (\d+)/);
  await cairn(node, 'governance', 'deposit', '--suri', '//Alice', index);
  await Promise.all(VOTERS.map((voter) => (
    cairn(node, 'governance', 'vote', '--suri', voter, '--aye', index, VOTE)
  )));
  return index;
}

/** Two of four are lost with their keys. A new node has keys for one of them, and a referendum restarts finality. */
async function neverComeBack([alice, bob, charlie, dave], eve, { api, keyring }) {
  await Promise.all([charlie.lose(), dave.lose()]);
  await eve.start([await alice.address(), await bob.address()]);
  const account = keyring.addFromUri('//Charlie');
  const owner = Buffer.from(account.publicKey).toString('hex');
  const { keys, proof } = await eve.ask('author_rotateKeysWithOwner', `0x${owner}`);
  await send(api, api.tx.session.setKeys(keys, proof), account);
  const session = async () => (await api.query.session.currentIndex()).toNumber();
  const registered = await session();
  say(`charlie has the keys of a new node, registered in session ${registered}`);
  // So that they hold when finality begins anew.
  await until('the next session begins', async () => (await session()) > registered);
  const finals = await Promise.all([alice.final(), bob.final(), eve.final()]);
  const least = Math.min(...finals);
  const index = await passes(alice, least);
  say(`referendum ${index} has its votes: all stands at ${least}`);
  await until('it is enacted', async () => (await api.query.grandpa.stalled()).isSome);
  say(`finality begins anew in the session after ${await session()}`);
  await until('that begins', async () => (await api.query.grandpa.stalled()).isNone);
  const [began, last] = [await alice.best(), await alice.final()];
  expect(last === least, `block ${last} is final before the new votes, and ${least} was`);
  await Promise.all([alice, bob, eve].map((node) => node.finalises(began + DELAY)));
  say(`block ${began + DELAY} is final at the three that are left`);
  const { best } = await alice.ask('grandpa_roundState');
  expect(best.thresholdWeight === 3 && best.totalWeight === 4, `${best.thresholdWeight} of ${best.totalWeight} vote`);
  const { setId } = await alice.ask('grandpa_roundState');
  const told = (await api.query.grandpa.currentSetId()).toNumber();
  expect(setId === told, `nodes are at set ${setId}, and the chain says ${told}`);
}

/** Two nodes run with one authority's keys. Others see it, report it, and the authority does nothing any more. */
async function twice(nodes, dave, again, { api, keyring }) {
  const boot = await Promise.all(nodes.map((node) => node.address()));
  await Promise.all([dave.start(boot), again.start(boot)]);
  say('dave has two nodes');
  const account = keyring.addFromUri('//Dave').address;
  const reported = async () => {
    const offences = await api.query.offences.reports.entries();
    return offences.map(([, details]) => details.unwrap().offender[0].toString());
  };
  // Two blocks in one slot, or two votes in one round: whichever comes first ends what it does.
  const kinds = async () => {
    const offences = await api.query.offences.concurrentReportsIndex.entries();
    return new Set(offences.map(([{ args: [kind] }]) => Buffer.from(kind.toU8a()).toString()));
  };
  await until('somebody reports it', async () => (await kinds()).size > 0);
  say(`reported: ${[...await kinds()].join(', ')}`);
  const offenders = new Set(await reported());
  expect(offenders.size === 1 && offenders.has(account), `of ${[...offenders]} it is proven`);
  const place = (await api.query.session.validators()).findIndex((one) => one.eq(account));
  const disabled = await api.query.session.disabledValidators();
  expect(disabled.flat().some((one) => Number(one) === place), `${disabled} are disabled, and not ${place}`);
  const made = await nodes[0].best();
  await Promise.all(nodes.map((node) => node.finalises(made + DELAY)));
  say('it is proven: dave does nothing any more, and the others make blocks final');
}

async function library(url) {
  if (!existsSync(join(CLIENT, 'node_modules'))) {
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: CLIENT, stdio: 'inherit' });
  }
  const { ApiPromise, Keyring, WsProvider } = createRequire(join(CLIENT, 'client.mjs'))('@polkadot/api');
  const api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true });
  return { api, keyring: new Keyring({ type: 'sr25519' }) };
}

async function story(place, nodes) {
  const spec = await specification(place);
  const ports = await freePorts(12);
  const named = ['alice', 'bob', 'charlie', 'dave'].map((name, at) => (
    new Node(name, place, spec, ports.slice(2 * at, 2 * at + 2), [`--${name}`])
  ));
  const keyless = ['--validator', '--name', 'eve', '--rpc-methods', 'unsafe'];
  const eve = new Node('eve', place, spec, ports.slice(8, 10), keyless);
  const again = new Node('dave-again', place, spec, ports.slice(10), ['--dave']);
  nodes.push(...named, eve, again);
  const [alice, ...others] = named;
  await alice.start();
  const boot = [await alice.address()];
  await Promise.all(others.map((node) => node.start(boot)));
  await Promise.all(named.map((node) => node.finalises(3)));
  say('four authorities make blocks final');
  await comeBack(named);
  const tools = await library(alice.ws);
  try {
    await neverComeBack(named, eve, tools);
    await twice([alice, named[1], eve], named[3], again, tools);
  } finally {
    await tools.api.disconnect();
  }
}

const place = await mkdtemp(join(tmpdir(), 'cairn-authorities-'));
const nodes = [];
try {
  await story(place, nodes);
} catch (error) {
  for (const { name, log } of nodes) {
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15) : [];
    console.error(`--- ${name}\n${lines.join('\n')}`);
  }
  console.error(`authorities: ${error.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all(nodes.map((node) => node.stop()));
  await rm(place, { recursive: true, force: true });
}
