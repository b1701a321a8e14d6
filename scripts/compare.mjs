// Runs the same measurements with two binaries in turn and prints a Markdown table; scripts/compare.sh builds them.
//
//     node scripts/compare.mjs THEN NOW RUNS ROUNDS PART …
//
// A figure is the median of the runs and their range. A ratio is that of the medians, larger than 1 where the second is
// better, and the range of the ratios of runs that came one after the other.

import { spawnSync } from 'node:child_process';

const [then, now, runs, rounds, ...parts] = process.argv.slice(2);
if (parts.length === 0) {
  console.error('usage: node scripts/compare.mjs THEN NOW RUNS ROUNDS PART …');
  process.exit(2);
}

const mib = (bytes) => bytes / 2 ** 20;
const speed = (name, key) => ({ name, better: 'more', of: (found) => found[key] });
const cost = (name, key, scale = (x) => x) => ({ name, better: 'less', of: (found) => scale(found[key]) });

const MEASUREMENTS = {
  codec: [64, 512].map((kept) => ({
    arguments: ['bench', 'codec', '--kept-per-block', String(kept), '--json'],
    figures: [
      speed(`select, ${kept} of 4,096, GB/s`, 'select_gb_per_s'),
      speed(`encode, ${kept} of 4,096, GB/s`, 'encode_gb_per_s'),
      speed(`decode eight and step, ${kept}, GB/s`, 'decode_and_apply_gb_per_s'),
    ],
  })),
  score: [
    {
      arguments: ['bench', 'score', '--rounds', rounds, '--json'],
      figures: [cost(`score \`tiny\`, ${rounds} rounds, s per contribution`, 'seconds_per_contribution')],
    },
    {
      arguments: 'bench score --config 100m --contributions 2 --steps 2 --sequences 4 --rounds 1 --json'.split(' '),
      figures: [cost('score `100m`, first round, s per contribution', 'seconds_per_contribution')],
    },
  ],
  train: ['10m', '100m'].map((config) => ({
    arguments: ['bench', 'train', '--config', config, '--threads', '1', '--steps', '3', '--json'],
    figures: [speed(`train \`${config}\`, tokens/s`, 'tokens_per_s')],
  })),
  memory: [
    {
      arguments: ['bench', 'memory', '--config', '100m', '--json'],
      figures: [
        cost('memory of a miner, `100m`, MiB', 'miner_bytes', mib),
        cost('memory of a validator, `100m`, MiB', 'validator_bytes', mib),
      ],
    },
  ],
  devnet: [
    {
      arguments: ['devnet', '--rounds', rounds, '--json', '-'],
      figures: [
        cost(`${rounds} rounds of a devnet, s`, 'wall_seconds'),
        cost('held-out loss after them', 'final_heldout_loss'),
      ],
    },
  ],
};

const run = (binary, words) => spawnSync(binary, words, { encoding: 'utf8', maxBuffer: 1 << 28 });

// What a binary says, or nothing if it has no such verb.
function ask(binary, words) {
  const verb = words.slice(0, words.findIndex((word) => word.startsWith('--')));
  const help = run(binary, [...verb, '--help']);
  if (!help.error && help.status !== 0) return undefined;
  const { status, stdout, stderr, error } = run(binary, words);
  if (status !== 0) {
    console.error(`${binary} ${words.join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
    process.exit(1);
  }
  return JSON.parse(stdout.slice(stdout.indexOf('{\n')));
}

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const median = (numbers) => sorted(numbers)[Math.floor(numbers.length / 2)];
const shown = (number) => number.toLocaleString('en', { maximumSignificantDigits: 4 });

function range(numbers) {
  const all = sorted(numbers);
  return `${shown(median(all))} (${shown(all[0])} to ${shown(all.at(-1))})`;
}

console.log(`\n| ${runs} runs of each, in turn | then | now | ratio |\n|---|--:|--:|--:|`);
for (const measurement of parts.flatMap((part) => MEASUREMENTS[part] ?? [])) {
  const found = { then: [], now: [] };
  for (let turn = 0; turn < Number(runs); turn += 1) {
    // Whoever is first changes, so that what comes after a pause is not always the same.
    const both = [['then', then], ['now', now]];
    for (const [name, binary] of turn % 2 ? both.reverse() : both) {
      found[name].push(ask(binary, measurement.arguments));
    }
  }
  for (const { name, better, of } of measurement.figures) {
    const [before, after] = [found.then, found.now].map((all) => all.filter(Boolean).map(of).filter(Number.isFinite));
    const ratio = (a, b) => (better === 'more' ? b / a : a / b);
    const ratios = before.map((number, turn) => ratio(number, after[turn]));
    const last = before.length && after.length
      ? `${ratio(median(before), median(after)).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`
      : 'one of them has none';
    console.log(`| ${name} | ${before.length ? range(before) : 'none'} | ${after.length ? range(after) : 'none'} | ${last} |`);
  }
}
