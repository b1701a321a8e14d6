// What one node with its stated limits serves to ten thousand subscribers, and what it refuses and how.
//
//   CAIRN_NODE_BIN=… CAIRN_BIN=… node tests/load/run.mjs [SECONDS]    [default: 30 for each part]
//
// It prints a table and ends with 1 if a subscriber misses a block, a call fails within the limits, or something beyond
// a limit is not refused as docs/operators.md says. Times are printed and not judged.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { startNode } from '../clients/lib/node.mjs';
import { Refused, Socket } from './socket.mjs';

/** The limits that docs/operators.md states. */
const CONNECTIONS = 100;
const SUBSCRIPTIONS = 1_024;
const CALLS_A_MINUTE = 3_000;
const SUBSCRIBERS = 10_000;
/** After so many seconds a subscriber does not hear of a block any more. */
const LATE = 60;
/** So many subscriptions a connection asks for at once, when it is to have all that it may. */
const LOT = 32;
/** Nobody's address: so this machine's calls are counted, too. */
const COUNT_ALL = ['--rpc-rate-limit-whitelisted-ips', '192.0.2.1/32'];
/** What the page in the browser asks for with a block. */
const ASKED = [
  ['chain_getHeader', []], ['subnets_list', []], ['subnets_show', [1]], ['subnets_members', [1]],
  ['training_run', [1]], ['emissions_subnet', [1]], ['emissions_history', [1]], ['emissions_issuance', []],
  ['emissions_schedule', []], ['audits_open', [1]],
];

const seconds = Number(process.argv[2] ?? 30);
const faults = [];
const expect = (is, what) => { if (!is) faults.push(what); };
const rows = [];
const row = (what, found) => { rows.push([what, found]); console.error(`load: ${what}: ${found}`); };
const ordered = (numbers) => [...numbers].sort((one, other) => one - other);
const part = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const ms = (value) => `${value.toFixed(1)} ms`;
const lasts = (time) => new Promise((resolve) => { setTimeout(resolve, time * 1000); });

/** `count` connections. */
const connections = (url, count) => Promise.all(Array.from({ length: count }, () => Socket.open(url)));

/** Ten thousand subscriptions to new blocks, evenly on all connections: who hears of a block, and how late. */
async function subscribers(sockets) {
  const blocks = new Map();
  for (const socket of sockets) {
    socket.heard = ({ result }) => {
      const times = blocks.get(result.number) ?? [];
      times.push(performance.now());
      blocks.set(result.number, times);
    };
  }
  const each = SUBSCRIBERS / sockets.length;
  const begun = performance.now();
  const answers = await Promise.all(sockets.map(async (socket) => {
    const asked = Array.from({ length: each }, () => socket.ask('chain_subscribeNewHeads'));
    return Promise.all(asked);
  }));
  const taken = answers.flat().filter(({ result }) => result !== undefined).length;
  expect(taken === SUBSCRIBERS, `${SUBSCRIBERS - taken} subscriptions were refused`);
  row('subscriptions taken', `${taken}, in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const head = async () => Number((await sockets[0].ask('chain_getHeader')).result.number);
  const from = await head();
  await lasts(seconds);
  const to = await head();
  const heard = () => [...blocks].filter(([number]) => Number(number) > from && Number(number) <= to);
  const isWhole = () => heard().every(([, times]) => times.length >= SUBSCRIBERS);
  for (let waited = 0; waited < LATE && !isWhole(); waited += 1) await lasts(1);
  const whole = heard().map(([, times]) => times);
  expect(whole.length > 0, 'no block was made');
  for (const times of whole) expect(times.length === SUBSCRIBERS, `${times.length} subscribers heard of a block`);
  const spread = ordered(whole.map((times) => times.at(-1) - times[0]));
  row('blocks that all of them heard of', `${whole.length}; the last subscriber after the first: `
    + `${ms(part(spread, 0.5))} in the middle, ${ms(spread.at(-1))} at most`);
  for (const socket of sockets) socket.heard = () => {};
}

/** Every connection asks what the page asks, one call after the other. */
async function queries(sockets, what) {
  const [times, failed] = [[], new Map()];
  const until = performance.now() + seconds * 1000;
  const begun = performance.now();
  await Promise.all(sockets.map(async (socket, at) => {
    for (let next = at; performance.now() < until; next += 1) {
      const [method, params] = ASKED[next % ASKED.length];
      const asked = performance.now();
      const { error } = await socket.ask(method, params);
      if (error) failed.set(error.code, (failed.get(error.code) ?? 0) + 1);
      else times.push(performance.now() - asked);
    }
  }));
  const took = (performance.now() - begun) / 1000;
  const sorted = ordered(times);
  row(what, `${Math.round(sorted.length / took)} a second; ${ms(part(sorted, 0.5))} in the middle, `
    + `${ms(part(sorted, 0.99))} for one in a hundred`);
  for (const [code, count] of failed) {
    // Whoever is quick enough meets the limit, and nothing else may go wrong.
    expect(code === -32_999, `${count} calls failed with ${code}`);
    row(`of them refused with ${code}`, count);
  }
}

/** What is beyond a limit. */
async function beyond(url, sockets) {
  const refused = await Socket.open(url).then(() => 'nothing', (error) => error);
  const said = refused.message ?? refused;
  expect(refused instanceof Refused && said.includes('429'), `connection ${CONNECTIONS + 1}: ${said}`);
  row(`connection ${CONNECTIONS + 1}`, said);

  sockets.pop().close();
  await lasts(1);
  const socket = await Socket.open(url);
  const codes = [];
  for (let have = 0; have < SUBSCRIPTIONS + 1; have += LOT) {
    const lot = Math.min(LOT, SUBSCRIPTIONS + 1 - have);
    const asked = Array.from({ length: lot }, () => socket.ask('chain_subscribeNewHeads'));
    for (const { error } of await Promise.all(asked)) if (error) codes.push(error.code);
  }
  expect(codes.length === 1 && codes[0] === -32_006, `subscription ${SUBSCRIPTIONS + 1}: ${codes}`);
  row(`subscription ${SUBSCRIPTIONS + 1} of a connection`, `error ${codes}`);

  const many = 2 * CALLS_A_MINUTE;
  const begun = performance.now();
  const calls = await Promise.all(Array.from({ length: many }, () => socket.ask('system_name')));
  const limited = calls.filter(({ error }) => error?.code === -32_999).length;
  const other = calls.filter(({ error }) => error && error.code !== -32_999).length;
  const isSo = limited > 0 && limited < many && other === 0;
  expect(isSo, `of ${many} calls at once ${limited} met the limit, ${other} failed`);
  row(`${many} calls of one connection at once`, `${many - limited} answered, ${limited} with error -32999, `
    + `in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const name = await sockets[0].ask('system_name');
  expect(name.result !== undefined, 'another connection was not answered meanwhile');
  socket.close();
  await lasts(1);
}

/** One more subscription than a connection may have, all at once: how many were refused with which code. */
async function atOnce(url, method, params = []) {
  const socket = await Socket.open(url);
  const asked = Array.from({ length: SUBSCRIPTIONS + 1 }, () => socket.ask(method, params));
  const codes = new Map();
  for (const { error } of await Promise.all(asked)) {
    if (error) codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
  }
  socket.close();
  await lasts(1);
  const told = [...codes].map(([code, count]) => `${count} with error ${code}`).join(', ');
  row(`${SUBSCRIPTIONS + 1} times ${method} at once`, `refused: ${told || 'none'}`);
  return codes;
}

/** Subscriptions asked for at once, while others are many. Those to a run wait; those to blocks may be dropped. */
async function manyAtOnce(url) {
  const ofRun = await atOnce(url, 'training_subscribeRun', [1]);
  expect(ofRun.size === 1 && ofRun.get(-32_006) === 1, `subscriptions to a run at once: ${[...ofRun]}`);
  const ofBlocks = await atOnce(url, 'chain_subscribeNewHeads');
  const known = [...ofBlocks.keys()].every((code) => code === -32_006 || code === -32_603);
  expect(known, `subscriptions to blocks at once: ${[...ofBlocks]}`);
}

const node = await startNode(process.env.CAIRN_NODE_BIN, COUNT_ALL);
try {
  const create = ['subnet', 'create', '--suri', '//Alice', '--max-price', '10000', '--node', node.ws];
  await promisify(execFile)(process.env.CAIRN_BIN, create);
  const sockets = await connections(node.ws, CONNECTIONS);
  await queries(sockets, 'calls that are served');
  await subscribers(sockets);
  await queries(sockets, 'the same, with ten thousand subscribers');
  await beyond(node.ws, sockets);
  await manyAtOnce(node.ws);
  for (const socket of sockets) socket.close();
} finally {
  await node.close();
}
console.log('| what | found |\n|---|---|');
for (const [what, found] of rows) console.log(`| ${what} | ${found} |`);
for (const fault of faults) console.error(`load: not as it should be: ${fault}`);
process.exitCode = faults.length ? 1 : 0;
