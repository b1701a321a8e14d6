// The runtime of this build, one version higher: the same code, and another number in it.

const { execFileSync } = require('node:child_process');

const VERSION_SECTION = 'runtime_version';
// What is for people who debug.
const NAMES_SECTION = 'name';
const CUSTOM = 0;
const DATA = 11;
const HEADER = 8;
// What compressed code begins with; zstd's format follows. As it is, a development build's is too long for a block.
const COMPRESSED = '52bc537646db8e05';
// The low bits of a byte of a number, and the bit that says that more follow.
const BITS = 7;
const MORE = 0x80;

/** Reads a number that takes as many bytes as it needs: the number, and where it ends. */
function number(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += BITS, at += 1) {
    value += (bytes[at] % MORE) * 2 ** shift;
    if (bytes[at] < MORE) return [value, at + 1];
  }
}

/** The same of a number below zero or above it. */
function signed(bytes, at) {
  const [value, end] = number(bytes, at);
  const whole = 2 ** (BITS * (end - at));
  return [value >= whole / 2 ? value - whole : value, end];
}

/** The sections: which, their name if they have one, where they begin, and where what is in them lies. */
function sections(wasm) {
  const found = [];
  for (let at = HEADER; at < wasm.length; ) {
    const [length, inner] = number(wasm, at + 1);
    const section = { id: wasm[at], begin: at, inner, end: inner + length };
    if (section.id === CUSTOM) {
      const [letters, text] = number(wasm, inner);
      section.name = wasm.toString('utf8', text, text + letters);
      section.inner = text + letters;
    }
    found.push(section);
    at = section.end;
  }
  return found;
}

/** The pieces of memory that the code begins with: their address, and where they lie in the file. */
function memory(wasm, section) {
  const found = [];
  let [count, at] = number(wasm, section.inner);
  for (; count > 0; count -= 1) {
    // Memory 0, at a constant address.
    if (wasm[at] !== 0 || wasm[at + 1] !== 0x41) throw new Error('a piece of memory has no constant address');
    const [address, after] = signed(wasm, at + 2);
    const [length, begin] = number(wasm, after + 1);
    found.push({ address, begin, end: begin + length });
    at = begin + length;
  }
  return found;
}

/** Where in the file the version lies that the code itself uses: after two texts and a list, four numbers follow. */
function inMemory(wasm, version) {
  const pieces = memory(wasm, sections(wasm).find((section) => section.id === DATA));
  const found = [];
  // What the compiler makes of a text that is not copied: a mark, an address and a length.
  const text = (at) => {
    const [mark, address, length] = [0, 4, 8].map((offset) => wasm.readUInt32LE(at + offset));
    const piece = pieces.find(({ address: from, begin, end }) => address >= from && address < from + end - begin);
    if (mark !== 0x80000000 || !piece) return undefined;
    const begin = piece.begin + address - piece.address;
    return wasm.toString('utf8', begin, begin + length);
  };
  for (const { begin, end } of pieces) {
    for (let at = begin; at + 52 <= end; at += 1) {
      if (wasm.readUInt32LE(at) !== 0x80000000 || text(at) !== version.specName) continue;
      if (text(at + 12) !== version.implName) continue;
      const numbers = [0, 4, 8, 12].map((offset) => wasm.readUInt32LE(at + 36 + offset));
      const { authoringVersion, specVersion, implVersion, transactionVersion } = version;
      const wanted = [authoringVersion, specVersion, implVersion, transactionVersion];
      if (wanted.every((one, place) => one === numbers[place])) found.push(at + 40);
    }
  }
  return found;
}

/** Where in the section that nodes read the version lies. */
function inSection(wasm, section) {
  let at = section.inner;
  for (let texts = 0; texts < 2; texts += 1) {
    // A length below 64 is a byte, times four.
    at += 1 + wasm[at] / 4;
  }
  return at + 4;
}

/**
 * The code of a development build, of the version after this one.
 * `version` has the names and numbers of the code, as a node tells them. Whoever uses it asks the chain afterwards
 * what version it has: nothing here knows what else the compiler made of the number.
 */
function next(code, version) {
  if (code.toString('hex', 0, HEADER) === COMPRESSED) {
    throw new Error('the runtime is compressed: this takes that of a development build');
  }
  const wasm = Buffer.from(code);
  const section = sections(wasm).find(({ name }) => name === VERSION_SECTION);
  const places = inMemory(wasm, version);
  if (!section || places.length === 0) throw new Error('the runtime does not have its version where it used to be');
  for (const place of [inSection(wasm, section), ...places]) {
    if (wasm.readUInt32LE(place) !== version.specVersion) throw new Error(`another number is at byte ${place}`);
    wasm.writeUInt32LE(version.specVersion + 1, place);
  }
  const kept = sections(wasm).filter(({ name }) => name !== NAMES_SECTION);
  const whole = Buffer.concat([wasm.subarray(0, HEADER), ...kept.map(({ begin, end }) => wasm.subarray(begin, end))]);
  const packed = execFileSync('zstd', ['-q', '-c', '-19'], { input: whole, maxBuffer: whole.length });
  return Buffer.concat([Buffer.from(COMPRESSED, 'hex'), packed]);
}

module.exports = { next };
