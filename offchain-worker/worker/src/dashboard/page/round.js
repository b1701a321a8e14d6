// The round that goes on: its phase, the time left, and who has done what.

import { blocks, bytes, crn, percent, thousands } from './amount.js';
import { progress } from './charts.js';
import { facts, h, section, table } from './dom.js';
import { memberLink } from './links.js';
import { fault } from './state.js';
import { hasBegun, phase, waitsFor } from './words.js';

/** Miners and validators of a round that are listed. */
const LISTED = 64;

/** The present round of the subnet that is looked at. */
export function round({ seen, chain }, subnet) {
  const { run, members, contributions } = seen.chosen;
  const heading = (number) => (number === null ? 'The round' : `Round ${thousands(number)}, now`);
  if (run.error) return section('round', heading(null), fault(run));
  if (run.value === null) {
    return section('round', heading(null), h('p', { class: 'empty' }, 'There is no run, and so there are no rounds.'));
  }
  if (run.value.round === null) {
    return section('round', heading(null), fault({ error: 'What the node says of the round is not as it should be.' }));
  }
  if (!hasBegun(run.value)) {
    return section('round', heading(null), h('p', {}, `No round yet. ${waitsFor(subnet, members.value ?? [])}`));
  }
  const now = run.value.round;
  return section(
    'round',
    heading(now.round),
    stands(now, seen.head.number, chain),
    h('div', { class: 'pair' }, miners(seen, now, contributions), validators(seen, now)),
    absent(run.value),
  );
}

/** Where the block is in the round, as a sentence and drawn. */
function stands(now, block, chain) {
  if (now.parts === null) {
    return h('p', { class: 'fault' }, 'How long its phases are the node does not say.');
  }
  const { train, reveal, attest } = now.parts;
  const all = train + reveal + attest;
  const passed = Math.min(all, Math.max(0, block - now.start + 1));
  const ends = { train, reveal: train + reveal, attest: all, settle: all }[now.phase] ?? all;
  const left = (to) => blocks(Math.max(0, to - passed), chain.slot);
  const names = [['train', train], ['reveal', reveal], ['attest', attest]];
  const phases = names.map(([name, long]) => ({ name, blocks: long, isNow: name === now.phase }));
  return h(
    'div',
    { class: 'stands' },
    h('p', { class: 'phase-now' }, h('strong', {}, now.phase ?? '–'), `: ${phase(now.phase)}`),
    progress(phases, passed / all, `Block ${passed} of ${all} of the round`),
    facts([
      ['Block of the round', `${passed} of ${all}`],
      ['Left of the phase', left(ends)],
      ['Left of the round', left(all)],
      ['Pass over the data', now.pass === null ? '–' : thousands(now.pass + 1)],
    ]),
  );
}

const mark = (is) => (is ? h('span', { class: 'yes' }, 'yes') : h('span', { class: 'no' }, 'not yet'));
const more = (list) => (list.length > LISTED ? h('p', {}, `And ${thousands(list.length - LISTED)} more.`) : null);

function miners(seen, now, contributions) {
  const title = 'Miners of the round';
  if (contributions.error) return h('div', {}, h('h4', {}, title), fault(contributions));
  const of = new Map(contributions.value.map((one) => [one.uid, one]));
  const total = now.validators.reduce((sum, one) => sum + (one.stake ?? 0n), 0n);
  const rows = now.miners.slice(0, LISTED).map((miner) => {
    const sent = of.get(miner.uid);
    return [
      memberLink(seen, miner.uid),
      mark(sent !== undefined),
      sent ? bytes(sent.length) : '–',
      mark(sent?.revealed),
      sent ? percent(sent.support, total) : '–',
    ];
  });
  const done = now.miners.filter((miner) => of.has(miner.uid));
  const words = `${done.length} of ${now.miners.length} committed, `
    + `${done.filter((miner) => of.get(miner.uid).revealed).length} revealed`;
  const columns = [
    { head: 'Miner' }, { head: 'Committed' }, { head: 'Size', number: true },
    { head: 'Revealed' }, { head: 'Found good by', number: true },
  ];
  const caption = `${title}: ${words}`;
  const none = 'Nobody had the bond when it began.';
  return h('div', {}, table(caption, columns, rows, none, { tall: true }), more(now.miners));
}

function validators(seen, now) {
  const total = now.validators.reduce((sum, one) => sum + (one.stake ?? 0n), 0n);
  const rows = now.validators.slice(0, LISTED).map((one) => [
    memberLink(seen, one.uid),
    crn(one.stake, 2),
    percent(one.stake, total),
    mark(one.committed || one.attested),
    mark(one.attested),
  ]);
  const attested = now.validators.filter((one) => one.attested);
  const stake = attested.reduce((sum, one) => sum + (one.stake ?? 0n), 0n);
  const words = `${attested.length} of ${now.validators.length} attested, ${percent(stake, total)} of stake`;
  const columns = [
    { head: 'Validator' }, { head: 'Stake, CRN', number: true }, { head: 'Share', number: true },
    { head: 'Committed' }, { head: 'Attested' },
  ];
  const caption = `Validators of the round: ${words}`;
  const none = 'Nobody had the stake when it began.';
  return h('div', {}, table(caption, columns, rows, none, { tall: true }), more(now.validators));
}

/** Members that are not expected any more. */
function absent(run) {
  if (run.absent.length === 0) return null;
  const names = run.absent.slice(0, LISTED).map((one) => `uid ${one.uid}`).join(', ');
  return h('p', {}, `Not expected, since they missed too many rounds: ${names}.`);
}
