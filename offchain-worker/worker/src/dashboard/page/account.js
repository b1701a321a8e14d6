// Accounts as addresses: SS58, whose checksum is BLAKE2b. Browsers have no BLAKE2b of their own.

const DIGITS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const WORD = 0xffff_ffff_ffff_ffffn;
const BLOCK = 128;
const START = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
/** Which words of the message each round takes, a hexadecimal digit each (RFC 7693); two more rounds begin anew. */
const ORDER = [
  '0123456789abcdef', 'ea489fd61c02b753', 'b8c052fdae367194', '7931dcbe265a40f8', '905724afe1bc683d',
  '2c6a0b834d75fe19', 'c51fed4a0763928b', 'db7ec13950f4862a', '6fe9b308c2d714a5', 'a2847615fb9e3cd0',
].map((row) => [...row].map((digit) => Number.parseInt(digit, 16)));
const ROUNDS = 12;
/** Columns and diagonals of the state, as they are mixed. */
const MIXED = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

const turn = (word, by) => ((word >> by) | (word << (64n - by))) & WORD;

function mix(v, [a, b, c, d], x, y) {
  v[a] = (v[a] + v[b] + x) & WORD;
  v[d] = turn(v[d] ^ v[a], 32n);
  v[c] = (v[c] + v[d]) & WORD;
  v[b] = turn(v[b] ^ v[c], 24n);
  v[a] = (v[a] + v[b] + y) & WORD;
  v[d] = turn(v[d] ^ v[a], 16n);
  v[c] = (v[c] + v[d]) & WORD;
  v[b] = turn(v[b] ^ v[c], 63n);
}

/** BLAKE2b of at most 128 bytes, without a key: 64 bytes. */
export function blake2b(bytes) {
  if (bytes.length > BLOCK) throw new RangeError('this hashes one block');
  const block = new DataView(new ArrayBuffer(BLOCK));
  new Uint8Array(block.buffer).set(bytes);
  const message = Array.from({ length: 16 }, (_, at) => block.getBigUint64(8 * at, true));
  const hash = [...START];
  hash[0] ^= 0x0101_0040n;
  const v = [...hash, ...START];
  v[12] ^= BigInt(bytes.length);
  v[14] ^= WORD;
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = ORDER[round % ORDER.length];
    MIXED.forEach((four, nth) => mix(v, four, message[order[2 * nth]], message[order[2 * nth + 1]]));
  }
  const out = new DataView(new ArrayBuffer(64));
  hash.forEach((word, at) => out.setBigUint64(8 * at, word ^ v[at] ^ v[at + 8], true));
  return new Uint8Array(out.buffer);
}

/** The bytes of a prefix: one below 64, else two. */
const prefixBytes = (prefix) => (prefix < 64
  ? [prefix]
  : [((prefix & 0xfc) >> 2) | 0x40, (prefix >> 8) | ((prefix & 3) << 6)]);

/** An account of 32 bytes as the address that a chain with this prefix gives it. */
export function address(account, prefix) {
  const body = [...prefixBytes(prefix), ...account];
  const sum = blake2b(Uint8Array.from([...new TextEncoder().encode('SS58PRE'), ...body]));
  const all = [...body, sum[0], sum[1]];
  let number = all.reduce((value, byte) => value * 256n + BigInt(byte), 0n);
  let text = '';
  for (; number > 0n; number /= 58n) text = DIGITS[Number(number % 58n)] + text;
  return '1'.repeat(all.findIndex((byte) => byte !== 0)) + text;
}
