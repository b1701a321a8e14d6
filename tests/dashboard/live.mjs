// Holds the page against a network that is there: `make devnet` names its node in the first lines.
//
//   node tests/dashboard/live.mjs ws://127.0.0.1:PORT [BLOCKS]
//
// Follows so many blocks (60 if nothing is said), and asks the node by itself what the page says.

import assert from 'node:assert/strict';

import { browser, open, plain, serve, stop, words } from './lib/stage.mjs';

const [node, blocks = '60'] = process.argv.slice(2);
const DEADLINE_MS = 60_000;

/** What the page shows: block, round, whether the ledger adds up, and everything that it could not read. */
const look = (page) => page.evaluate(() => {
  const text = (selector) => document.querySelector(selector)?.textContent ?? null;
  return {
    block: Number(text('#top .block').replaceAll(',', '')),
    round: text('#round h3'),
    phase: text('.phase-now strong'),
    verdict: text('#verdict'),
    faults: [...document.querySelectorAll('#body .fault')].map((one) => one.textContent),
  };
});

/** Whether another block is shown than before; runs in the page. */
const isNew = (old) =>
  document.querySelector('#verdict') !== null && document.querySelector('#top .block').textContent !== old;

/** One request by HTTP, past the page. */
async function ask(method, params) {
  const answer = await fetch(node.replace(/^ws/, 'http'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  return (await answer.json()).result;
}

/** An amount of pebble as the page writes it. */
function written(pebble) {
  const [whole, fraction] = [BigInt(pebble) / 1_000_000_000n, BigInt(pebble) % 1_000_000_000n];
  const decimals = String(fraction).padStart(9, '0').replace(/0{1,7}$/, '');
  return `${whole.toLocaleString('en-US')}.${decimals}`;
}

/** Whether the page says of a block what the node says of it. */
async function compare(page, { block, verdict }) {
  const at = await ask('chain_getBlockHash', [block]);
  const { issued } = await ask('emissions_issuance', [at]);
  assert.ok(verdict.includes(`It adds up, to the pebble: ${written(issued)} CRN`), `block ${block}: ${verdict}`);
  const members = await ask('subnets_members', [1, 0, 256, at]);
  const rows = (await page.locator('#members tbody tr').allInnerTexts()).map(plain);
  if ((await look(page)).block !== block) return false;
  assert.equal(rows.length, members.length);
  members.forEach(({ uid, hotkey }, nth) => {
    assert.ok(rows[nth].startsWith(`uid ${uid}`) && rows[nth].includes(hotkey.slice(-4)), rows[nth]);
  });
  return true;
}

const served = await serve(node);
const { context, close } = await browser();
const { page, faults } = await open(context, served.url);
const seen = [];
let compared = 0;
while (seen.length < Number(blocks)) {
  const last = seen.at(-1)?.block.toLocaleString('en-US') ?? '–';
  await page.waitForFunction(isNew, last, { timeout: DEADLINE_MS });
  const now = await look(page);
  seen.push(now);
  assert.deepEqual(now.faults, [], `block ${now.block}`);
  if (await compare(page, now)) compared += 1;
  console.log(`block ${now.block}, ${now.round}, ${now.phase}: ${now.verdict}`);
}
assert.deepEqual(faults, []);
assert.ok(compared > seen.length / 2, `${compared} of ${seen.length} blocks were compared`);
console.log(`${seen.length} blocks shown, ${compared} held against the node; ${await words(page, '#live')}`);
await close();
assert.equal(await stop(served), 0);
