// One member: what it did in the last rounds, what became of it, and what it was paid.

import { crn, percent, thousands } from './amount.js';
import { facts, h, key, table } from './dom.js';
import { WHOLE } from './members.js';
import { address } from './links.js';
import { fault } from './state.js';
import { idle, missing, outcome } from './words.js';

/** Epochs that are listed. */
const EPOCHS = 12;

/** The member that is looked at; nothing if none is. */
export function member({ seen, uid }, subnet) {
  if (uid === null) return null;
  const one = seen.chosen.members.value?.find((each) => each.uid === uid);
  const heading = h('h3', { id: 'member-heading', tabindex: '-1' }, `Uid ${uid}: why it earns what it earns`);
  const close = h('p', {}, h('a', { href: address(seen.netuid) }, 'Show no member'));
  const named = { id: 'member', 'aria-labelledby': 'member-heading' };
  const frame = (...content) => h('section', named, heading, content, close);
  if (seen.chosen.members.error) return frame(fault(seen.chosen.members));
  if (!one) return frame(h('p', { class: 'empty' }, `This subnet has no uid ${uid}.`));
  const isMiner = one.chosen !== 'validator';
  return frame(about(one, subnet), isMiner ? mined(one, seen.chosen.rounds) : validated(one, seen.chosen.rounds),
    paid(seen.chosen.one, uid));
}

function about(one, subnet) {
  const why = idle(one, subnet);
  return facts([
    ['Role', `${one.role ?? '–'}${one.role === one.chosen ? '' : `, to be a ${one.chosen ?? '–'}`}`],
    why === null ? null : ['Why it is idle', why],
    ['Hotkey', h('code', {}, one.hotkey ?? '–'), 'wide'],
    ['Coldkey', h('code', {}, one.coldkey ?? '–'), 'wide'],
    ['Stake', `${crn(one.stake, 9)} CRN`],
    ['Bond', `${crn(one.bond, 9)} CRN`],
    one.chosen === 'validator' ? ['Take', percent(one.take, WHOLE)] : null,
    ['Incentive', percent(one.incentive, WHOLE)],
    ['Dividends', percent(one.dividends, WHOLE)],
    ['Paid in the last epoch', `${crn(one.lastPaid, 9)} CRN`],
    ['Earned since it came', `${crn(one.earned, 9)} CRN`],
  ]);
}

const mark = (is) => h('span', { class: is ? 'yes' : 'no' }, is ? 'yes' : 'no');

/** What a miner did in the rounds before, and what it lacked. */
function mined(one, rounds) {
  const parts = rounds.filter((round) => round.info.value && round.settled.value).map((round) => part(one, round));
  const rows = parts.map((each) => [
    thousands(each.number), mark(each.assigned), mark(each.committed), mark(each.revealed), mark(each.included),
    each.included ? percent(each.trust, WHOLE) : '–', outcome(each.audit),
  ]);
  const columns = [
    { head: 'Round' }, { head: 'Assigned' }, { head: 'Committed' }, { head: 'Revealed' }, { head: 'Included' },
    { head: 'Counts', number: true }, { head: 'Audit' },
  ];
  const why = missing(parts, one);
  return [
    table(`What uid ${one.uid} did in the last rounds`, columns, rows, 'No round was settled yet.', { tall: true }),
    h('ul', { class: 'why' }, why.map((line) => h('li', {}, line)),
      h('li', {}, 'How its work was measured only validators know: ', h('code', {}, 'cairn validate explain'),
        ' shows it to them.')),
  ];
}

/** What the chain says of a miner in a settled round. */
function part(one, { number, info, contributions, settled, outcomes }) {
  const isIts = (each) => each.uid === one.uid && each.hotkey === one.hotkey;
  const sent = (contributions.value ?? []).find(isIts);
  const { included, trust } = settled.value;
  const nth = included.indexOf(one.uid);
  return {
    number,
    assigned: info.value.miners.some(isIts),
    committed: sent !== undefined,
    revealed: sent?.revealed ?? false,
    included: sent !== undefined && nth >= 0,
    trust: trust[nth] ?? null,
    isNull: included.length === 0,
    audit: sent === undefined ? null : outcomes.get(one.uid) ?? null,
  };
}

/** In which rounds a validator attested. */
function validated(one, rounds) {
  const rows = rounds.filter((round) => round.info.value).map(({ number, info }) => {
    const seat = info.value.validators.find((each) => each.uid === one.uid && each.hotkey === one.hotkey);
    return [thousands(number), mark(seat !== undefined), seat ? crn(seat.stake, 2) : '–', mark(seat?.attested)];
  });
  const columns = [
    { head: 'Round' }, { head: 'Had a part' }, { head: 'Stake, CRN', number: true }, { head: 'Attested' },
  ];
  return table(`What uid ${one.uid} did in the last rounds`, columns, rows, 'No round is over yet.');
}

/** What it was paid, epoch by epoch. */
function paid(history, uid) {
  if (history === null || history.uid !== uid) return h('p', { class: 'empty' }, 'Asking what it was paid.');
  if (history.epochs.error) return fault(history.epochs);
  const rows = history.epochs.value.slice(-EPOCHS).reverse().map((epoch) => [
    thousands(epoch.epoch), thousands(epoch.block),
    percent(epoch.incentive, WHOLE), percent(epoch.dividends, WHOLE), crn(epoch.asMiner, 6), crn(epoch.asValidator, 6),
  ]);
  const columns = [
    { head: 'Epoch' }, { head: 'Block', number: true }, { head: 'Incentive', number: true },
    { head: 'Dividends', number: true }, { head: 'As a miner, CRN', number: true },
    { head: 'As a validator, CRN', number: true },
  ];
  return table('The last epochs in which it had a share or was paid', columns, rows, 'It had no share in any epoch.');
}
