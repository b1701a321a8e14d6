// What the words of the chain mean.

import { crn } from './amount.js';

const PHASES = {
  train: 'miners train and commit',
  reveal: 'miners reveal their keys',
  attest: 'validators attest',
  settle: 'the next block settles it',
};

const OUTCOMES = {
  open: 'not over',
  passed: 'passed',
  failed: 'failed: bond lost',
  silent: 'served nothing: bond lost',
  undecided: 'undecided',
};

/** What happens in a phase. */
export const phase = (name) => PHASES[name] ?? name ?? '–';

/** How an audit ended; nothing if there was none. */
export const outcome = (name) => (name === null || name === undefined ? '–' : OUTCOMES[name] ?? name);

/** Whether the first round has begun: before, nobody is in it and nothing was drawn. */
export function hasBegun({ round }) {
  if (round === null) return false;
  return round.round > 0 || round.phase !== 'settle' || (round.seed !== null && !/^0x0+$/.test(round.seed));
}

/** What a run waits for that has not begun. */
export function waitsFor(subnet, members) {
  const lacks = [
    members.some((one) => one.role === 'miner') ? null : `a miner with a bond of ${crn(subnet.minBond, 2)} CRN`,
    members.some((one) => one.role === 'validator') ? null : `a validator with ${crn(subnet.minStake, 2)} CRN of stake`,
  ].filter((one) => one !== null);
  return lacks.length === 0 ? 'Round 0 begins in the next block.' : `It waits for ${lacks.join(' and ')}.`;
}

/** Why a member can do nothing; null if it can, or if that cannot be said. */
export function idle(member, subnet) {
  if (member.role !== 'idle') return null;
  const [what, has, least] = member.chosen === 'miner'
    ? ['bond', member.bond, subnet.minBond]
    : ['stake', member.stake, subnet.minStake];
  if (has === null || least === null) return null;
  if (has < least) return `its ${what} is ${crn(has, 2)} of at least ${crn(least, 2)} CRN`;
  return member.chosen === 'validator' ? 'all seats of validators are taken by more stake' : null;
}

/** What a miner lacked in the rounds `parts`, what comes first in a round first. */
export function missing(parts, member) {
  const said = (is, what) => {
    const rounds = parts.filter(is).length;
    if (rounds === 0) return null;
    return `In ${rounds === 1 ? 'one round' : `${rounds} rounds`} ${what}.`;
  };
  return [
    said((one) => !one.assigned, 'it was assigned no data: it had no bond or was no miner, or there was no room'),
    said((one) => one.assigned && !one.committed, 'it committed to nothing'),
    said((one) => one.committed && !one.revealed, 'it did not reveal its key'),
    said((one) => one.revealed && !one.included && !one.isNull, 'others were included and it was not'),
    said((one) => one.isNull, 'nothing was included of anybody'),
    said((one) => one.audit === 'silent', 'it served nothing for its audit, and lost its bond'),
    said((one) => one.audit === 'failed', 'its audit found other work than it claimed, and it lost its bond'),
    member.incentive === 0 ? 'Validators gave it no incentive in the last epoch.' : null,
  ].filter((one) => one !== null);
}
