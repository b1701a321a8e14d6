// The loss of the model, as validators stated it on a chain that was recorded.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FakeNode, LOSSES } from './lib/fake-node.mjs';
import { open, stage, untilBlock } from './lib/stage.mjs';

const [FIRST, LAST] = LOSSES.blocks;

let here;

before(async () => { here = await stage(await new FakeNode(LOSSES).start()); });
after(() => here.close());

/** The losses that were recorded, by round. */
const recorded = () => here.node.answer('training_lineage', [1, 0]).result
  .filter(({ loss }) => loss !== null).map(({ round, loss }) => [round, (loss / 1_000_000).toFixed(4)]);

const listed = (page) => page.locator('#losses tbody tr').evaluateAll((rows) =>
  rows.map((row) => [Number(row.children[0].textContent), row.children[1].textContent]).reverse());

test('the losses on a chain are drawn and listed, and a round later there is one more', async () => {
  here.node.head(FIRST);
  const { page, faults } = await open(here.context, here.url);
  await untilBlock(page, FIRST);
  const before = recorded();
  assert.ok(before.length > 10, `${before.length} rounds have a loss`);
  assert.deepEqual(await listed(page), before);
  here.node.head(LAST);
  await untilBlock(page, LAST);
  const now = recorded();
  assert.deepEqual(now.slice(0, before.length), before);
  assert.equal(now.length, before.length + 1);
  assert.deepEqual(await listed(page), now);
  const [[round, loss], [newest, least]] = [now[0], now.at(-1)];
  assert.ok(Number(least) < Number(loss) - 2, `from ${loss} to ${least}: the model learned`);
  assert.equal(await page.locator('#curve svg').getAttribute('aria-label'), 'Mean loss in nats per token, by round. '
    + `Round ${newest}: ${least}; round ${round}: ${loss}. The lowest is ${least}, in round ${newest}.`);
  const points = (await page.locator('#curve svg path').getAttribute('d')).split('L');
  assert.equal(points.length, now.length);
  assert.deepEqual(faults, []);
  await page.close();
});
