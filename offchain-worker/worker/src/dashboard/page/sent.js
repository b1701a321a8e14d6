// How long a contribution is at most, by what is sent: of a matrix blocks of 64 × 64, of a vector of 4,096.

/** The most turns that members take. */
const MOST_TURNS = 4;
/** Elements of a full block, and rows and columns of a matrix's. */
const [BLOCK, SIDE] = [4_096, 64];
/** Bytes before the tensors' parts, and of a part's own parameters. */
const [HEADER, PARAMETERS] = [388, 2];
/** The most bits of a block's high level behind its first one, of its low level, and of a level as it is. */
const [HIGH, LOW, LEVEL] = [17, 16, 15];
/** The longest short part of a gap, in bits. */
const MOST_SHORT = 11;

/**
 * The most bytes of a contribution of which each block keeps `kept` of 4,096 values, or, where members take `turns`,
 * all whose turn it is. `tensors` are `[times, rows, columns]`, or `[times, elements]` of vectors. Null if a run cannot
 * have that.
 */
export function longest(tensors, kept, turns) {
  if (kept < 1 || kept > BLOCK || turns < 1 || turns > MOST_TURNS) return null;
  if (turns > 1 && kept !== BLOCK) return null;
  return tensors.reduce((sum, [times, ...shape]) => {
    const parts = Array.from({ length: turns }, (_, turn) =>
      part(sizes(shape, turns === 1 ? largest(kept) : inTurn(turn, turns)), kept));
    const bytes = Math.max(...parts);
    return sum + times * (lengthBytes(bytes) + bytes);
  }, HEADER);
}

/** How many values a block of so many rows and columns sends, of those of largest magnitude. */
const largest = (kept) => (rows, columns) =>
  Math.max(1, Math.floor((rows * columns * kept + BLOCK / 2) / BLOCK));

/** The same of those whose row and column add up to a turn, but for multiples of how many turns there are. */
const inTurn = (turn, turns) => (rows, columns) => {
  const ofRow = (row) => Math.ceil(Math.max(0, columns - ((turn + turns - (row % turns)) % turns)) / turns);
  const rest = Array.from({ length: rows % turns }, (_, row) => ofRow(row));
  return Math.max(1, Math.floor(rows / turns) * columns + rest.reduce((all, one) => all + one, 0));
};

/** How many blocks a tensor has of each size: `{ count, length, keep }`. */
function sizes([rows, columns], keeps) {
  const block = (count, height, width) => ({ count, length: height * width, keep: keeps(height, width) });
  const cut = (whole, at) => [[Math.floor(whole / at), at], [1, whole % at]];
  const all = columns === undefined
    ? cut(rows, BLOCK).map(([count, length]) => block(count, 1, length))
    : cut(rows, SIDE).flatMap(([down, height]) => cut(columns, SIDE).map(([across, width]) =>
      block(down * across, height, width)));
  return all.filter(({ count, length }) => count > 0 && length > 0);
}

/** Bytes of a tensor's longest part: levels and signs, gaps unless all values are sent, and runs of one level. */
function part(blocks, kept) {
  const sum = (of) => blocks.reduce((all, one) => all + one.count * of(one), 0);
  const levels = sum(({ keep }) => HIGH + LOW + keep) - (HIGH - LEVEL);
  const gaps = (short) => sum(({ keep, length }) => keep * (1 + short) + Math.floor((length - keep) / 2 ** short));
  const least = kept === BLOCK ? 0
    : Math.min(...Array.from({ length: MOST_SHORT + 1 }, (_, short) => gaps(short)));
  const runs = sum(({ keep }) => (keep > 1 ? keep + 1 : 0));
  return PARAMETERS + Math.ceil((levels + least + runs) / 8);
}

/** Bytes of a length, of seven bits each. */
function lengthBytes(length) {
  let bytes = 1;
  while (length >= 128 ** bytes) bytes += 1;
  return bytes;
}
