// The page with a light client in it, against a node that it meets as a peer: CAIRN_NODE_BIN names the program.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ask, startNode } from '../clients/lib/node.mjs';
import { DESKTOP, PHONE, browser, open, plain, serve, stop, words } from './lib/stage.mjs';

const CLIENTS = fileURLToPath(new URL('../clients/', import.meta.url));
const NODE = process.env.CAIRN_NODE_BIN;
const skip = NODE ? false : 'CAIRN_NODE_BIN names no node';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** A light client reads a runtime before it reads anything else. */
const PATIENCE = { timeout: 120_000 };
const NOBODY = 'ws://127.0.0.1:1';

let node, specification, peer, close;
let context;
const served = [];

/** Serves a page with a light client for a specification. */
async function light(file, args = []) {
  const one = await serve(NOBODY, ['--light', file, '--peer', peer, ...args]);
  served.push(one);
  return one;
}

before(async () => {
  if (skip) return;
  node = await startNode(NODE);
  specification = join(node.directory, 'chain.json');
  execFileSync(NODE, ['export-chain-spec', '--chain', 'dev', '--raw', '--output', specification], { stdio: 'ignore' });
  peer = `/ip4/127.0.0.1/tcp/${node.p2p}/ws/p2p/${await ask(node.http, 'system_localPeerId')}`;
  const world = join(node.directory, 'world.json');
  const known = JSON.parse(readFileSync(join(CLIENTS, 'world.json'), 'utf8'));
  writeFileSync(world, JSON.stringify({ ...known, ws: node.ws }));
  execFileSync(process.execPath, ['prepare.mjs'], {
    cwd: join(CLIENTS, 'polkadot-js'), env: { ...process.env, CAIRN_WORLD: world }, stdio: 'inherit',
  });
  ({ context, close } = await browser());
});

after(async () => {
  if (skip) return;
  await close();
  await Promise.all(served.map((one) => stop(one)));
  await node.close();
});

/** What the page asks of a subnet with a run, a validator and a miner; the block comes last. */
const ASKED = [
  ['subnets_list', [0, 256]], ['subnets_members', [1, 0, 256]], ['training_run', [1]], ['training_round', [1, 0]],
  ['training_round', [1, 9]], ['training_contributions', [1, 0, 0, 256]], ['training_settled', [1, 0]],
  ['training_lineage', [1, 0]], ['audits_open', [1, null, 256]], ['audits_outcome', [1, 0, 1]],
  ['emissions_schedule', []], ['emissions_issuance', []], ['emissions_subnet', [1]],
  ['emissions_history', [1, null, 0, 64]],
  ['emissions_history', [1, 1, 0, 64]], ['training_run', [9]], ['emissions_subnet', [9]],
];

/** Runs in a browser: what a light client answers as of its first final block, and that block. */
async function proven(asked) {
  const [{ Light }, { begin }] = await Promise.all([import('/light.js'), import('/smoldot.js')]);
  let client;
  const number = new Promise((resolve) => {
    client = new Light(begin, (is) => {
      if (is === 'open') client.subscribe('', ({ number }) => resolve(Number(number)));
    });
  });
  const broken = client.connect();
  const at = await Promise.race([broken, number.then((one) => client.call('chain_getBlockHash', [one]))]);
  const told = (method, params) => client.call(method, params).then(
    (result) => ({ result }), ({ code, message }) => ({ error: { code, message } }),
  );
  const answers = await Promise.all(asked.map(([method, params]) => told(method, [...params, at])));
  const slot = await told('state_call', ['BabeApi_configuration', '0x']);
  return { at, answers, slot, none: await told('system_peers', [at]) };
}

/** Runs in a browser: an answer as the page reads it, in JSON. */
async function read([method, params, { result, error }]) {
  const model = await import('/model.js');
  const { amount, list, object } = await import('/read.js');
  if (error) return `error ${error.code}`;
  const epochs = params[1] === null ? model.epoch : model.memberEpoch;
  const readers = {
    subnets_list: (value) => list(value, model.subnet),
    subnets_members: (value) => list(value, model.member),
    training_run: model.run,
    training_round: (value) => value && model.round(value),
    training_contributions: (value) => list(value, model.contribution),
    training_settled: (value) => value && model.settled(value),
    training_lineage: (value) => list(value, model.ancestor),
    audits_open: (value) => list(value, model.audit),
    audits_outcome: (value) => value,
    emissions_schedule: model.schedule,
    emissions_issuance: model.issuance,
    emissions_subnet: model.emission,
    emissions_history: (value) => list(object(value).epochs, epochs),
  };
  const plain = (_, value) => (typeof value === 'bigint' ? `${amount(String(value))} pebble` : value);
  return JSON.stringify(readers[method](result), plain);
}

test('what a light client proves is what the node says of the same block', { skip }, async () => {
  const { url } = await light(specification);
  // A document of the same origin that starts nothing by itself.
  const { page } = await open(context, `${url}words.js`);
  const { at, answers, slot, none } = await page.evaluate(proven, ASKED);
  for (const [nth, [method, params]] of ASKED.entries()) {
    const said = await ask(node.http, method, [...params, at]).then(
      (result) => ({ result }), () => ({ error: { code: 2 } }),
    );
    const [mine, theirs] = [
      await page.evaluate(read, [method, params, answers[nth]]), await page.evaluate(read, [method, params, said]),
    ];
    assert.equal(mine, theirs, `${method} ${params}`);
    assert.ok(mine !== undefined, method);
  }
  assert.equal(slot.result, await ask(node.http, 'state_call', ['BabeApi_configuration', '0x', at]));
  assert.equal(none.error.code, -32601, 'what cannot be proven is refused');
  await page.close();
});

test('the page says that it verified what it shows, and spoke to a peer alone', { skip }, async () => {
  const genesis = await ask(node.http, 'chain_getBlockHash', [0]);
  const one = await light(specification, ['--genesis', genesis]);
  assert.deepEqual(one.peers, [`ws://127.0.0.1:${node.p2p}`]);
  assert.equal(one.node, undefined);
  const { page, faults } = await open(context, 'about:blank');
  const [sockets, asked] = [new Set(), new Set()];
  page.on('websocket', (socket) => sockets.add(socket.url()));
  page.on('request', (request) => asked.add(new URL(request.url()).origin));
  await page.goto(`${one.url}#net=1&uid=1`);
  await page.locator('#verdict.holds').waitFor(PATIENCE);
  assert.deepEqual([...sockets], [`ws://127.0.0.1:${node.p2p}/`]);
  assert.deepEqual([...asked], [new URL(one.url).origin]);
  assert.match(await words(page, '#trust'), /Not verified:/);
  assert.deepEqual(await page.locator('#body .fault').allInnerTexts(), []);

  const [number, verdict, rows] = await page.evaluate(() => [
    document.querySelector('#top .block').textContent, document.querySelector('#verdict').textContent,
    [...document.querySelectorAll('#members tbody tr')].map((row) => row.innerText),
  ]);
  const at = await ask(node.http, 'chain_getBlockHash', [Number(number.replaceAll(',', ''))]);
  const { issued } = await ask(node.http, 'emissions_issuance', [at]);
  const digits = plain(verdict).match(/([\d,.]+) CRN are there/)[1].replaceAll(',', '');
  assert.equal(Math.round(Number(digits) * 1e9), Number(issued));
  const members = await ask(node.http, 'subnets_members', [1, 0, 256, at]);
  assert.equal(rows.length, members.length);
  members.forEach(({ uid, hotkey }, nth) => {
    assert.ok(plain(rows[nth]).startsWith(`uid ${uid}`) && rows[nth].includes(hotkey.slice(-4)), rows[nth]);
  });

  // It goes on by itself.
  await page.waitForFunction((old) => document.querySelector('#top .block').textContent !== old, number, PATIENCE);
  assert.deepEqual(faults, []);
  await page.close();
});

for (const [name, size, scheme] of [['on a desk', DESKTOP, 'light'], ['on a phone in the dark', PHONE, 'dark']]) {
  test(`the mark leads to what it means, by keyboard, and keeps nobody out: ${name}`, { skip }, async () => {
    const { url } = await light(specification);
    const { page } = await open(context, url, { size, scheme });
    await page.locator('#verdict').waitFor(PATIENCE);
    await page.locator('#mark').focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => {
      const { top, bottom } = document.querySelector('#trust-heading').getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), size.width);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document));
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 120)}`), []);
    await page.close();
  });
}

test('of another chain than was asked for it shows nothing', { skip }, async () => {
  const { url } = await light(specification, ['--genesis', `0x${'1'.repeat(64)}`]);
  const { page } = await open(context, url);
  await page.locator('#link.wrong-chain').waitFor(PATIENCE);
  assert.match(await words(page, '#body'), /^The specification .* is of another chain \(genesis 0x/);
  assert.equal(await page.locator('#runs').count(), 0);
  assert.equal(await page.locator('#mark').count(), 0);
  await page.close();
});

test('a peer of another chain convinces it of nothing', { skip }, async () => {
  const other = JSON.parse(readFileSync(specification, 'utf8'));
  other.genesis.raw.top[`0x${'cd'.repeat(32)}`] = '0x01';
  const file = join(node.directory, 'other.json');
  writeFileSync(file, JSON.stringify(other));
  const { page } = await open(context, (await light(file)).url);
  await page.locator('#link.disconnected').waitFor(PATIENCE);
  assert.match(await words(page, '#body'), /No peer of the chain answers/);
  assert.equal(await page.locator('#runs').count(), 0);
  await page.close();
});

test('without its peer it says so, and keeps what it has shown', { skip }, async () => {
  const { page } = await open(context, (await light(specification)).url);
  await page.locator('#verdict').waitFor(PATIENCE);
  await node.close();
  await page.locator('#link.disconnected').waitFor(PATIENCE);
  assert.match(await words(page, '#stale'), /No peer .* from before/);
  assert.equal(await page.locator('#verdict').count(), 1);
  await page.close();
});
