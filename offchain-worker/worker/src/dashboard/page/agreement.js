// Whether validators agree: the stake behind each round's model root, and the line of roots.

import { crn, fraction, percent, short, thousands } from './amount.js';
import { stacked } from './charts.js';
import { h, key, section, table } from './dom.js';
import { fault } from './state.js';

const HALVES = [[0, '0 %'], [0.5, '50 %'], [1, '100 %']];
const LEGEND = [['part a', 'this root'], ['part c', 'another root'], ['part none', 'did not attest']];

/** The roots with which rounds began. */
export function agreement({ seen }) {
  const { lineage } = seen.chosen;
  const heading = 'Agreement of validators, and the line of models';
  if (lineage.error) return section('agreement', heading, fault(lineage));
  const roots = lineage.value;
  if (roots.length === 0) {
    const none = 'No root was attested yet: the first comes with round 0.';
    return section('agreement', heading, h('p', { class: 'empty' }, none));
  }
  return section('agreement', heading, chart(roots), list(roots));
}

function chart(roots) {
  const bars = roots.map((one) => {
    const [same, any] = [fraction(one.attested, one.total), fraction(one.attesting, one.total)];
    return { name: String(one.round), parts: [same, Math.max(0, any - same), Math.max(0, 1 - Math.max(any, same))] };
  });
  const final = roots.filter((one) => one.isFinal).length;
  const last = roots.at(-1);
  const words = `In ${final} of ${roots.length} rounds the root is final. `
    + `Round ${last.round}: ${percent(last.attested, last.total)} of stake.`;
  const title = 'Stake that attested the model root, by round';
  return stacked('attested', { title, words, legend: LEGEND, marks: HALVES, bars });
}

function state(isFinal) {
  if (isFinal === null) return '–';
  return isFinal ? h('span', { class: 'yes' }, 'final') : h('span', { class: 'no' }, 'not final');
}

function list(roots) {
  const rows = [...roots].reverse().map((one) => [
    thousands(one.round),
    key(one.root, short(one.root)),
    percent(one.attested, one.total),
    crn(one.attested, 2),
    crn(one.attesting, 2),
    crn(one.total, 2),
    state(one.isFinal),
  ]);
  const columns = [
    { head: 'Round' }, { head: 'Model root at its begin' }, { head: 'Agree', number: true },
    { head: 'With this root, CRN', number: true }, { head: 'With any root, CRN', number: true },
    { head: 'All stake, CRN', number: true }, { head: 'State' },
  ];
  const caption = 'Lineage: the model root with which each round began, and the stake that attested it';
  return h('details', { id: 'lineage', open: true }, h('summary', {}, `Lineage of ${roots.length} rounds`),
    table(caption, columns, rows, ''));
}
