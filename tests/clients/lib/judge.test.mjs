// The judge of `make clients`: whatever changes is said.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { STEPS, differences, gather, insert, table } from './judge.mjs';

const line = (step, ok, detail = '') => ({ client: 'x', version: '1.0.0', step, ok, detail });
const all = () => STEPS.map((step) => line(step, true));

test('what is as expected makes no difference', () => {
  const found = gather(all(), '');
  assert.deepEqual(differences('x', found, structuredClone(found)), []);
});

test('a step that fails, works again, fails for another reason, or is gone is named', () => {
  const good = gather(all(), '');
  const bad = (why) => gather(all().map((each) => (each.step === 'block' ? line('block', false, why) : each)), '');
  const none = gather(all().map((each) => (each.step === 'block' ? line('block', null, 'why') : each)), '');
  const cases = [[good, bad('why')], [bad('why'), good], [bad('why'), bad('another')], [bad('why'), none]];
  for (const [expected, found] of cases) {
    const [said, ...more] = differences('x', found, expected);
    assert.match(said, /^x, block: expected that .*; now /);
    assert.deepEqual(more, []);
  }
});

test('a client that ends early fails in every step that it did not reach', () => {
  const found = gather(all().slice(0, 2), 'it ended with 1');
  assert.deepEqual(found.steps[STEPS[1]], 'ok');
  assert.deepEqual(found.steps[STEPS[2]], { fails: 'it ended with 1' });
  assert.equal(differences('x', found, gather(all(), '')).length, STEPS.length - 2);
});

test('another version and an unknown client are named', () => {
  const found = gather(all(), '');
  assert.match(differences('x', found, { ...found, version: '0.9.0' })[0], /expected version 0\.9\.0, found 1\.0\.0/);
  assert.match(differences('x', found, undefined)[0], /says nothing/);
});

test('the table replaces what was between its marks', () => {
  const text = table({ x: gather(all().slice(1), 'it is '.repeat(40).trim()) });
  assert.match(text, /\| x \| 1\.0\.0 \| \*\*no\*\* \| yes /);
  for (const each of text.split('\n')) assert.ok(each.length <= 120, each);
  const page = 'a\n<!-- made by `make clients`: do not edit -->\nold\n<!-- end -->\nb\n';
  const once = insert(page, text);
  assert.ok(!once.includes('old') && once.startsWith('a\n') && once.endsWith('<!-- end -->\nb\n'));
  assert.equal(insert(once, text), once);
  assert.throws(() => insert('a page', text), /has no/);
});
