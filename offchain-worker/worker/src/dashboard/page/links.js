// Ways through the page. They are addresses, so that they can be sent to others and the browser's buttons work.

import { h } from './dom.js';
import { number } from './read.js';

/** The address of a subnet, and of a member of it. */
export const address = (netuid, uid = null) => `#net=${netuid}${uid === null ? '' : `&uid=${uid}`}`;

/** The way to a member of the subnet that is looked at. */
export const memberLink = (seen, uid) => h(
  'a',
  { href: address(seen.netuid, uid), 'aria-current': seen.uid === uid ? 'true' : null },
  `uid ${uid}`,
);

/** What an address asks for, as `{ netuid, uid }`; null for what it does not name. */
export function asked(hash) {
  const named = new URLSearchParams(hash.slice(1));
  const read = (name) => (/^\d{1,5}$/.test(named.get(name) ?? '') ? number(Number(named.get(name))) : null);
  return { netuid: read('net'), uid: read('uid') };
}
