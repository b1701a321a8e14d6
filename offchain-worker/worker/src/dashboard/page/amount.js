// Amounts, shares and lengths of time in words. Amounts are BigInts of pebble; 1 CRN is 10⁹ pebble. A number and its
// unit stay on one line.

const CRN = 1_000_000_000n;
export const UNKNOWN = '–';

/** A whole number with its thousands separated by commas. */
export function thousands(number) {
  if (number === null || number === undefined) return UNKNOWN;
  return number.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** An amount in CRN with the decimals that it has, at least two. */
export function exact(amount) {
  if (amount === null || amount === undefined) return UNKNOWN;
  const fraction = (amount % CRN).toString().padStart(9, '0').replace(/0{1,7}$/, '');
  return `${thousands(amount / CRN)}.${fraction}`;
}

/** An amount in CRN, cut off after `places` decimals: never more than there is, and never nothing for something. */
export function crn(amount, places = 4) {
  if (amount === null || amount === undefined) return UNKNOWN;
  const unit = 10n ** BigInt(9 - Math.min(9, Math.max(2, places)));
  const kept = (amount / unit) * unit;
  return exact(kept === 0n ? amount : kept);
}

/** `part` of `whole` in per cent, cut off after one decimal where that says something. */
export function percent(part, whole) {
  if (part === null || whole === null || part === undefined || whole === undefined) return UNKNOWN;
  const [some, all] = [BigInt(part), BigInt(whole)];
  if (all === 0n) return UNKNOWN;
  const tenths = (some * 1000n) / all;
  if (tenths === 0n && some > 0n) return '<\u00a00.1\u00a0%';
  return tenths % 10n === 0n ? `${tenths / 10n}\u00a0%` : `${tenths / 10n}.${tenths % 10n}\u00a0%`;
}

/** `part` of `whole` as a number from 0 to 1, to be drawn. */
export function fraction(part, whole) {
  if (part === null || whole === null || BigInt(whole) === 0n) return 0;
  return Math.min(1, Number((BigInt(part) * 1_000_000n) / BigInt(whole)) / 1_000_000);
}

/** `1 miner`, `2 miners`. */
export function counted(number, what) {
  if (number === null || number === undefined) return `${UNKNOWN} ${what}s`;
  return number === 1 ? `1 ${what}` : `${thousands(number)} ${what}s`;
}

/** So many blocks in time: `46 s`, `5 min`, `3 h`, `2 days`. Null if the time of a block is not known. */
export function lasting(blocks, slotMs) {
  if (blocks === null || slotMs === null) return null;
  const seconds = Math.round((blocks * slotMs) / 1000);
  if (seconds < 120) return `${seconds}\u00a0s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}\u00a0min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)}\u00a0h`;
  return `${Math.round(seconds / 86_400)}\u00a0days`;
}

/** So many blocks, and how long they take: `5 blocks, about 10 s`, or `none`. */
export function blocks(count, slotMs) {
  if (count === null) return UNKNOWN;
  if (count === 0) return 'none';
  const time = lasting(count, slotMs);
  return time === null ? counted(count, 'block') : `${counted(count, 'block')}, about ${time}`;
}

/** A number of bytes: `91.5 kB`. */
export function bytes(number) {
  if (number === null) return UNKNOWN;
  for (const [unit, name] of [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']]) {
    if (number >= unit) return `${(number / unit).toFixed(1)}\u00a0${name}`;
  }
  return `${number}\u00a0B`;
}

/** A number of bytes that a machine has room for, in powers of two, as the command line says them: `77.9 MiB`. */
export function size(number) {
  if (number === null) return UNKNOWN;
  const mib = number / 2 ** 20;
  if (mib < 1) return `${(mib * 1_024).toFixed(1)}\u00a0KiB`;
  return mib < 10_240 ? `${mib.toFixed(1)}\u00a0MiB` : `${(mib / 1_024).toFixed(1)}\u00a0GiB`;
}

/** The begin and the end of a hash or an address. */
export function short(text) {
  if (text === null || text === undefined) return UNKNOWN;
  return text.length > 14 ? `${text.slice(0, 6)}…${text.slice(-4)}` : text;
}
