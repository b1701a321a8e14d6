import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { account, processorSeconds, rows, shown, signed } from './read.mjs';
import { costs, insert, premiums, shares, wrapped } from './tables.mjs';
import { Worker } from './watch.mjs';

const read = (path) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const ALICE = 'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d';
const PAGES = { security: read('docs/security.md'), operators: read('docs/operators.md') };

test('an address is an account', () => {
  assert.equal(account('5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'), ALICE);
  // The same of a network whose number takes two bytes; and what is none.
  assert.equal(account('xw8P6urbSAronL3zZFB7dg8p7LLSgKCUFDUgjohnf1iP434ic'), ALICE);
  assert.throws(() => account('5GrwvaEF0'), /no address/);
});

test('a transaction counts for who signed it, with all of its bytes', () => {
  const body = `8400${ALICE}01${'00'.repeat(70)}`;
  assert.deepEqual(signed(`0xa501${body}`), { who: ALICE, bytes: 107 });
  assert.deepEqual(signed(`0xa4${body}`), { who: ALICE, bytes: 106 });
  // The block's own of its time, one that names no account, and one that is cut off.
  assert.equal(signed('0x280502000b5998bc2ca201'), undefined);
  assert.equal(signed(`0xa4840100${ALICE}`), undefined);
  assert.equal(signed('0xa48400d435'), undefined);
});

test('what a worker shows is read', () => {
  const found = shown(read('ops/metrics/worker.prom'));
  assert.ok(found.round >= 0 && found.steps > 0 && found.again > 0, JSON.stringify(found));
  const { seconds, count } = found.stages.train;
  assert.ok(count > 0 && seconds >= 0);
});

test('the time of a process is that of user and system', () => {
  const before = 'S 1 1 1 0 -1 4194304 9 0 0 0';
  assert.equal(processorSeconds(`7 (a) b) ${before} 250 50 0 0 20 0`), 3);
});

const look = (pid, at, round, processor, train, count, steps) => (
  { pid, at, round, processor, steps, again: 0, stages: { train: { seconds: train, count } } }
);

test('work counts in the round in which it ended, and processors as long as it went on', () => {
  const worker = new Worker('/nowhere', 'miner-1');
  worker.add(look(1, 10, 0, 0, 0, 0, 0));
  worker.add(look(1, 12, 0, 1, 0, 0, 0));
  // Of the three seconds one was before the last look but one: half of what the process took then.
  worker.add(look(1, 14, 1, 3, 3, 1, 20));
  assert.deepEqual(worker.rounds.get(0).stages, {});
  assert.deepEqual(worker.rounds.get(1).stages.train, { seconds: 3, processor: 2.5 });
  assert.equal(worker.rounds.get(1).steps, 20);
});

test('a worker that was started again counts from zero', () => {
  const worker = new Worker('/nowhere', 'miner-1');
  worker.add(look(1, 10, 0, 5, 4, 1, 20));
  worker.add(look(2, 12, 1, 1, 1, 1, 7));
  const { processor, steps, stages } = worker.rounds.get(1);
  assert.deepEqual([processor, steps, stages.train.seconds], [1, 7, 1]);
});

/** Two rounds of a miner and a validator, and what was proven of two honest miners and a cheat. */
function seen() {
  const entry = (stages, bytes) => ({ processor: 3, steps: 20, again: 5, bytes, stages });
  const stage = (seconds) => ({ seconds, processor: seconds / 2 });
  return {
    rate: 16384,
    members: [['miner-1', 'miner'], ['validator-1', 'validator'], ['noise-1', 'noise']]
      .map(([name, kind]) => ({ name, kind })),
    work: {
      'miner-1': [entry({ train: stage(4) }, 300), entry({ train: stage(6), serve: stage(1) }, 400)],
      'validator-1': [entry({}, 500), entry({ measure: stage(8), audit: stage(2) }, 700)],
      'noise-1': [entry({ train: stage(99) }, 9_999)],
    },
    premiums: [
      { kind: 'miner', after: 1, premium: 0.5, factor: 0.5 },
      { kind: 'miner', after: 1, premium: 4, factor: 1 },
      { kind: 'noise', after: 1, premium: -0.04, factor: 0.25 },
      { kind: 'miner', after: 5, premium: 9, factor: 1 },
    ],
  };
}

test('costs are of honest members, with the bounds of operators.md and the figures of security.md', () => {
  const table = costs(seen(), PAGES);
  const cells = (name) => table.split('\n').find((line) => line.startsWith(`| ${name} |`)).split(' | ');
  assert.deepEqual(cells('miner: bytes on chain').slice(1, 3), ['350', '400']);
  // operators.md says the sums below its table, too.
  const [, miner, validator, epoch] = /a miner takes (\d+) .* validator (\d+), and ([\d,]+) more/.exec(PAGES.operators);
  const [, open, verdict] = /An audit takes (\d+) and, for each auditor, (\d+)/.exec(PAGES.operators);
  assert.ok(table.includes(`| ${miner}, and ${open} for an audit |`), table);
  const bound = `| ${validator}, ${epoch.replace(',', '')} for an epoch, and ${verdict} for an audit |`;
  assert.ok(table.includes(bound), table);
  assert.deepEqual(cells('validator: scoring, seconds').slice(1, 4), ['4.00', '8.00', '2.00']);
  // The simulator's page has each of them.
  for (const name of ['miner: bytes on chain', 'miner: training, seconds', 'miner: serving audits, seconds',
    'validator: opening files, seconds', 'validator: scoring, seconds', 'validator: replaying for audits, seconds']) {
    assert.match(cells(name)[4], /^\d/, name);
  }
  assert.ok(table.split('\n').every((line) => line.length <= 120));
  const words = shares(seen()).replaceAll('\n', ' ');
  assert.match(words, /scores for 80.0 % \(80.0 %\)/);
  assert.match(words, /Audits take 30.0 % \(30.0 %\).*serve them for 10.0 %.*replay for 20.0 %/);
  assert.match(words, /40 inner steps, and 10 again.*one in 4 is audited/);
});

test('without metrics there are no seconds', () => {
  const none = seen();
  none.work = {};
  assert.match(shares(none), /^No worker showed/);
});

test('premiums are told by rounds, of cheats with what counted', () => {
  const lines = premiums(seen(), PAGES).split('\n');
  assert.equal(lines.length, 3, 'after 5 rounds nothing is told');
  assert.ok(lines[2].startsWith('| 1 | 2.3 | 0.5 | 50 % | 50 % | 75 % | '), lines[2]);
  assert.ok(lines[2].endsWith(' | 0.0, 25 % |'), lines[2]);
  const all = seen();
  for (const kind of ['lazy', 'stranger', 'copier']) {
    all.members.push({ name: `${kind}-1`, kind });
    all.premiums.push({ kind, after: 1, premium: -10.5, factor: 1 });
  }
  assert.ok(premiums(all, PAGES).split('\n').every((line) => line.length <= 120));
  const simulated = rows(PAGES.security, '## What honest miners prove').find(([after]) => after === '1');
  assert.equal(lines[2].split(' | ')[6], simulated[1]);
});

test('what is made goes between the marks of the page', () => {
  const page = read('docs/evidence.md');
  const made = insert(page, 'what was made');
  assert.ok(made.includes('-->\n\nwhat was made\n\n<!-- end -->'));
  assert.equal(insert(made, 'what was made'), made);
  assert.throws(() => insert('nothing', ''), /the page has no/);
  assert.ok(wrapped('word '.repeat(99)).split('\n').every((line) => line.length <= 120));
});
