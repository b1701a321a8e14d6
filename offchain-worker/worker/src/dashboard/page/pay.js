// What epochs paid, and what share validators gave each miner.

import { crn, fraction, percent, thousands } from './amount.js';
import { lines, stacked } from './charts.js';
import { facts, h, section, table } from './dom.js';
import { WHOLE } from './members.js';
import { DRAWN } from './subnet.js';
import { fault } from './state.js';

const LEGEND = [['part a', 'miners'], ['part b', 'validators'], ['part c', 'owner']];
/** Epochs that are listed. */
const LISTED = 12;
const SHARE = 1_000_000_000;

/** Shares of miners by epoch. */
export function scores({ seen }) {
  const { scores: all, epochs, miners } = seen.chosen;
  const heading = 'What validators found the work to be worth';
  if (epochs.error) return section('scores', heading, fault(epochs));
  const scored = all.flatMap((one) => one.epochs).filter((each) => (each.incentive ?? 0) > 0);
  const numbers = [...new Set(scored.map((each) => each.epoch))].sort((one, other) => one - other);
  if (numbers.length === 0) {
    return section('scores', heading, h('p', { class: 'empty' }, 'No miner had a share in any epoch yet.'));
  }
  const series = all.map(({ uid, epochs: of }) => {
    const shares = new Map(of.map((each) => [each.epoch, each.incentive]));
    const height = (number) => fraction(shares.get(number) ?? 0, WHOLE);
    return { name: `uid ${uid}`, points: numbers.map((number, at) => [at, height(number)]) };
  });
  const last = numbers.at(-1);
  const best = all.map(({ uid, epochs: of }) => [uid, of.find((each) => each.epoch === last)?.incentive ?? 0])
    .sort(([, one], [, other]) => other - one);
  const shown = miners > DRAWN ? `Shown are the ${DRAWN} that earned most. ` : '';
  const shares = best.map(([uid, share]) => `uid ${uid}: ${percent(share, WHOLE)}`).join(', ');
  const words = `${shown}In epoch ${last}: ${shares}.`;
  const top = Math.max(...series.flatMap((one) => one.points.map(([, height]) => height)));
  const scale = top > 0.5 ? 1 : top > 0.25 ? 0.5 : 0.25;
  for (const one of series) one.points = one.points.map(([at, height]) => [at, height / scale]);
  const marks = [0, 0.5, 1].map((height) => [height, `${height * scale * 100} %`]);
  const title = 'Incentive of miners, by epoch';
  const names = numbers.map(String);
  return section('scores', heading, lines('incentive', { title, words, marks, names, series }));
}

/** Pots, and what epochs paid out of them. */
export function pay({ seen }) {
  const { emission, epochs } = seen.chosen;
  const heading = 'What the subnet was paid';
  return section(
    'pay',
    heading,
    emission.error ? fault(emission) : standing(emission.value, seen.head.number),
    epochs.error ? fault(epochs) : [chart(epochs.value), list(epochs.value)],
  );
}

function standing(of, block) {
  const why = of.emits === false ? 'nothing: it is not on the list of runs that emit'
    : of.works === false ? 'nothing: it did not work of late' : `${percent(of.share, SHARE)} of every block's emission`;
  const parts = [of.paidTo.owner, of.paidTo.miners, of.paidTo.validators];
  const potted = [of.pots.owner, of.pots.miners, of.pots.validators];
  const next = of.next === null ? '–' : of.next <= block ? 'due' : `in block ${thousands(of.next)}`;
  return facts([
    ['It gets', why],
    ['Paid so far', `${crn(of.paid, 9)} CRN`],
    ['To owner, miners, validators', `${parts.map((part) => crn(part, 4)).join(', ')} CRN`],
    ['In the pots of the three', `${potted.map((one) => crn(one, 4)).join(', ')} CRN`],
    ['Epochs', `${thousands(of.epochs)}; the next ${next}`],
  ]);
}

const sum = ({ miners, validators, owner }) => (miners ?? 0n) + (validators ?? 0n) + (owner ?? 0n);

function chart(epochs) {
  if (epochs.length === 0) return null;
  const most = epochs.reduce((top, one) => (sum(one.paid) > top ? sum(one.paid) : top), 0n);
  const bars = epochs.map(({ epoch, paid }) => ({
    name: String(epoch),
    parts: [paid.miners, paid.validators, paid.owner].map((part) => (most === 0n ? 0 : fraction(part ?? 0n, most))),
  }));
  const paying = epochs.filter((one) => sum(one.paid) > 0n).length;
  const words = `${paying} of ${epochs.length} epochs paid something, at most ${crn(most, 4)} CRN.`;
  const marks = most === 0n ? [[0, '0']] : [[0, '0'], [0.5, crn(most / 2n, 2)], [1, crn(most, 2)]];
  return stacked('paid', { title: 'Paid in each epoch, in CRN', words, legend: LEGEND, marks, bars });
}

function list(epochs) {
  const rows = epochs.slice(-LISTED).reverse().map((one) => [
    thousands(one.epoch), thousands(one.block), `${thousands(one.voters)} of ${thousands(one.validators)}`,
    crn(one.paid.owner, 6), crn(one.paid.miners, 6), crn(one.paid.validators, 6),
  ]);
  const columns = [
    { head: 'Epoch' }, { head: 'Block', number: true }, { head: 'Scores of', number: true },
    { head: 'To the owner, CRN', number: true }, { head: 'To miners, CRN', number: true },
    { head: 'To validators, CRN', number: true },
  ];
  return h('details', { id: 'epochs' }, h('summary', {}, 'The last epochs'),
    table('The last epochs: how many validators were heard, and what was paid', columns, rows, 'No epoch yet.'));
}
