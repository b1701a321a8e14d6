// Answers of a node as values that can be trusted to have their type. What is not as expected becomes null.

const MOST_TEXT = 256;
const MOST_ITEMS = 512;

/** Letters that act instead of being seen: controls, invisible ones, those that turn the direction of reading. */
const ACTS = /[\p{Cc}\p{Cf}\u034f\u2028\u2029\p{Cs}\p{Co}]/gu;

/** Text that others wrote, fit to be shown: at most 256 letters, with `\u{1b}` for what is not to be seen. */
export function printable(text) {
  const shown = [...text.slice(0, 2 * MOST_TEXT)].slice(0, MOST_TEXT).join('');
  return shown.replace(ACTS, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
}

/** A text, or null. */
export const text = (value) => (typeof value === 'string' ? printable(value) : null);

/** A whole number from 0 on, or null. */
export const number = (value) => (Number.isSafeInteger(value) && value >= 0 ? value : null);

/** An amount in pebble as a BigInt, or null. */
export function amount(value) {
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
  return number(value) === null ? null : BigInt(value);
}

/** Whether something is so, or null. */
export const flag = (value) => (typeof value === 'boolean' ? value : null);

/** A hash as `0x…`, or null. */
export const hash = (value) => (typeof value === 'string' && /^0x[0-9a-f]{64}$/.test(value) ? value : null);

/** An object whose fields can be asked for, whatever was given. */
export const object = (value) => (value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {});

/** A list of what `read` makes of its items, without those of which it makes null; null if it is no list. */
export function list(value, read) {
  if (!Array.isArray(value)) return null;
  return value.slice(0, MOST_ITEMS).map(read).filter((item) => item !== null);
}

/** A number that Substrate writes in hexadecimal, as in a block's header. */
export function hexNumber(value) {
  return typeof value === 'string' && /^0x[0-9a-f]{1,12}$/.test(value) ? Number.parseInt(value, 16) : null;
}

/** The first eight bytes of a SCALE value, a `u64` of the lowest byte first; null if that is no safe number. */
export function leadingU64(value) {
  const match = typeof value === 'string' ? /^0x([0-9a-f]{16})/.exec(value) : null;
  if (!match) return null;
  const bytes = match[1].match(/../g).reverse().join('');
  return number(Number(BigInt(`0x${bytes}`)));
}
