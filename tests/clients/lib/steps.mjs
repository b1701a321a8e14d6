// What the clients in JavaScript share: the world that the runner made, and one line of JSON for each step.
//
// Nothing here talks to the node: that is what the clients are for.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const STEP_MS = 240_000;

/** What there is on the chain and where it is to be had; see `world.json` and `run.mjs`. */
export const world = JSON.parse(readFileSync(process.env.CAIRN_WORLD, 'utf8'));

/** A step that the client has no way to do: why. */
export class Absent extends Error {}

/** The version of an installed package. */
export function version(name) {
  const file = new URL(`node_modules/${name}/package.json`, `file://${process.cwd()}/`);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** Runs the steps in turn and says how each went. A step that fails does not stop those after it. */
export async function run(client, number, steps) {
  for (const [step, action] of Object.entries(steps)) {
    let ok = true;
    let detail;
    try {
      detail = await within(STEP_MS, action());
    } catch (error) {
      ok = error instanceof Absent ? null : false;
      detail = plain(error);
    }
    console.log(JSON.stringify({ client, version: number, step, ok, detail: String(detail ?? '') }));
  }
}

/** An error in one line. */
function plain(error) {
  const text = error?.message ?? (typeof error === 'object' ? JSON.stringify(error) : String(error));
  return text.replace(/\s+/g, ' ').slice(0, 300);
}

/** What comes of a promise, unless it takes too long. */
export function within(milliseconds, promise) {
  let late;
  const timeout = new Promise((_, reject) => {
    late = setTimeout(() => reject(new Error(`no answer in ${milliseconds / 1000} s`)), milliseconds);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(late));
}

/** Hexadecimal digits of bytes given as bytes, as text, or as hexadecimal digits already. */
export function hex(bytes) {
  if (typeof bytes === 'string') return bytes.startsWith('0x') ? bytes : `0x${Buffer.from(bytes).toString('hex')}`;
  return `0x${Buffer.from(bytes).toString('hex')}`;
}

/** The name of the run as hexadecimal digits: on chain it is bytes. */
export const runNameHex = hex(Buffer.from(world.run));

/** The pebble in the first eight bytes of an answer in SCALE. */
export function firstPebble(answer) {
  return Buffer.from(answer.slice(2), 'hex').readBigUInt64LE(0).toString();
}

/** What the three raw runtime calls are and what they have to answer. */
export const stateCalls = [
  ['SubnetsApi_creation_price', '0x', (answer) => assert.ok(BigInt(firstPebble(answer)) > 0n)],
  ['TrainingApi_run', '0x0200', (answer) => assert.equal(answer, '0x00', 'there is no run on subnet 2')],
  ['EmissionsApi_schedule', '0x', (answer) => assert.equal(firstPebble(answer), world.cap)],
];

/** Makes the raw runtime calls with what the client has for it. */
export async function callState(call) {
  for (const [method, input, check] of stateCalls) check(await call(method, input));
  return stateCalls.map(([method]) => method).join(', ');
}

/** Asks our RPC namespaces with what the client has for it. */
export async function askOurs(request) {
  const [subnet] = await request('subnets_list', []);
  assert.equal(subnet.owner, world.owner);
  assert.equal((await request('training_run', [world.netuid])).config.name, world.run);
  assert.equal((await request('emissions_schedule', [])).cap, world.cap);
  return 'subnets_list, training_run, emissions_schedule';
}

/** Checks the calls of a block: the time, which is an inherent, and the transfer. */
export function checkCalls(calls) {
  const names = calls.map((name) => name.toLowerCase().replace(/_/g, ''));
  assert.ok(names.includes('timestamp.set'), `no timestamp.set among ${calls}`);
  assert.ok(names.includes('balances.transferkeepalive'), `no transfer among ${calls}`);
  return calls.join(', ');
}

/** Checks that heads came one after the other. */
export function checkHeads(numbers) {
  for (let at = 1; at < numbers.length; at += 1) {
    assert.ok(Number(numbers[at]) > Number(numbers[at - 1]), `heads came as ${numbers}`);
  }
  return `${numbers.length} heads`;
}
