// Who is in a subnet, and what each has and earns.

import { crn, percent, short } from './amount.js';
import { h, key, section, table } from './dom.js';
import { memberLink } from './links.js';
import { fault } from './state.js';
import { idle } from './words.js';

/** Shares of an epoch are of this. */
export const WHOLE = 65_535;

const CAPTION = 'Members: shares and pay of the last epoch, and all since each came';
const COLUMNS = [
  { head: 'Member' }, { head: 'Role' }, { head: 'Hotkey' }, { head: 'Stake, CRN', number: true },
  { head: 'Bond, CRN', number: true }, { head: 'Incentive', number: true }, { head: 'Dividends', number: true },
  { head: 'Last epoch, CRN', number: true }, { head: 'Earned, CRN', number: true }, { head: 'Last audit' },
];

/** All members of the subnet that is looked at. */
export function members({ seen }, subnet) {
  const { members: list, rounds } = seen.chosen;
  const heading = 'Who earns what';
  if (list.error) return section('members', heading, fault(list));
  const rows = list.value.map((member) => {
    const row = [
      memberLink(seen, member.uid),
      role(member, subnet),
      key(member.hotkey, short(member.hotkey)),
      crn(member.stake, 2),
      crn(member.bond, 2),
      percent(member.incentive, WHOLE),
      percent(member.dividends, WHOLE),
      crn(member.lastPaid, 4),
      crn(member.earned, 4),
      lastAudit(member.uid, rounds),
    ];
    row.mark = seen.uid === member.uid ? 'chosen' : null;
    return row;
  });
  return section(
    'members',
    heading,
    h('p', {}, 'Miners earn by their incentive, which validators give for what a contribution was worth; ',
      'validators and their stakers by dividends. Choose a member to see why.'),
    table(CAPTION, COLUMNS, rows, 'It has no members.', { tall: true }),
  );
}

function role(member, subnet) {
  const why = idle(member, subnet);
  if (member.role !== 'idle') return member.role ?? '–';
  return h('span', { class: 'no wordy' }, `idle ${member.chosen ?? ''}`.trim(), why === null ? null : `: ${why}`);
}

/** The last audit of a member in the rounds that are shown. */
function lastAudit(uid, rounds) {
  for (const { number, outcomes } of rounds) {
    const how = outcomes.get(uid);
    if (how === null || how === undefined) continue;
    const words = `${how === 'open' ? 'not over' : how}, round ${number}`;
    const kind = { failed: 'no', silent: 'no', passed: 'yes' }[how] ?? '';
    return h('span', { class: `whole ${kind}` }, words);
  }
  return '–';
}
