// The whole page from what is known.

import { thousands } from './amount.js';
import { agreement } from './agreement.js';
import { audits } from './audits.js';
import { h } from './dom.js';
import { ledger } from './ledger.js';
import { loss } from './loss.js';
import { member } from './member.js';
import { members } from './members.js';
import { pay, scores } from './pay.js';
import { round } from './round.js';
import { rounds } from './rounds.js';
import { runs } from './runs.js';
import { link, waiting } from './state.js';
import { mark } from './trust.js';

/** The line on top: chain, blocks, and how the connection is. */
export function head(state, url, isLight = false) {
  const { seen, chain, finalized } = state;
  const [word, sentence] = link(state, url);
  const number = (what) => h('span', { class: 'block' }, thousands(what));
  return h(
    'div',
    { id: 'top' },
    h('p', { class: 'chain' }, chain?.name ?? 'Cairn'),
    h('p', { class: 'blocks' }, 'block ', number(seen?.head.number ?? null), ' final ', number(finalized)),
    h('p', { id: 'link', class: `link ${word.replace(' ', '-')}`, title: sentence },
      h('span', { class: 'light', 'aria-hidden': 'true' }), word),
    isLight && seen ? mark() : null,
  );
}

/** Everything below it. */
export function body(state, url) {
  const { seen, link: { is } } = state;
  if (!seen || is === 'wrong' || is === 'fault') return h('div', { id: 'body' }, waiting(state, url));
  const [, sentence] = link(state, url);
  return h(
    'div',
    { id: 'body' },
    h('p', { id: 'stale', class: 'stale', hidden: is === 'open' }, is === 'open' ? '' : sentence),
    parts(seen),
    runs(state),
    chosen(state),
    ledger(state),
  );
}

const PARTS = [
  ['round', 'Round'], ['members', 'Members'], ['loss', 'Loss'], ['scores', 'Worth'], ['pay', 'Pay'],
  ['agreement', 'Agreement'], ['rounds', 'Rounds before'], ['audits', 'Audits'],
];

/** Ways to the parts of the page. */
function parts(seen) {
  const shown = [['runs', 'Runs'], ...(seen.chosen ? PARTS : []), ['ledger', 'Ledger']];
  return h('nav', { 'aria-label': 'Parts of the page' },
    h('ul', {}, shown.map(([id, name]) => h('li', {}, h('a', { href: `#${id}` }, name)))));
}

/** The subnet that is looked at. */
function chosen(state) {
  const { seen, netuid } = state;
  const heading = (text) => h('h2', { id: 'subnet-heading', tabindex: '-1' }, text);
  const frame = (...content) => h('div', { id: 'subnet' }, content);
  const subnet = seen.subnets.value?.find((one) => one.netuid === seen.netuid);
  if (!subnet || !seen.chosen) {
    return netuid === null ? null : frame(heading(`Subnet ${netuid}`),
      h('p', { class: 'empty' }, `There is no subnet ${netuid} on this chain.`));
  }
  if (netuid !== null && netuid !== seen.netuid) {
    return frame(heading(`Subnet ${netuid}`), h('p', { class: 'empty' }, 'Asking about it.'));
  }
  const name = seen.chosen.run.value?.name;
  return frame(
    heading(`Subnet ${subnet.netuid}${name ? `: ${name}` : ''}`),
    round(state, subnet),
    members(state, subnet),
    member(state, subnet),
    loss(state),
    scores(state),
    pay(state),
    agreement(state),
    rounds(state),
    audits(state),
  );
}

/** What is said aloud: what changes rarely and matters. */
export function aloud(state, url) {
  const { seen, link: { is } } = state;
  if (is !== 'open' || !seen) return link(state, url)[1];
  const now = seen.chosen?.run.value?.round;
  return now ? `Subnet ${seen.netuid}, round ${now.round}: ${now.phase}.` : `Connected to ${url}.`;
}
