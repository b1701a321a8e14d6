// Pictures of the page for docs/dashboard.md. They are kept only where that is asked for.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { FakeNode, LOSSES } from './lib/fake-node.mjs';
import { PHONE, open, stage, untilBlock } from './lib/stage.mjs';

const PAGES = fileURLToPath(new URL('../../docs/dashboard/', import.meta.url));
const MOST_BYTES = 200_000;
const WIDE = { width: 1120, height: 1180 };

/** Name, how the page is opened, the part that is at the top, and the block. */
const PICTURES = [
  ['light', { size: WIDE }, 'subnet-heading', 477],
  ['runs', { size: { ...WIDE, height: 700 } }, 'runs', 477],
  ['loss', { size: { ...WIDE, height: 560 } }, 'loss', 477],
  ['dark', { size: WIDE, scheme: 'dark' }, 'scores', 477],
  ['phone', { size: { width: PHONE.width, height: 1180 } }, 'members', 477],
];

test('pictures show the page, and are small', async () => {
  const here = await stage(await new FakeNode(LOSSES).start());
  const directory = process.env.CAIRN_PICTURES ? PAGES : await mkdtemp(join(tmpdir(), 'cairn-pictures-'));
  for (const [name, how, part, block] of PICTURES) {
    here.node.head(block);
    const { page } = await open(here.context, here.url, how);
    await untilBlock(page, block);
    await page.evaluate((id) => document.getElementById(id).scrollIntoView(), part);
    if (name === 'loss') assert.equal(await page.locator('#curve svg path').count(), 1, 'there is a curve');
    const path = join(directory, `${name}.png`);
    await page.screenshot({ path });
    assert.ok(statSync(path).size < MOST_BYTES, `${name} is ${statSync(path).size} bytes`);
    await page.close();
  }
  if (!process.env.CAIRN_PICTURES) await rm(directory, { recursive: true });
  await here.close();
});
