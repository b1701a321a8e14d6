// A subnet with a run that goes on, a miner and a validator, each a process of its own.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createWriteStream } = require('node:fs');
const { mkdtemp } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { cairn, say, until } = require('./chain.js');

const ROOT = join(__dirname, '..', '..');
const SMALL = join(ROOT, 'offchain-worker', 'worker', 'tests', 'run-small.toml');
const NETUID = 1;
const MEMBERS = [
  { name: 'miner', verb: 'mine', coldkey: '//Ferdie', backing: ['bond', 10] },
  { name: 'validator', verb: 'validate', coldkey: '//Dave', backing: ['add', 100] },
];

/** Makes the subnet and its run on the chain of `url`, and starts the workers, which use any of `urls`. */
async function start(api, urls) {
  const [url] = urls;
  const place = await mkdtemp(join(tmpdir(), 'cairn-zombienet-'));
  const wallets = join(place, 'wallets');
  const store = `file://${join(place, 'store')}`;
  await prepare(url, store);
  for (const { name, coldkey, backing: [kind, amount] } of MEMBERS) {
    await cairn(url, 'wallet', 'new', name, '--plain', '--wallet-dir', wallets);
    const whose = ['--suri', coldkey, '--wallet-dir', wallets, '--netuid', NETUID, '--hotkey', name];
    const role = name === 'miner' ? 'miner' : 'validator';
    await cairn(url, 'subnet', 'register', ...whose, '--role', role, '--max-price', 50);
    await cairn(url, 'stake', kind, ...whose, amount);
  }
  const run = ['--netuid', NETUID, '--file', SMALL, '--store', store];
  await cairn(url, 'run', 'start', '--suri', '//Alice', ...run);
  say(`a run goes on; its workers' files are in ${place}`);
  return new Workers(api, MEMBERS.map((member) => work(member, urls, place, wallets, store)));
}

/** Puts the text that comes with the source into a store, and makes a subnet. */
async function prepare(url, store) {
  const data = join(ROOT, 'data');
  const text = ['--corpus', join(data, 'sotu.txt.zst'), '--tokenizer', join(data, 'tokenizer.json')];
  await cairn(url, 'data', 'prepare', ...text, '--out', store, '--sequence-length', 64);
  await cairn(url, 'subnet', 'create', '--suri', '//Alice');
}

/** One worker. */
function work({ name, verb }, urls, place, wallets, store) {
  const whose = ['--key', name, '--wallet-dir', wallets, '--netuid', NETUID, '--store', store];
  const how = ['--state-dir', join(place, name), '--device', 'cpu', '--threads', 1];
  const log = createWriteStream(join(place, `${name}.log`));
  const env = { ...process.env, CAIRN_NODE: urls.join(',') };
  const child = spawn('cairn', [verb, ...whose, ...how].map(String), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  return { name, child };
}

/** The workers of a run. */
class Workers {
  constructor(api, workers) {
    this.api = api;
    this.workers = workers;
  }

  /** The round that goes on, by the chain's books; with a block's hash, the one that went on then. */
  async round(at = null) {
    const run = await this.api._rpcCore.provider.send('training_run', [NETUID, at]);
    return run.round.round;
  }

  /** Waits until a round is over: whether the miner's contribution is in it. An error if a worker has ended. */
  async has(round) {
    const settled = await until(this.api, () => {
      const ended = this.workers.find(({ child }) => child.exitCode !== null || child.signalCode !== null);
      if (ended) throw new Error(`the ${ended.name} ended`);
      return this.api._rpcCore.provider.send('training_settled', [NETUID, round]);
    });
    return settled.included.length > 0;
  }

  /** Waits until a round is over that has the miner's contribution, from the current one on: its number. */
  async settles() {
    let round = await this.round();
    while (!(await this.has(round))) round += 1;
    return round;
  }

  /** Ends them. */
  async stop() {
    for (const { child } of this.workers) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await gone;
      clearTimeout(killer);
    }
  }
}

module.exports = { start };
