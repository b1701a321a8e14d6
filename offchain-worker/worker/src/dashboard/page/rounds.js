// The last rounds: what was included, what it counts, and how its audits ended.

import { fraction, percent, thousands } from './amount.js';
import { h, section, table } from './dom.js';
import { memberLink } from './links.js';
import { fault } from './state.js';
import { outcome } from './words.js';

/** Trust that counts in full. */
const WHOLE = 65_535;
const LISTED = 32;

/** Rounds that are over, the newest first. */
export function rounds({ seen }) {
  const { rounds: list } = seen.chosen;
  const broken = list.find((one) => one.settled.error ?? one.info.error);
  const rows = list.filter((one) => one.settled.value).map((one) => row(seen, one));
  const columns = [
    { head: 'Round' }, { head: 'Settled in block', number: true }, { head: 'Committed', number: true },
    { head: 'Revealed', number: true }, { head: 'Included, and what each counts' }, { head: 'Attested', number: true },
    { head: 'Audits' },
  ];
  return section(
    'rounds',
    'Rounds before',
    broken ? fault(broken.settled.error ? broken.settled : broken.info) : null,
    table('The last rounds that were settled', columns, rows, 'No round was settled yet.', { tall: true }),
  );
}

function row(seen, { number, info, contributions, settled, outcomes }) {
  const { at, included, trust, attesting, total } = settled.value;
  const sent = contributions.value ?? [];
  const assigned = info.value?.miners.length ?? null;
  const counts = included.slice(0, LISTED).map((uid, nth) => h('li', {},
    memberLink(seen, uid), ` ${percent(trust[nth] ?? null, WHOLE)}`));
  return [
    thousands(number),
    thousands(at),
    `${sent.length} of ${thousands(assigned)}`,
    thousands(sent.filter((one) => one.revealed).length),
    included.length === 0 ? 'nobody: the model stays as it is' : h('ul', { class: 'inline' }, counts, rest(included)),
    h('span', { class: fraction(attesting, total) < 2 / 3 ? 'no' : 'yes' }, percent(attesting, total)),
    audits(outcomes),
  ];
}

const rest = (list) => (list.length > LISTED ? h('li', {}, `and ${thousands(list.length - LISTED)} more`) : null);

/** Who was audited in a round, and how that ended. */
function audits(outcomes) {
  const known = [...outcomes].filter(([, how]) => how !== null && how !== undefined);
  if (known.length === 0) return 'none';
  known.sort(([one], [other]) => one - other);
  return h('ul', { class: 'inline' }, known.map(([uid, how]) =>
    h('li', { class: how === 'failed' || how === 'silent' ? 'no' : null }, `uid ${uid} ${outcome(how)}`)));
}
