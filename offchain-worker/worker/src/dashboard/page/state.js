// What is said where there is nothing to be shown: at the beginning, without a node, and where an answer is wrong.

import { h } from './dom.js';
import { PEERS } from './trust.js';

/** Why a part is not there. */
export const fault = (part) => h('p', { class: 'fault', role: 'note' }, part.error);

/** How the connection is, in a word for the eye and a sentence for everybody. */
export function link({ link: { is, wait, why, genesis }, seen }, url) {
  const stays = seen ? ' What is shown is from before.' : '';
  switch (is) {
    case 'connecting':
      return ['connecting', `Connecting to ${url}.${stays}`];
    case 'open':
      return seen ? ['live', `Connected to ${url}.`] : ['loading', `Asking ${url}.`];
    case 'closed':
      return ['disconnected', `The node ${url} does not answer. The next try is in ${seconds(wait)}.${stays}`];
    case 'alone':
      return ['disconnected', `No peer of the chain answers. The light client goes on looking for one.${stays}`];
    case 'wrong':
      return ['wrong chain', `${wrong(url, genesis ?? 'not told')} than this page is for.`];
    default:
      return ['fault', `This page met something that it does not understand: ${why}. Load it again.`];
  }
}

/** What is of another chain: a light client meets no peers but those of its specification. */
const wrong = (url, genesis) => {
  const what = url === PEERS ? 'The specification that this page was given' : url;
  return `${what} is of another chain (genesis ${genesis})`;
};

const seconds = (wait) => (wait < 1_500 ? 'a second' : `${Math.round(wait / 1000)} seconds`);

/** What stands in the place of everything until the first block is read. */
export function waiting(state, url) {
  const [, sentence] = link(state, url);
  return h('section', { class: 'waiting' }, h('p', {}, sentence), state.link.is === 'closed'
    ? h('p', {}, 'Is it running? ', h('code', {}, 'cairn-node --dev --tmp'), ' starts one on this machine.')
    : null);
}
