// A part of what is shown: its value, or in a sentence why there is none.

import { Gone } from './failures.js';
import { list, object, printable } from './read.js';

const NO_SUCH_METHOD = -32601;

/** The first page of a list, and the longest: no subnet has more members, and no chain more subnets. */
export const PAGE = [0, 256];

/** What a method answers, as `read` has it: `{ value }` or `{ error }`. Rejects only if the node is gone. */
export async function part(client, method, params, read) {
  try {
    const value = read(await client.call(method, params));
    if (value === undefined) return { error: `What the node says to ${method} is not as it should be.` };
    return { value };
  } catch (error) {
    if (error instanceof Gone) throw error;
    if (error.code === NO_SUCH_METHOD) return { error: `This node does not know ${method}: another version may.` };
    return { error: `There is no answer to ${method}: ${printable(String(error.message))}.` };
  }
}

/** Reads a list of what `read` reads; `undefined` if it is none. */
export const listOf = (read) => (value) => list(value, read) ?? undefined;

/** Reads an object by `read`; `undefined` if it is none. */
export const objectOf = (read) => (value) => (object(value) === value ? read(value) : undefined);

/** Reads an object or null by `read`. */
export const maybe = (read) => (value) => (value === null ? null : objectOf(read)(value));

/** Reads a page of epochs. */
export const epochsOf = (read) => (value) => list(object(value).epochs, read) ?? undefined;
