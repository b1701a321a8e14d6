// Records what a node answers at some blocks as they come, for the tests: one file for each block, one for the chain.
//
//   node tests/dashboard/record.mjs http://127.0.0.1:PORT [--into DIRECTORY] BLOCK…
//
// The node is one of `cairn devnet`. What is asked is what the page asks, and of one subnet, number 1. The directory is
// one of `fixtures`.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const FIXTURES = fileURLToPath(new URL('fixtures/', import.meta.url));
const POLL_MS = 300;
const DEADLINE_MS = 20_000;
const ROUNDS = 8;
const NETUID = 1;
/** A page of a list: from the first on, and as long as one can be. */
const PAGE = [0, 256];

/** One request over HTTP: the whole answer, without what numbers it. */
async function ask(url, method, params) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const { result, error } = await answer.json();
  return error ? { error } : { result };
}

/** One answer on each line, so that two recordings can be compared. */
function write(name, facts, answers) {
  const lines = answers.map((line) => `  ${JSON.stringify(line)}`).join(',\n');
  const head = Object.entries(facts).map(([key, value]) => ` ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`);
  writeFileSync(join(into, name), `{\n${head.join('')} "answers": [\n${lines}\n ]\n}\n`);
}

/** What does not change. */
async function recordChain(url) {
  const questions = [
    ['system_chain', []], ['chain_getBlockHash', [0]], ['state_call', ['BabeApi_configuration', '0x']],
  ];
  const answers = [];
  for (const [method, params] of questions) answers.push([method, params, await ask(url, method, params)]);
  write('chain.json', {}, answers);
}

/** Everything as of one block. */
async function recordBlock(url, number) {
  const at = (await ask(url, 'chain_getBlockHash', [number])).result;
  const answers = [];
  const note = async (method, ...params) => {
    const answer = await ask(url, method, [...params, at]);
    answers.push([method, params, answer]);
    return answer.result;
  };
  await note('subnets_list', ...PAGE);
  await note('emissions_schedule');
  await note('emissions_issuance');
  const members = await note('subnets_members', NETUID, ...PAGE);
  const run = await note('training_run', NETUID);
  await note('audits_open', NETUID, null, PAGE[1]);
  await note('emissions_subnet', NETUID);
  await note('emissions_history', NETUID, null, 0, 64);
  for (const { uid } of members) await note('emissions_history', NETUID, uid, 0, 64);
  await note('training_lineage', NETUID, 0);
  const now = run.round.round;
  for (let round = Math.max(0, now - ROUNDS); round <= now; round += 1) {
    await note('training_round', NETUID, round);
    await note('training_contributions', NETUID, round, ...PAGE);
    const settled = await note('training_settled', NETUID, round);
    for (const uid of settled?.included ?? []) await note('audits_outcome', NETUID, round, uid);
  }
  const final = (await ask(url, 'chain_getFinalizedHead', [])).result;
  const { number: finalized } = (await ask(url, 'chain_getHeader', [final])).result;
  // It took some blocks to ask all of it.
  write(`block-${number}.json`, { number, hash: at, finalized: Math.min(Number(finalized), number) }, answers);
  console.log(`block ${number}: ${answers.length} answers`);
}

const { values, positionals: [url, ...numbers] } = parseArgs({
  allowPositionals: true, options: { into: { type: 'string', default: '' } },
});
const into = join(FIXTURES, values.into);
mkdirSync(into, { recursive: true });
await recordChain(url);
for (const number of numbers.map(Number)) {
  while (Number((await ask(url, 'chain_getHeader', [])).result.number) < number) await wait(POLL_MS);
  await recordBlock(url, number);
}
