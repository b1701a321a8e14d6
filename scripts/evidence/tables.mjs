// What a devnet's members spent and its miners proved, as Markdown. The rounds and terms are those of docs/security.md,
// of which the simulator's figures are.

import { rows } from './read.mjs';

/** Rounds after which is told what was proven. */
const AFTER = [1, 2, 3, 4, 6, 8, 12, 16];
/** From where on gains count for something, and in full. `factor` of the protocol has both. */
const [SOME, FULL] = [1, 3];
/** Parts of the work: who does it, its stage, what it is called here and in the simulator. */
const PARTS = [
  ['miner', 'train', 'training', 'training'],
  ['miner', 'serve', 'serving audits', 'states made again for audits'],
  ['validator', 'open', 'opening files', 'opening files'],
  ['validator', 'measure', 'scoring', 'scoring'],
  ['validator', 'audit', 'replaying for audits', 'replaying for audits'],
];

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const mean = (numbers) => sum(numbers) / Math.max(numbers.length, 1);
const most = (numbers) => numbers.reduce((a, b) => Math.max(a, b), 0);
const percent = (share) => `${(share * 100).toFixed(1)} %`;
const whole = (part) => `${Math.round(part * 100)} %`;
const share = (numbers, counts) => whole(numbers.filter(counts).length / numbers.length);
/** In tenths; none of them is less than nothing. */
const tenths = (number) => number.toFixed(1).replace(/^-0\.0$/, '0.0');

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return (sorted[low] + sorted[high]) / 2;
}

/** Lines of at most 120 columns. */
export function wrapped(text) {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length > 120) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.join('\n');
}

/** Whether a member of this kind is a cheat. */
export const isCheat = (kind) => !['miner', 'validator'].includes(kind);

/** Rows by their first cell. */
const named = (table) => Object.fromEntries(table.map(([name, ...cells]) => [name, cells]));

const middle = (found) => tenths(median(found.map(({ premium }) => premium)));
const counted = (found) => whole(mean(found.map(({ factor }) => factor)));

const row = (cells) => `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ');
const ruled = (columns) => `|${columns.map((right) => (right ? '---:' : '---')).join('|')}|`;

/** What honest members of a role did in each round that is over: one entry of each member and round. */
function each(seen, role) {
  const members = seen.members.filter(({ kind }) => kind === role);
  return members.flatMap(({ name }) => seen.work[name] ?? []);
}

const seconds = (entries, stage) => entries.map(({ stages }) => stages[stage]?.seconds ?? 0);
const processor = (entries, stage) => entries.map(({ stages }) => stages[stage]?.processor ?? 0);

/** The longest that transactions of these duties can be, by docs/operators.md. */
function longest(operators, calls) {
  const of = (call) => operators.split('\n').find((line) => line.startsWith(`| \`${call}\` |`));
  return sum(calls.map((call) => Number(of(call)?.split('|').at(-2))));
}

/** The table of costs: what honest members of a devnet spent in a round, beside the simulator's. */
export function costs(seen, { security, operators }) {
  const simulated = named(rows(security, '## What it costs the honest'));
  const of = (calls) => longest(operators, calls);
  const bounds = {
    miner: `${of(['commit', 'reveal'])}, and ${of(['open'])} for an audit`,
    validator: `${of(['commit_attestation', 'attest'])}, ${of(['commit_scores', 'reveal_scores'])} for an epoch, `
      + `and ${of(['commit_verdict', 'reveal_verdict'])} for an audit`,
  };
  const lines = [row(['', 'mean', 'most', 'processor', 'simulator', 'most', 'bound']), ruled([0, 1, 1, 1, 1, 1, 0])];
  for (const role of ['miner', 'validator']) {
    const bytes = each(seen, role).map((entry) => entry.bytes);
    const name = `${role}: bytes on chain`;
    const [then, thenMost] = simulated[name] ?? ['', ''];
    lines.push(row([name, mean(bytes).toFixed(0), most(bytes).toFixed(0), '', then, thenMost, bounds[role]]));
  }
  for (const [role, stage, name, simulatedName] of PARTS) {
    const entries = each(seen, role);
    const spent = seconds(entries, stage);
    const [then, thenMost] = simulated[`${role}: ${simulatedName}, seconds`] ?? ['', ''];
    lines.push(row([
      `${role}: ${name}, seconds`, mean(spent).toFixed(2), most(spent).toFixed(2),
      mean(processor(entries, stage)).toFixed(2), then, thenMost, '',
    ]));
  }
  for (const role of ['miner', 'validator']) {
    const all = each(seen, role).map((entry) => entry.processor);
    lines.push(row([`${role}: all, processor seconds`, mean(all).toFixed(2), most(all).toFixed(2), '', '', '', '']));
  }
  return lines.join('\n');
}

/** What of that scoring and audits are, in words. */
export function shares(seen) {
  const [miners, validators] = [each(seen, 'miner'), each(seen, 'validator')];
  const of = (figure) => {
    const trained = figure(miners, 'train');
    return {
      scored: mean(figure(validators, 'measure')) / mean(trained),
      served: sum(figure(miners, 'serve')) / sum(trained),
      replayed: sum(figure(validators, 'audit')) / sum(trained),
    };
  };
  if (sum(seconds(miners, 'train')) === 0) return 'No worker showed its seconds: this `cairn` cannot have them shown.';
  const [time, processors] = [of(seconds), of(processor)];
  const both = (figure) => `${percent(figure(time))} (${percent(figure(processors))})`;
  const [steps, again] = [sum(miners.map((entry) => entry.steps)), sum(miners.map((entry) => entry.again))];
  return wrapped(
    `By time, and in brackets by processors' time: a validator scores for ${both(({ scored }) => scored)} of what a `
    + `miner trains. Audits take ${both(({ served, replayed }) => served + replayed)} of what training does: miners `
    + `serve them for ${both(({ served }) => served)}, auditors replay for ${both(({ replayed }) => replayed)}. Honest `
    + `miners made ${steps} inner steps, and ${again} again for audits. Of included contributions `
    + `${seen.rate > 0 ? `one in ${Math.round(65_536 / seen.rate)} is` : 'none are'} audited, and each of a miner's `
    + 'until one has passed.',
  );
}

/** The table of premiums: what miners had proven after so many rounds of theirs, beside the simulator's. */
export function premiums(seen, { security }) {
  const simulated = named(rows(security, '## What honest miners prove'));
  const cheats = [...new Set(seen.members.map(({ kind }) => kind).filter(isCheat))];
  const names = ['rounds', 'z', 'least', 'some', 'full', 'counted', 'simulator: z', 'some', 'full'];
  const head = [...names, ...cheats.map((kind) => `\`${kind}\``)];
  const lines = [row(head), ruled(head.map(() => 1))];
  const of = (after, kind) => seen.premiums.filter((one) => one.after === after && one.kind === kind);
  for (const after of AFTER) {
    const honest = of(after, 'miner');
    if (honest.length === 0) continue;
    const z = honest.map(({ premium }) => premium);
    const cheat = (kind) => {
      const found = of(after, kind);
      if (found.length === 0) return '';
      return `${middle(found)}, ${counted(found)}`;
    };
    lines.push(row([
      after, middle(honest), tenths(Math.min(...z)), share(z, (one) => one > SOME),
      share(z, (one) => one >= FULL), counted(honest),
      ...(simulated[String(after)] ?? ['', '', '']).slice(0, 3), ...cheats.map(cheat),
    ]));
  }
  return lines.join('\n');
}

/** Puts what was made between its marks in a page. */
export function insert(page, text) {
  const [begin, end] = ['<!-- made by `make evidence`: do not edit -->', '<!-- end -->'];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no "${begin}" … "${end}"`);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}
