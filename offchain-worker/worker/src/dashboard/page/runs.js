// Runs that can be joined, and what they ask of a machine.

import { blocks, bytes, counted, crn, exact, percent, size, thousands, UNKNOWN } from './amount.js';
import { chapter, facts, h } from './dom.js';
import { address } from './links.js';
import { admitsCards, needs } from './needs.js';
import { fault } from './state.js';

/** Of this many contributions `auditRate` are audited. */
const EACH = 65_536;

/** All subnets. */
export function runs({ seen, chain }) {
  if (seen.subnets.error) return chapter('runs', 'Runs to join', fault(seen.subnets));
  const list = seen.subnets.value;
  if (list.length === 0) {
    return chapter('runs', 'Runs to join', h('p', { class: 'empty' },
      'There is no subnet on this chain yet. `cairn subnet create` makes one.'));
  }
  const cards = list.map((subnet) => card(subnet, seen.runs.get(subnet.netuid), seen, chain));
  return chapter('runs', 'Runs to join', h('ul', { class: 'cards' }, cards));
}

/** A subnet: the way to it, whether it can be joined, and what that takes. */
function card(subnet, run, seen, chain) {
  const { netuid } = subnet;
  const isChosen = netuid === seen.netuid;
  const name = run?.value?.name ?? null;
  return h(
    'li',
    { class: isChosen ? 'card chosen' : 'card' },
    h('h3', {}, h('a', { href: address(netuid), 'aria-current': isChosen ? 'true' : null },
      `Subnet ${netuid}`, name === null || name === '' ? '' : `: ${name}`)),
    h('p', {}, standing(subnet, run)),
    isOpen(subnet, run) ? h('p', {}, 'To take one: ', h('code', {}, command(netuid))) : null,
    run?.error ? fault(run) : null,
    run?.value ? facts(asks(subnet, run.value, seen, chain)) : null,
  );
}

const command = (netuid) => `cairn subnet register --netuid ${netuid} --key WALLET --hotkey WALLET`;

/** Whether there is something to join, and a seat for it. */
function isOpen(subnet, run) {
  const hasRoom = subnet.members !== null && subnet.seats !== null && subnet.members < subnet.seats;
  return hasRoom && subnet.dissolvesFrom === null && Boolean(run?.value);
}

/** Whether it can be joined, in a sentence. */
function standing(subnet, run) {
  if (subnet.dissolvesFrom !== null) {
    return `It is being dissolved: all is paid back from block ${thousands(subnet.dissolvesFrom)} on.`;
  }
  if (run && run.value === null) return 'It has no run: there is nothing to train until its owner starts one.';
  const [members, seats] = [subnet.members, subnet.seats];
  if (members === null || seats === null) return 'How many seats it has the node does not say.';
  const free = seats - members;
  return free > 0
    ? `It can be joined: ${thousands(free)} of ${thousands(seats)} seats are free.`
    : `All ${thousands(seats)} seats are taken.`;
}

/** What a machine has to do, and what has to stand behind it. */
function asks(subnet, run, seen, chain) {
  const { train, reveal, attest } = run.phases;
  const whole = [train, reveal, attest].includes(null) ? null : train + reveal + attest;
  const tokens = [run.steps, run.sequences, run.sequenceLength].includes(null)
    ? null : run.steps * run.sequences * run.sequenceLength;
  const time = (of) => blocks(of, chain.slot);
  const found = needs(run);
  return [
    ['Parameters', thousands(run.parameters)],
    ['Model', run.layers === null ? UNKNOWN
      : `${counted(run.layers, 'layer')} of width ${thousands(run.width)}, ${thousands(run.context)} tokens long`],
    ['Work in a round', `${thousands(tokens)} tokens in ${counted(run.steps, 'step')}`],
    ['Time for it', time(train)],
    ['A round', time(whole)],
    ...takes(run, found),
    ['Cards', cards(subnet, run, found)],
    uploads(subnet, seen),
    ['Price of a seat', `${exact(subnet.price)} CRN`],
    ['Bond to mine', `at least ${crn(subnet.minBond, 2)} CRN, locked for ${time(subnet.unbonding)}`],
    ['Stake to validate', `at least ${crn(subnet.minStake, 2)} CRN`],
    ['Audits', run.auditRate === 0 ? 'none' : `${percent(run.auditRate, EACH)} of the contributions included`],
    ['Most contributions', `${thousands(run.most)} in a round`],
    run.store ? ['Store', h('code', {}, run.store)] : null,
  ];
}

/** Memory, disk and line as `cairn run plan` counts them, and text. */
function takes(run, found) {
  const of = (say) => (found === null ? UNKNOWN : say(found));
  const isAudited = run.auditRate !== 0;
  return [
    ['Memory to mine', of(({ training, serving }) => (isAudited
      ? `${size(training)} while it trains, ${size(serving)} while it serves an audit` : size(training)))],
    ['Memory to validate', of(({ measuring, auditing }) => (isAudited
      ? `${size(measuring)} while it measures, ${size(auditing)} while it audits` : size(measuring)))],
    ['Memory for the text', of(({ text }) => size(text))],
    ['Disk to mine', of(({ mining }) => `at most ${size(mining)}`)],
    ['Disk to validate', of(({ validating }) => `at most ${size(validating)}`)],
    ['Fetched to begin', of(({ fetched, joining }) =>
      `${bytes(fetched)} of text, and at most ${bytes(joining)} of parameters and contributions`)],
    ['Fetched in a round', of(({ coming }) => `at most ${bytes(coming)}`)],
    ['Sent in a round', of(({ contribution, served }) => `at most ${bytes(contribution)} to each who asks${isAudited
      ? `, and ${bytes(served)} to each of ${thousands(run.auditors)} auditors if it is drawn` : ''}`)],
  ];
}

/** Whether a miner's work may be a card's, and what that takes. */
function cards(subnet, run, found) {
  if ([run.auditRate, run.tolerance, run.matrices].includes(null)) return UNKNOWN;
  if (!admitsCards(run)) return "none: work is replayed to the bit, so it has to be a CPU's";
  const room = found === null ? UNKNOWN : `${size(found.card.bytes)} of one, and ${size(found.card.beside)} of memory`;
  if (run.auditRate === 0) return `as good as a CPU: ${room}`;
  const bond = subnet.minBond === null || run.cardBond === null ? null : subnet.minBond * BigInt(run.cardBond);
  return `within ${percent(run.tolerance, EACH)} of a CPU's work, with a bond of at least ${crn(bond, 2)} CRN: ${room}`;
}

/** How large the last contributions were; nothing where there is none, or none is known here. */
function uploads(subnet, seen) {
  if (seen.netuid !== subnet.netuid) return null;
  const { contributions, rounds } = seen.chosen ?? { contributions: {}, rounds: [] };
  const lists = [contributions, ...rounds.map((one) => one.contributions)].map((one) => one.value ?? []);
  const last = lists.find((one) => one.length > 0);
  const lengths = (last ?? []).map((one) => one.length).filter((one) => one !== null);
  return lengths.length === 0 ? null : ['A contribution', `up to ${bytes(Math.max(...lengths))}, lately`];
}
