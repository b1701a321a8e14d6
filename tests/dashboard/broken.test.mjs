// What the page shows of a node that lies, falls silent, or is not there.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { FakeNode } from './lib/fake-node.mjs';
import { open, stage, untilBlock, words } from './lib/stage.mjs';

const MARKUP = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>';

let here;

beforeEach(async () => {
  here = await stage(await new FakeNode().start());
  here.node.head(119);
});
afterEach(() => here.close());

/** Opens the page with answers bent, waits for the block, and gives it to `check`. */
async function bent(bend, check, hash = '') {
  here.node.bend = bend;
  const { page, faults } = await open(here.context, here.url + hash);
  await untilBlock(page, 119);
  await check(page);
  assert.deepEqual(faults, []);
}

/** Puts a value wherever an answer has a text. */
function everywhere(value, put) {
  if (typeof value === 'string') return put(value);
  if (Array.isArray(value)) return value.map((one) => everywhere(one, put));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, everywhere(one, put)]));
}

const ours = (method) => /^(subnets|training|emissions|audits)_/.test(method);

test('markup in names is text', () => bent(
  (method, _params, { result, ...rest }) => {
    if (method === 'system_chain') return { result: MARKUP };
    // Amounts and hashes stay, so that all is drawn.
    const isName = (value) => !/^(\d+|0x[0-9a-f]*)$/.test(value) && !['miner', 'validator', 'attest'].includes(value);
    return { ...rest, result: ours(method) ? everywhere(result, (value) => (isName(value) ? MARKUP : value)) : result };
  },
  async (page) => {
    assert.equal(await page.evaluate(() => window.owned), undefined);
    const foreign = 'img:not([src="icon.svg"]), script:not([src="main.js"]), iframe, [onerror]';
    assert.equal(await page.locator(foreign).count(), 0);
    assert.ok((await words(page, '#subnet-heading')).includes('<script>window.owned=1</script>'));
    assert.ok((await words(page, '#top .chain')).includes('<img src=x'));
  },
  '#net=1&uid=3',
));

test('letters that act are written out, and long names are cut', () => bent(
  (method, _params, answer) => {
    if (method !== 'training_run') return answer;
    const run = structuredClone(answer.result);
    run.config.name = `evil\u202e\u2066\u0007\u200b${'x'.repeat(10_000)}`;
    return { result: run };
  },
  async (page) => {
    const name = await words(page, '#subnet-heading');
    assert.ok(name.includes('evil\\u{202e}\\u{2066}\\u{7}\\u{200b}xxx'), name);
    assert.ok(name.length < 400);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 1280, `${wide}`);
  },
));

for (const [what, wrong] of [
  ['are missing', () => undefined], ['are null', () => null], ['are numbers below zero', () => -1],
  ['are other texts', () => 'x y'], ['are objects', () => ({})], ['are lists', () => [[]]],
]) {
  test(`all fields but the numbers of things ${what}, and the page stands`, () => bent(
    (method, _params, answer) => {
      if (!ours(method) || !answer.result) return answer;
      const names = ['netuid', 'uid', 'round', 'epoch', 'epochs'];
      const strip = (value) => {
        if (Array.isArray(value)) return value.map(strip);
        if (value === null || typeof value !== 'object') return value;
        return Object.fromEntries(Object.entries(value).map(([key, one]) =>
          [key, names.includes(key) ? strip(one) : wrong()]));
      };
      return { result: strip(answer.result) };
    },
    async (page) => {
      assert.match(await words(page, '#verdict'), /cannot be said/);
      assert.match(await words(page, '#subnet-heading'), /Subnet 1/);
      assert.equal(await page.locator('#members tbody tr').count(), 6);
      assert.ok(!/NaN|undefined|\[object|Infinity/.test(await words(page, '#body')), await words(page, '#body'));
    },
    '#net=1&uid=3',
  ));
}

for (const [what, result] of [
  ['text', 'x'], ['a number', 7], ['null', null], ['a list of nothing good', [null, 3, {}]],
]) {
  test(`answers are ${what}, and each part says so or shows nothing`, () => bent(
    (method, _params, answer) => (ours(method) ? { result } : answer),
    async (page) => {
      const said = await words(page, '#body');
      assert.ok(/is not as it should be|There is no subnet/.test(said), said);
      assert.ok(!/NaN|undefined|\[object/.test(said), said);
    },
  ));
}

test('a part that the node does not answer says why, and the others are shown', () => bent(
  (method, _params, answer) => {
    if (method === 'audits_open') return { error: { code: -32601, message: 'Method not found' } };
    if (method === 'training_lineage') return { error: { code: 1, message: `the state ${MARKUP} is not kept` } };
    if (method === 'emissions_issuance') return { error: 'none' };
    return answer;
  },
  async (page) => {
    assert.match(await words(page, '#audits'), /This node does not know audits_open/);
    assert.match(await words(page, '#agreement'), /no answer to training_lineage: the state <img/);
    assert.match(await words(page, '#ledger'), /no answer to emissions_issuance/);
    assert.equal(await page.locator('#members tbody tr').count(), 6);
    assert.equal(await page.locator('#body img').count(), 0);
  },
));

test('one pebble too few is found', () => bent(
  (method, _params, answer) => {
    if (method !== 'emissions_issuance') return answer;
    return { result: { ...answer.result, pots: String(BigInt(answer.result.pots) - 1n) } };
  },
  async (page) => {
    const verdict = await words(page, '#verdict');
    assert.match(verdict, /It does not add up/);
    assert.match(verdict, /0\.000000001 CRN are missing/);
  },
));

test('a chain without subnets, without a run, and with a run that waits is said to be so', async () => {
  await bent((method, _params, answer) => (method === 'subnets_list' ? { result: [] } : answer), async (page) => {
    assert.match(await words(page, '#runs'), /no subnet on this chain yet/);
    assert.match(await words(page, '#verdict'), /It adds up/);
  });
  await bent((method, _params, answer) => (method === 'training_run' ? { result: null } : answer), async (page) => {
    assert.match(await words(page, '#runs'), /nothing to train until its owner starts one/);
    assert.match(await words(page, '#round'), /There is no run/);
  });
  await bent((method, _params, answer) => {
    if (method === 'subnets_members') return { result: [] };
    if (method !== 'training_run') return answer;
    const nothing = { round: 0, start: 6, phase: 'settle', seed: `0x${'0'.repeat(64)}`, miners: [], validators: [] };
    return { result: { ...answer.result, round: nothing } };
  }, async (page) => {
    assert.match(await words(page, '#round'), /No round yet\. It waits for a miner with a bond of 1\.00 CRN and a/);
    assert.match(await words(page, '#members'), /It has no members/);
  });
  await bent((_method, _params, answer) => answer, async (page) => {
    assert.match(await words(page, '#subnet'), /There is no subnet 9 on this chain/);
  }, '#net=9');
});

test('thousands of members and rounds are cut to what can be shown', () => bent(
  (method, _params, answer) => {
    if (method !== 'subnets_members') return answer;
    return { result: Array.from({ length: 5_000 }, (_, uid) => ({ ...answer.result[0], uid })) };
  },
  async (page) => assert.equal(await page.locator('#members tbody tr').count(), 512),
));

test('a node that goes away is said to be away, and is found again', async () => {
  const { page, faults } = await open(here.context, here.url);
  await untilBlock(page, 119);
  await here.node.stop();
  await page.locator('#link.disconnected').waitFor();
  assert.match(await words(page, '#stale'), /does not answer\. The next try is in .* What is shown is from before\./);
  assert.match(await words(page, '#live'), /does not answer/);
  assert.match(await words(page, '#members'), /uid 0/, 'what was shown stays');
  here.node.head(121);
  await here.node.start();
  await untilBlock(page, 121);
  await page.locator('#link.live').waitFor();
  assert.equal(await page.locator('#stale').isVisible(), false);
  const settled = here.node.asked.filter(([method, [, round]]) => method === 'training_settled' && round === 0);
  assert.equal(settled.length, 2, 'it may have come back as another chain');
  assert.deepEqual(faults, []);
});

test('a node that is not there yet is waited for, longer each time', async () => {
  await here.node.stop();
  const { page } = await open(here.context, 'about:blank');
  await page.clock.install();
  await page.goto(here.url);
  await page.locator('#link.disconnected').waitFor();
  assert.match(await words(page, '#body'), /does not answer.*Is it running\?/s);
  const waits = [];
  for (let nth = 0; nth < 8; nth += 1) {
    const said = await page.locator('#link').getAttribute('title');
    waits.push(Number(/in (\d+) seconds/.exec(said)?.[1] ?? 1));
    const tried = page.waitForEvent('websocket').then((socket) => socket.waitForEvent('socketerror'));
    await page.clock.runFor(31_000);
    await tried;
    await page.locator('#link.disconnected').waitFor();
  }
  assert.deepEqual([...waits].sort((one, other) => one - other), waits);
  assert.equal(waits.at(-1), 30);
  await here.node.start();
  await page.clock.runFor(31_000);
  await untilBlock(page, 119);
});

test('a node that falls silent is left and tried again', async () => {
  const { page } = await open(here.context, 'about:blank');
  await page.clock.install();
  await page.goto(here.url);
  await untilBlock(page, 119);
  here.node.bend = () => undefined;
  here.node.head(121);
  await page.waitForFunction(() => document.querySelector('#top .block').textContent === '119');
  await page.clock.runFor(21_000);
  await page.locator('#link.disconnected').waitFor();
  here.node.bend = (_method, _params, answer) => answer;
  await page.clock.runFor(1_000);
  await untilBlock(page, 121);
});

test('what is no answer at all is passed over', async () => {
  const { page, faults } = await open(here.context, here.url);
  await untilBlock(page, 119);
  for (const line of ['', 'no JSON', 'null', '[]', '7', '{"id":{}}', '{"params":{"subscription":"s1"}}',
    '{"params":{"subscription":"s2","result":{"number":"0xzz"}}}', '{"params":null,"id":null}']) here.node.say(line);
  here.node.head(121);
  await untilBlock(page, 121);
  assert.deepEqual(faults, []);
});
