// That people can use it: on a phone, by keyboard, in the dark, and by ear.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { FakeNode } from './lib/fake-node.mjs';
import { DESKTOP, PHONE, open, stage, untilBlock } from './lib/stage.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let here;

before(async () => {
  here = await stage(await new FakeNode().start());
  // With losses, so that all drawings are there.
  here.node.bend = (method, _params, answer) => {
    if (method !== 'training_lineage') return answer;
    return { result: answer.result.map((one) => ({ ...one, loss: 3_500_000 - one.round * 100_000 })) };
  };
  here.node.head(166);
});
after(() => here.close());

/** The page with a member chosen, so that all parts are there. */
async function whole(how) {
  const { page } = await open(here.context, `${here.url}#net=1&uid=3`, how);
  await untilBlock(page, 166);
  return page;
}

for (const [name, how] of [
  ['light', { size: DESKTOP }], ['dark', { size: DESKTOP, scheme: 'dark' }],
  ['a phone', { size: PHONE }], ['a phone in the dark', { size: PHONE, scheme: 'dark' }],
]) {
  test(`nothing keeps anybody out: ${name}`, async () => {
    const page = await whole(how);
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document));
    const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
    assert.deepEqual(said, []);
    assert.ok(passes.some(({ id }) => id === 'color-contrast'), 'contrast was measured');
    await page.close();
  });
}

test('on a phone nothing is wider than the screen and nothing is tiny', async () => {
  const page = await whole({ size: PHONE });
  const found = await page.evaluate(() => {
    const small = [...document.querySelectorAll('body *')].filter((element) => {
      const own = [...element.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
      return own && Number.parseFloat(getComputedStyle(element).fontSize) < 12;
    });
    const { scrollWidth: wide } = document.documentElement;
    return { wide, small: small.map((element) => element.outerHTML.slice(0, 80)) };
  });
  assert.deepEqual(found, { wide: PHONE.width, small: [] });
  await page.close();
});

test('on a phone a row of members says what each of its numbers is', async () => {
  const page = await whole({ size: PHONE });
  const heads = await page.locator('#members tbody tr').first().locator('td').evaluateAll((cells) =>
    cells.map((cell) => getComputedStyle(cell, '::before').content));
  assert.ok(heads.includes('"Earned, CRN"') && heads.includes('"Incentive"'), heads.join());
  const role = await page.locator('#members table').getAttribute('role');
  assert.equal(role, 'table', 'it stays a table by ear');
  await page.close();
});

test('by keyboard the content is one step away, and focus is seen wherever it goes', async () => {
  const page = await whole({ size: DESKTOP });
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'To the content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  const unseen = [];
  for (let nth = 0; nth < 60; nth += 1) {
    await page.keyboard.press('Tab');
    const { name, outline } = await page.evaluate(() => {
      const element = document.activeElement;
      return { name: element.outerHTML.slice(0, 60), outline: getComputedStyle(element).outlineStyle };
    });
    if (name.startsWith('<body')) break;
    if (outline !== 'solid') unseen.push(name);
  }
  assert.deepEqual(unseen, []);
  assert.equal(await page.locator('#members').count(), 1, 'a way within the page loses nothing');
  await page.close();
});

test('every table has a caption and heads, every drawing words', async () => {
  const page = await whole({ size: DESKTOP });
  const bare = await page.evaluate(() => ({
    tables: [...document.querySelectorAll('table')].filter((table) => !table.caption?.textContent
      || !table.querySelector('th[scope=col]') || !table.querySelector('th[scope=row]')).length,
    drawings: [...document.querySelectorAll('svg:not([aria-hidden])')].filter((one) =>
      one.getAttribute('role') !== 'img' || !one.getAttribute('aria-label')).length,
  }));
  assert.deepEqual(bare, { tables: 0, drawings: 0 });
  await page.close();
});
