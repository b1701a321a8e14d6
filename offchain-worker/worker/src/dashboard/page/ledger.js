// Where everything is that was ever issued, and whether it adds up, to the last pebble.

import { crn, exact, percent, thousands } from './amount.js';
import { chapter, facts, h, table } from './dom.js';
import { fault } from './state.js';

const NAMES = {
  balances: 'in accounts',
  stakes: 'staked',
  unbonding: 'stake being withdrawn',
  bonds: 'in bonds of miners',
  pots: 'in pots that the next epochs pay out',
};

/** Whether the parts are the whole: `{ sum, holds }`; null where the node leaves one out. */
export function adds(issuance) {
  const parts = Object.values(issuance.parts);
  if (issuance.issued === null || parts.includes(null)) return null;
  const sum = parts.reduce((all, part) => all + part, 0n);
  return { sum, holds: sum === issuance.issued };
}

/** The ledger. */
export function ledger({ seen }) {
  const { issuance, schedule } = seen;
  return chapter(
    'ledger',
    'The ledger',
    issuance.error ? fault(issuance) : [verdict(issuance.value), books(issuance.value)],
    schedule.error ? fault(schedule) : plan(schedule.value),
  );
}

/** What the sum is, and whether it is what was issued. */
function verdict(issuance) {
  const added = adds(issuance);
  if (added === null) {
    return h('p', { id: 'verdict', class: 'fault' }, 'The node leaves a part out: whether it adds up cannot be said.');
  }
  const { sum, holds } = added;
  const off = sum > issuance.issued ? sum - issuance.issued : issuance.issued - sum;
  return holds
    ? h('p', { id: 'verdict', class: 'holds' }, 'It adds up, to the pebble: ', h('strong', {}, `${exact(sum)} CRN`),
      ' are there, and as much was issued.')
    : h('p', { id: 'verdict', class: 'fault' }, `It does not add up: ${exact(sum)} CRN are there, `,
      `${exact(issuance.issued)} CRN were issued: ${exact(off)} CRN `,
      sum > issuance.issued ? 'too much.' : 'are missing.');
}

function books(issuance) {
  const rows = Object.entries(issuance.parts).map(([name, part]) => [
    NAMES[name], exact(part), percent(part, issuance.issued),
  ]);
  const added = adds(issuance);
  const total = ['sum of these', exact(added?.sum ?? null), percent(added?.sum ?? null, issuance.issued)];
  const issued = ['issued', exact(issuance.issued), ''];
  total.mark = 'total';
  issued.mark = 'total';
  const columns = [{ head: 'Where it is' }, { head: 'CRN', number: true }, { head: 'Share', number: true }];
  return table('All that was ever issued; the sum is made in this page', columns, [...rows, total, issued], '');
}

function plan(of) {
  const [owner, miners, validators] = of.split ?? [];
  return facts([
    ['Issued', `${crn(of.issued, 4)} of ${crn(of.cap, 2)} CRN that there will ever be`],
    ['A block brings', `${exact(of.perBlock)} CRN`],
    ['Halvings so far', `${thousands(of.halvings)}; the next when ${crn(of.nextHalving, 2)} CRN are issued`],
    ['Of it to', of.split === null
      ? '–' : `owners ${owner} %, miners ${miners} %, validators and their stakers ${validators} %`],
  ]);
}
