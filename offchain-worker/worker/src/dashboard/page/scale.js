// SCALE by a chain's own description of its types (metadata of version 15), as the JSON that its node answers.

import { address } from './account.js';

const MAGIC = 0x6174_656d;
const VERSION = 15;
/** How deep types may stand in one another: ours stay below 10. */
const DEEPEST = 64;

export const hex = (bytes) => `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/** The bytes of `0x…`. */
export function bytesOf(text) {
  if (typeof text !== 'string' || !/^0x(?:[0-9a-f]{2})*$/.test(text)) throw new Error('these are no bytes');
  return Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Reads bytes from the front; throws where they end too early. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  take(count) {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new Error('the bytes end too early');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** A whole number of so many bytes, the lowest first: a BigInt. */
  whole(count) {
    return this.take(count).reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
  }

  u8() {
    return this.take(1)[0];
  }

  u32() {
    return Number(this.whole(4));
  }

  /** A compact number: a BigInt. */
  compact() {
    const first = this.u8();
    switch (first & 3) {
      case 0: return BigInt(first >> 2);
      case 1: return (BigInt(first) | (this.whole(1) << 8n)) >> 2n;
      case 2: return (BigInt(first) | (this.whole(3) << 8n)) >> 2n;
      default: return this.whole((first >> 2) + 4);
    }
  }

  /** A compact number that counts bytes or items. */
  length() {
    return Number(this.compact());
  }

  bytes() {
    return this.take(this.length());
  }

  text() {
    return new TextDecoder().decode(this.bytes());
  }

  /** A number of items, each of which has a byte at least: a short answer cannot stand for a long list. */
  items() {
    return this.few(this.length());
  }

  /** The same where it is known from elsewhere. */
  few(count) {
    if (count > this.#bytes.length - this.#at) throw new Error('the bytes end too early');
    return count;
  }

  list(read) {
    const count = this.items();
    const items = [];
    for (let nth = 0; nth < count; nth += 1) items.push(read(this));
    return items;
  }

  option(read) {
    const mark = this.u8();
    if (mark > 1) throw new Error('an option is neither there nor not');
    return mark === 1 ? read(this) : null;
  }

  /** Throws unless everything was read. */
  end() {
    if (this.#at !== this.#bytes.length) throw new Error('there are more bytes than were expected');
  }
}

const texts = (of) => of.list((one) => one.text());

const field = (of) => {
  const [name, type] = [of.option((one) => one.text()), of.length()];
  of.option((one) => one.text());
  texts(of);
  return { name, type };
};

const variant = (of) => {
  const [name, fields, index] = [of.text(), of.list(field), of.u8()];
  texts(of);
  return { name, fields, index };
};

/** What a type is made of, by the number of its kind. */
const KINDS = [
  (of) => ({ is: 'composite', fields: of.list(field) }),
  (of) => ({ is: 'variant', variants: of.list(variant) }),
  (of) => ({ is: 'sequence', item: of.length() }),
  (of) => ({ is: 'array', count: of.u32(), item: of.length() }),
  (of) => ({ is: 'tuple', items: of.list((one) => one.length()) }),
  (of) => ({ is: 'primitive', kind: of.u8() }),
  (of) => ({ is: 'compact', item: of.length() }),
  (of) => ({ is: 'bits', store: of.length(), order: of.length() }),
];

function type(of) {
  const id = of.length();
  const path = texts(of);
  of.list((one) => [one.text(), one.option((id) => id.length())]);
  const kind = KINDS[of.u8()];
  if (!kind) throw new Error('there is a type of an unknown kind');
  const made = kind(of);
  texts(of);
  return [id, { name: path.at(-1) ?? '', ...made }];
}

function storageEntry(of) {
  of.text();
  of.u8();
  const kind = of.u8();
  if (kind > 1) throw new Error('there is a storage item of an unknown kind');
  if (kind === 1) {
    of.list((one) => one.u8());
    of.length();
  }
  of.length();
  of.bytes();
  texts(of);
}

function pallet(of) {
  const name = of.text();
  of.option((one) => [one.text(), one.list(storageEntry)]);
  for (let nth = 0; nth < 2; nth += 1) of.option((one) => one.length());
  const constants = of.list((one) => {
    const constant = [one.text(), { type: one.length(), value: one.bytes() }];
    texts(one);
    return constant;
  });
  of.option((one) => one.length());
  of.u8();
  texts(of);
  return [name, new Map(constants)];
}

function extrinsic(of) {
  of.u8();
  for (let nth = 0; nth < 4; nth += 1) of.length();
  of.list((one) => [one.text(), one.length(), one.length()]);
}

function api(of) {
  const name = of.text();
  const methods = of.list((one) => {
    const method = one.text();
    const inputs = one.list((input) => [input.text(), input.length()]).map(([, type]) => type);
    const output = one.length();
    texts(one);
    return [`${name}_${method}`, { inputs, output }];
  });
  texts(of);
  return methods;
}

/** Bytes of each primitive number, by the number of its kind; 0 where it is none. */
const WIDTHS = [0, 0, 0, 1, 2, 4, 8, 16, 32];
const BOOL = 0;
const TEXT = 2;

/** What a chain says of its types, constants and runtime APIs. */
export class Metadata {
  #types;
  #calls;
  #prefix;
  #addresses = new Map();

  /** Reads what `Metadata_metadata_at_version(15)` answers. Throws if it cannot be read. */
  constructor(answer) {
    const outer = new Reader(answer);
    const inner = outer.option((of) => of.bytes());
    if (inner === null) throw new Error('the chain does not describe itself in version 15');
    const of = new Reader(inner);
    if (of.u32() !== MAGIC || of.u8() !== VERSION) throw new Error('this is no description of a chain');
    this.#types = new Map(of.list(type));
    const constants = new Map(of.list(pallet));
    extrinsic(of);
    of.length();
    this.#calls = new Map(of.list(api).flat());
    const prefix = constants.get('System')?.get('SS58Prefix');
    this.#prefix = prefix ? Number(this.#read(prefix.type, new Reader(prefix.value), 0)) : 42;
  }

  /** The bytes that a call of a runtime API takes. Throws if there is no such call. */
  encode(name, values) {
    const { inputs } = this.#call(name);
    if (inputs.length !== values.length) throw new Error(`${name} takes ${inputs.length} arguments`);
    return hex(inputs.flatMap((id, nth) => this.#write(id, values[nth])));
  }

  /** What a call of a runtime API answered. */
  decode(name, answer) {
    const of = new Reader(answer);
    const value = this.#read(this.#call(name).output, of, 0);
    of.end();
    return value;
  }

  #call(name) {
    const call = this.#calls.get(name);
    if (!call) throw new Error(`this chain's runtime has no ${name}`);
    return call;
  }

  #type(id) {
    const type = this.#types.get(id);
    if (!type) throw new Error(`there is no type ${id}`);
    return type;
  }

  /** A number, or null where there may be none: nothing that this page asks takes anything else. */
  #write(id, value) {
    const type = this.#type(id);
    if (value === null && type.is === 'variant' && type.name === 'Option') return [0];
    const width = type.is === 'primitive' ? WIDTHS[type.kind] : 0;
    if (!width || !Number.isSafeInteger(value) || value < 0) throw new Error('only numbers can be asked for');
    const bytes = Array.from({ length: width }, (_, nth) => Number((BigInt(value) >> BigInt(8 * nth)) & 255n));
    if (BigInt(value) >> BigInt(8 * width) !== 0n) throw new Error(`${value} is too large`);
    return bytes;
  }

  #read(id, of, depth) {
    if (depth > DEEPEST) throw new Error('types stand in one another too deep');
    const type = this.#type(id);
    switch (type.is) {
      case 'composite': return this.#composite(type, of, depth + 1);
      case 'variant': return this.#variant(type, of, depth + 1);
      case 'sequence': return this.#many(type.item, of.items(), of, depth + 1);
      case 'array': return this.#many(type.item, of.few(type.count), of, depth + 1);
      case 'tuple': return type.items.length === 0 ? null : type.items.map((item) => this.#read(item, of, depth + 1));
      case 'primitive': return primitive(type.kind, of);
      case 'compact': return plain(of.compact());
      default: throw new Error('bits are not read here');
    }
  }

  #composite({ name, fields }, of, depth) {
    if (name === 'AccountId32') return this.#address(of.take(32));
    if (name === 'Text') return of.text();
    return this.#fields(fields, of, depth);
  }

  /** An object by names; without names what is in the only field, or a list. */
  #fields(fields, of, depth) {
    if (fields.length > 0 && fields[0].name !== null) {
      return Object.fromEntries(fields.map(({ name, type }) => [name, this.#read(type, of, depth)]));
    }
    const values = fields.map(({ type }) => this.#read(type, of, depth));
    return values.length === 1 ? values[0] : values;
  }

  #variant({ name, variants }, of, depth) {
    const index = of.u8();
    const found = variants.find((one) => one.index === index);
    if (!found) throw new Error(`${name} has no variant ${index}`);
    if (name === 'Option') return index === 0 ? null : this.#fields(found.fields, of, depth);
    const called = found.name.toLowerCase();
    return found.fields.length === 0 ? called : { [called]: this.#fields(found.fields, of, depth) };
  }

  #many(item, count, of, depth) {
    const type = this.#type(item);
    if (type.is === 'primitive' && WIDTHS[type.kind] === 1) return hex(of.take(count));
    const items = [];
    for (let nth = 0; nth < count; nth += 1) items.push(this.#read(item, of, depth));
    return items;
  }

  #address(account) {
    const key = hex(account);
    if (!this.#addresses.has(key)) this.#addresses.set(key, address(account, this.#prefix));
    return this.#addresses.get(key);
  }
}

function primitive(kind, of) {
  if (kind === BOOL) return of.u8() !== 0;
  if (kind === TEXT) return of.text();
  if (!WIDTHS[kind]) throw new Error('this kind of number is not read here');
  return plain(of.whole(WIDTHS[kind]));
}

/** A number, or a text of it where JavaScript's numbers end. */
const plain = (value) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value));
