// What programs say, as numbers: metrics, transactions, addresses, tables of a page. Nothing here asks anybody.

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const METRIC = /^cairn_worker_([a-z_]+)\{([^}]*)\} (\S+)$/;

/** The account of an SS58 address, in hexadecimal digits. */
export function account(address) {
  let number = 0n;
  for (const letter of address) {
    const digit = BASE58.indexOf(letter);
    if (digit < 0) throw new Error(`${address} is no address`);
    number = number * 58n + BigInt(digit);
  }
  // One byte of a network's number or two, 32 of the account, two of a checksum. Numbers above 63 begin with 01.
  let hex = number.toString(16);
  hex = hex.padStart(hex.length > 70 ? 72 : 70, '0');
  if (hex.length > 72) throw new Error(`${address} is no address of an account`);
  return hex.slice(-68, -4);
}

/** Who signed a transaction, as `account` has it, and how long it is in a block; nothing if nobody did. */
export function signed(transaction) {
  const bytes = Buffer.from(transaction.slice(2), 'hex');
  // Its length comes first, in one, two or four bytes, as the last two bits of the first say.
  const prefix = [1, 2, 4][bytes[0] & 3];
  // Version 4, signed; an address that is an account.
  if (prefix === undefined || bytes[prefix] !== 0x84 || bytes[prefix + 1] !== 0) return undefined;
  const who = bytes.subarray(prefix + 2, prefix + 34);
  return who.length === 32 ? { who: who.toString('hex'), bytes: bytes.length } : undefined;
}

/** What a worker shows: seconds of its stages and how often they ended, inner steps, and the round of the chain. */
export function shown(exposition) {
  const found = { round: undefined, steps: 0, again: 0, stages: {} };
  for (const line of exposition.split('\n')) {
    const [, name, labels, text] = METRIC.exec(line) ?? [];
    const [value, stage] = [Number(text), /stage="([a-z]+)"/.exec(labels ?? '')?.[1]];
    if (name === 'chain_round') found.round = value;
    if (name === 'inner_steps_total') found.steps = value;
    if (name === 'replayed_steps_total') found.again = value;
    if (name === 'stage_duration_seconds_sum') (found.stages[stage] ??= {}).seconds = value;
    if (name === 'stage_duration_seconds_count') (found.stages[stage] ??= {}).count = value;
  }
  return found;
}

/** The processor time of a process in seconds, of what /proc/PID/stat says. Its name may have spaces and brackets. */
export function processorSeconds(stat) {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Of user and system, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The rows of the first table below a heading, as cells. */
export function rows(page, heading) {
  const lines = page.split('\n');
  const below = lines.slice(lines.indexOf(heading) + 1);
  if (below.length === lines.length) return [];
  const table = below.slice(below.findIndex((line) => line.startsWith('|')));
  const end = table.findIndex((line) => !line.startsWith('|'));
  const cells = (line) => line.slice(1, -1).split('|').map((cell) => cell.trim());
  return table.slice(0, end < 0 ? undefined : end).map(cells);
}
