// What has to be believed, and what is not checked, where this page checks what it shows.

import { h } from './dom.js';

/** Whom a page with a light client asks. */
export const PEERS = 'peers of the chain';

/** Says so where all pages end. */
export const trust = () => [
  h('h2', { id: 'trust-heading' }, 'Verified by this page'),
  h('p', {}, 'Each value that is shown follows from the state of a final block. A light client in this page checked ',
    'that two thirds of the authorities voted for the block, and that the value is part of its state. Peers only ',
    'bring the proofs; no node is believed, and nothing is sent anywhere else.'),
  h('p', {}, 'It rests on the specification of the chain that the program was given, on the files of this page, and ',
    'on fewer than a third of the authorities having been dishonest at any time.'),
  h('p', {}, 'Not verified: whether a newer block is final, which peers may hold back; files of the run, of which the ',
    'chain has the roots only; and whatever machines did that no validator or audit looked at.'),
];

/** The mark on top, which leads there. */
export const mark = () => h('a', { id: 'mark', href: '#trust' }, 'verified by this page');
