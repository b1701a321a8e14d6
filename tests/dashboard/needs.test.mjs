// What the page says that a run takes is what `cairn run plan` says of the same run.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { FakeNode, LOSSES } from './lib/fake-node.mjs';
import { PROGRAM, open, stage, untilBlock } from './lib/stage.mjs';

const BLOCK = LOSSES.blocks.at(-1);
const NO_AUDITS = { audits: { rate: 0, tolerance: 0 } };
const MUON = { matrices: { muon: { momentum: 0.95, rms: 0.2 } } };
const LARGE = {
  layers: 16, d_model: 2_048, heads: 32, kv_heads: 8, ffn: 8_192, vocabulary: 128_256, context: 8_192,
  tied_embeddings: true,
};

/** Runs, as what is other in them than in the one that was recorded. */
const RUNS = {
  'the one that was recorded': {},
  'one that admits cards': { audits: { rate: 65_536, tolerance: 2_048, card_bond: 3 } },
  'one that overlaps': { overlap: 1, checkpoint_every: 1 },
  'one that audits nothing': NO_AUDITS,
  'one of Muon': { inner: MUON },
  'one of Muon that audits nothing': { ...NO_AUDITS, inner: MUON },
  'one that keeps all values': { ...NO_AUDITS, inner: MUON, compression: { kept_per_block: 4_096 } },
  'one in which members take turns': {
    inner: MUON, compression: { kept_per_block: 4_096, error_decay: 0, final_error_decay: null, turns: 4 },
    outer: { rho: 0.25 },
  },
  'one of three turns, whose blocks are cut': {
    model: { layers: 3, d_model: 120, heads: 6, kv_heads: 3, ffn: 333 },
    compression: { kept_per_block: 4_096, error_decay: 0, final_error_decay: null, turns: 3 }, outer: { rho: 0.3 },
  },
  'one of a large model': { ...NO_AUDITS, model: LARGE, inner: { sequence_length: 8_192 }, max_contributors: 100 },
  'one whose head is its own, and whose blocks are cut': {
    model: { layers: 3, d_model: 120, heads: 6, kv_heads: 3, ffn: 333, vocabulary: 70_001, tied_embeddings: false },
    inner: { steps: 21, trace_every: 4 }, compression: { kept_per_block: 77 }, max_contributors: 7,
  },
  'one that keeps one value of a block': { compression: { kept_per_block: 1 }, inner: { sequences: 1 } },
};

let here, recorded, directory;

before(async () => {
  here = await stage(await new FakeNode(LOSSES).start());
  here.node.head(BLOCK);
  recorded = here.node.answer('training_run', [1]).result.config;
  directory = mkdtempSync(join(tmpdir(), 'cairn-needs-'));
});
after(async () => {
  rmSync(directory, { recursive: true });
  await here.close();
});

/** One object over another, part by part. */
function over(one, other) {
  const fresh = Object.entries(other).map(([key, value]) => {
    const isPart = value !== null && typeof value === 'object' && typeof one[key] === 'object';
    return [key, isPart ? over(one[key], value) : value];
  });
  return { ...one, ...Object.fromEntries(fresh) };
}

/** What an object says; TOML has no null. */
const parts = (value) => Object.entries(value).filter(([, inner]) => inner !== null);
/** A value in TOML. */
const toml = (value) => (typeof value === 'object'
  ? `{ ${parts(value).map(([key, inner]) => `${key} = ${toml(inner)}`).join(', ')} }` : JSON.stringify(value));

/** What the program plans for a run: bytes by who holds them. */
function planned(config, ...args) {
  const { initial_root: _root, data: _data, ...rest } = config;
  const file = join(directory, 'run.toml');
  writeFileSync(file, Object.entries(rest).map(([key, value]) => `${key} = ${toml(value)}\n`).join(''));
  const said = execFileSync(PROGRAM, ['run', 'plan', '--file', file, '--json', ...args], { encoding: 'utf8' });
  return new Map(JSON.parse(said).parts.map(({ who, bytes }) => [who, bytes]));
}

/** What the page counts for it. */
const counted = (page, config) => page.evaluate(async (of) => {
  const [{ run }, { needs }] = await Promise.all([import('/model.js'), import('/needs.js')]);
  return needs(run({ config: of }));
}, config);

const PARTS = [
  ['training', 'a miner that trains, in memory'], ['serving', 'a miner that serves an audit, in memory'],
  ['measuring', 'a validator that measures, in memory'], ['auditing', 'a validator that audits, in memory'],
  ['mining', 'a miner, on disk'], ['validating', 'a validator, on disk'],
  ['joining', "a miner's line, to join"], ['coming', "a miner's line, down, in a round"],
];
const UP = "a miner's line, up, for each that fetches there";

for (const [name, edit] of Object.entries(RUNS)) {
  test(`what a run takes is what the program plans: ${name}`, async () => {
    const config = over(recorded, edit);
    const { page } = await open(here.context, `${here.url}words.js`);
    const mine = await counted(page, config);
    const theirs = planned(config);
    for (const [key, who] of PARTS) assert.equal(mine[key], theirs.get(who) ?? 0, who);
    assert.equal(mine.contribution + mine.served, theirs.get(UP), UP);
    const isMuon = typeof config.inner.matrices === 'object';
    const admits = config.audits.rate === 0 || (!isMuon && config.audits.tolerance > 0);
    assert.equal(mine.card !== null, admits);
    if (admits) {
      const onCards = planned(config, '--cards', '1');
      assert.equal(mine.card.bytes, onCards.get('each card, by cairn itself'));
      const beside = ['trains', 'serves an audit'].map((what) => onCards.get(`a miner that ${what}, in memory`) ?? 0);
      assert.equal(mine.card.beside, Math.max(...beside));
    }
    await page.close();
  });
}

/** The facts of the run's card, by name. */
const facts = (page) => page.locator('#runs .card .facts > div').evaluateAll((rows) =>
  Object.fromEntries(rows.map((row) => [...row.children].map((child) => child.innerText.replaceAll('\u00a0', ' ')))));

/** Opens the page for the run with an edit, and reads the facts. */
async function shown(edit) {
  here.node.bend = (method, _params, answer) => (method === 'training_run'
    ? { result: { ...answer.result, config: over(answer.result.config, edit) } } : answer);
  const { page, faults } = await open(here.context, here.url);
  await untilBlock(page, BLOCK);
  const said = await facts(page);
  assert.deepEqual(faults, []);
  await page.close();
  return said;
}

/** As the program shows it to people. */
const rowsOf = (config) => {
  planned(config);
  const said = execFileSync(PROGRAM, ['run', 'plan', '--file', join(directory, 'run.toml')], { encoding: 'utf8' });
  return new Map(said.split('\n').filter((line) => /^[a-z]/.test(line)).map((line) => line.trim().split(/ {2,}/)));
};

test('the card of a run says it as the program does', async () => {
  const said = await shown({});
  const rows = rowsOf(recorded);
  const at = (key) => rows.get(PARTS.find(([name]) => name === key)[1]);
  assert.equal(said['Memory to mine'], `${at('training')} while it trains, ${at('serving')} while it serves an audit`);
  assert.equal(said['Memory to validate'], `${at('measuring')} while it measures, ${at('auditing')} while it audits`);
  assert.equal(said['Disk to mine'], `at most ${at('mining')}`);
  assert.equal(said['Disk to validate'], `at most ${at('validating')}`);
  assert.match(said.Cards, /^none: work is replayed to the bit/);
  assert.match(said['Fetched to begin'], /^[\d.]+ MB of text, and at most [\d.]+ MB of parameters and contributions$/);
  assert.match(said['Fetched in a round'], /^at most 1\.5 MB$/);
  assert.match(said['Sent in a round'], /^at most [\d.]+ kB to each who asks, and 18\.4 MB to each of 3 auditors if/);
});

test('whether cards are admitted is said, and behind which bond', async () => {
  const near = await shown(RUNS['one that admits cards']);
  assert.match(near.Cards, /^within 3\.1 % of a CPU's work, with a bond of at least 3\.00 CRN: [\d.]+ MiB of one, and/);
  assert.match((await shown(NO_AUDITS)).Cards, /^as good as a CPU: [\d.]+ MiB of one, and [\d.]+ MiB of memory$/);
  assert.match((await shown(RUNS['one of Muon that audits nothing'])).Cards, /^as good as a CPU: [\d.]+ MiB of one/);
  assert.match((await shown(RUNS['one of Muon'])).Cards, /^none: work is replayed to the bit/);
});

test('what is not said of a run, or no number holds, is not counted', async () => {
  for (const edit of [
    { inner: { trace_every: null } }, { inner: { trace_every: 0 } }, { inner: { matrices: 'other' } },
    { model: { heads: 0 } }, { compression: { kept_per_block: 0 } }, { compression: { kept_per_block: 4_097 } },
    { compression: { turns: 0 } }, { compression: { turns: 5 } },
    { inner: { sequences: Number.MAX_SAFE_INTEGER } }, { audits: { tolerance: 'near' } }, { overlap: -1 },
  ]) {
    const said = await shown(edit);
    for (const name of ['Memory to mine', 'Disk to validate', 'Sent in a round']) {
      assert.equal(said[name], '–', `${JSON.stringify(edit)}: ${name}`);
    }
  }
});
