// A network of three authorities, a fourth that is gone for good, and a node that takes its place: stake decides on
// it, one authority has new keys, the chain has a new runtime, and a rule is changed once the council has cancelled that
// once, while a miner and a validator go on.

const { mkdtemp, writeFile } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { connect, finalises, pass, say, send, until } = require('./lib/chain.js');
const rule = require('./lib/rule.js');
const { next } = require('./lib/wasm.js');
const workers = require('./lib/workers.js');

const CODE = '0x3a636f6465';
const SR25519 = { type: 'sr25519' };

const pairOf = (suri) => new global.zombie.Keyring(SR25519).addFromUri(suri);
const addressOf = (suri) => pairOf(suri).address;
const addresses = (list) => list.map((account) => account.toString()).sort();

/** Makes new keys in a node, and registers them for its account: the public ones. */
async function keysOf(api, url, suri) {
  const own = await connect(url);
  const owner = Buffer.from(pairOf(suri).publicKey).toString('hex');
  const made = await own._rpcCore.provider.send('author_rotateKeysWithOwner', [`0x${owner}`]);
  await own.disconnect();
  await send(api, api.tx.session.setKeys(made.keys, made.proof), suri);
  return made.keys;
}

/** Waits until the authorities, as they shall be, are these. */
async function chosen(api, suris) {
  const wanted = suris.map(addressOf).sort().join();
  await until(api, async () => addresses(await api.query.authorities.authorities()).join() === wanted);
  say(`it is decided that the authorities are ${suris.join(' ')}`);
}

/** Waits until the authorities that make blocks are these. */
async function inForce(api, suris) {
  const wanted = suris.map(addressOf).sort().join();
  await until(api, async () => addresses(await api.query.session.validators()).join() === wanted);
  say(`the authorities are ${suris.join(' ')}`);
}

/** Waits until an authority has made a block, from now on. */
async function authors(api, suri) {
  const who = addressOf(suri);
  await until(api, async ({ hash }) => (await api.derive.chain.getHeader(hash)).author?.toString() === who);
  say(`${suri} makes blocks`);
}

/** The names and numbers of the runtime, as the code in force says them itself. */
async function version(api) {
  return api.createType('RuntimeVersion', await api.rpc.state.call('Core_version', '0x'));
}

/** Has the chain run its own code under the next version: the block in which it began to. */
async function upgrade(api, url) {
  const before = await version(api);
  const { specName, implName, authoringVersion, specVersion, implVersion, transactionVersion } = before;
  const numbers = { authoringVersion, specVersion, implVersion, transactionVersion };
  const known = Object.entries(numbers).map(([name, value]) => [name, value.toNumber()]);
  const names = { specName: specName.toString(), implName: implName.toString() };
  const code = Buffer.from((await api.rpc.state.getStorage(CODE)).toHex().slice(2), 'hex');
  const newer = next(code, { ...names, ...Object.fromEntries(known) });
  const file = join(await mkdtemp(join(tmpdir(), 'cairn-zombienet-')), 'next.wasm');
  await writeFile(file, newer);
  await pass(url, '--upgrade', file);
  const hash = api.registry.hash(newer).toHex();
  const authorised = async () => (await api.query.system.authorizedUpgrade()).unwrapOr(undefined)?.codeHash.toHex();
  await until(api, async () => (await authorised()) === hash);
  say('the new runtime is authorised');
  await api.tx.system.applyAuthorizedUpgrade(`0x${newer.toString('hex')}`).send();
  const at = await until(api, async (header) => (await authorised()) === undefined && header.hash);
  await until(api, async () => (await version(api)).specVersion.eq(specVersion.addn(1)));
  const after = await version(api);
  const same = (one) => JSON.stringify({ ...one.toJSON(), specVersion: 0 });
  if (same(before) !== same(after)) throw new Error(`the new runtime is another: ${after}`);
  say(`the runtime has version ${after.specVersion}`);
  return at;
}

async function story(api, urls) {
  const [url] = urls;
  const run = await workers.start(api, urls);
  try {
    say(`round ${await run.settles()} is over`);
    await keysOf(api, urls[3], '//Eve');
    const keys = await keysOf(api, urls[1], '//Bob');
    await pass(url, '--add-authority', addressOf('//Eve'));
    const at = await upgrade(api, url);
    const during = await run.round(at.toHex());
    await chosen(api, ['//Alice', '//Bob', '//Charlie', '//Dave', '//Eve']);
    if (!(await run.has(during))) throw new Error(`round ${during} came to nothing: in it the runtime changed`);
    say(`round ${during} is over, in which the runtime changed`);
    await inForce(api, ['//Alice', '//Bob', '//Charlie', '//Dave', '//Eve']);
    const queued = (await api.query.session.queuedKeys()).map(([who, theirs]) => [who.toString(), theirs.toHex()]);
    const ofBob = queued.find(([who]) => who === addressOf('//Bob'));
    if (ofBob?.[1] !== keys) throw new Error("bob's keys are not those that its node made");
    await Promise.all([authors(api, '//Bob'), authors(api, '//Eve'), finalises(api, 5)]);
    await pass(url, '--remove-authority', addressOf('//Dave'));
    await chosen(api, ['//Alice', '//Bob', '//Charlie', '//Eve']);
    await inForce(api, ['//Alice', '//Bob', '//Charlie', '//Eve']);
    await Promise.all([authors(api, '//Eve'), finalises(api, 5)]);
    await rule.changes(api, url);
    say(`round ${await run.settles()} is over`);
  } finally {
    await run.stop();
  }
}

async function run(_, { nodesByName }) {
  const urls = ['alice', 'bob', 'charlie', 'eve'].map((name) => nodesByName[name].wsUri);
  const api = await connect(urls[0]);
  try {
    await story(api, urls);
  } finally {
    await api.disconnect();
  }
}

module.exports = { run };
