// Begins: what the page is told in its head, the chain, and what the address in the browser asks for.

import { Chain } from './chain.js';
import { morph } from './dom.js';
import { Light } from './light.js';
import { asked } from './links.js';
import { aloud, body, head } from './page.js';
import { Client } from './rpc.js';
import { begin } from './smoldot.js';
import { PEERS, trust } from './trust.js';

const told = (name) => document.querySelector(`meta[name="${name}"]`)?.content || null;
/** Whether a light client in this page checks what is shown. */
const isLight = told('cairn-light') !== null;
const url = isLight ? PEERS : told('cairn-node') ?? 'ws://127.0.0.1:9944';
const [top, main, live] = ['top', 'body', 'live'].map((id) => document.getElementById(id));

let last = null;

/** Shows all; what is said aloud only if it is something else than before. */
function show(state) {
  last = state;
  morph(top, head(state, url, isLight));
  morph(main, body(state, url));
  const words = aloud(state, url);
  if (live.textContent !== words) live.textContent = words;
  focus();
}

/** Where to go once it is there. */
let goal = null;

function focus() {
  const there = goal === null ? null : document.getElementById(goal);
  if (!there) return;
  goal = null;
  there.focus();
  there.scrollIntoView({ block: 'start' });
}

const source = (changed) => (isLight ? new Light(begin, changed) : new Client(url, changed));
const chain = new Chain(source, told('cairn-genesis'), show);

addEventListener('hashchange', () => {
  // Ways within the page choose nothing.
  if (location.hash !== '' && !location.hash.includes('=')) return;
  const { netuid, uid } = asked(location.hash);
  goal = uid === null ? 'subnet-heading' : 'member-heading';
  chain.select(netuid, uid);
});
addEventListener('resize', () => last && show(last));
addEventListener('online', () => chain.hurry());
document.addEventListener('visibilitychange', () => document.hidden || chain.hurry());

if (isLight) document.getElementById('trust').replaceChildren(...trust());

const first = asked(location.hash);
chain.select(first.netuid, first.uid);
chain.start();
