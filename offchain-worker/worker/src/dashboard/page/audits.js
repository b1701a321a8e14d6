// Audits: those that are open, and how the last ones ended.

import { blocks, bytes, thousands } from './amount.js';
import { facts, h, section, table } from './dom.js';
import { memberLink } from './links.js';
import { fault } from './state.js';

/** Audits of a subnet. */
export function audits({ seen, chain }) {
  const { audits: open, rounds } = seen.chosen;
  const heading = 'Audits';
  const ended = count(rounds);
  return section(
    'audits',
    heading,
    h('p', {}, 'Some contributions are drawn to be checked: validators make some of their steps again. ',
      'Whoever claimed other work, or serves nothing, loses the bond.'),
    open.error ? fault(open) : listed(open.value, seen, chain),
    facts([
      ['Passed, in the rounds shown', thousands(ended.passed)],
      ['Failed', thousands(ended.failed)],
      ['Served nothing', thousands(ended.silent)],
      ['Undecided', thousands(ended.undecided)],
    ]),
  );
}

const COLUMNS = [
  { head: 'Contribution' }, { head: 'Stage' }, { head: 'Left of it', number: true }, { head: 'Served', number: true },
  { head: 'Auditors, and what they found' },
];

function listed(open, seen, chain) {
  const rows = open.map((one) => row(one, seen, chain));
  return table('Open audits', COLUMNS, rows, 'No audit is open.', { tall: true });
}

function row(audit, seen, chain) {
  const block = seen.head.number;
  const [stage, until] = at(audit, block);
  const left = until === null ? null : Math.max(0, until - block);
  return [
    h('span', {}, memberLink(seen, audit.uid), `, round ${thousands(audit.round)}`),
    stage,
    blocks(left, chain.slot),
    audit.served === null ? 'nothing yet' : bytes(audit.served),
    h('ul', { class: 'inline' }, audit.auditors.map((one) =>
      h('li', { class: one.found === 'failed' ? 'no' : null }, `uid ${one.uid} ${says(one)}`))),
  ];
}

/** The stage of an audit at a block, and the first block that is too late for it. */
function at({ opensUntil, commitsUntil, revealsUntil, isDisputed }, block) {
  if ([opensUntil, commitsUntil, revealsUntil].includes(null)) return ['–', null];
  if (block < opensUntil) return ['the miner serves', opensUntil];
  const who = isDisputed === true ? 'disputed: all validators' : 'auditors';
  if (block < commitsUntil) return [`${who} replay and commit`, commitsUntil];
  return [`${who} reveal`, revealsUntil];
}

const says = ({ found, committed }) => found ?? (committed ? 'has committed' : 'nothing yet');

/** How many audits of these rounds ended how. */
function count(rounds) {
  const ended = { passed: 0, failed: 0, silent: 0, undecided: 0 };
  for (const { outcomes } of rounds) {
    for (const how of outcomes.values()) if (Object.hasOwn(ended, how ?? '')) ended[how] += 1;
  }
  return ended;
}
