// Watches a devnet while it runs: what its workers show and take of the processors, and what is in its chain's blocks.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { ask } from '../../tests/clients/lib/node.mjs';
import { processorSeconds, shown, signed } from './read.mjs';

/** Between two looks, in milliseconds: a part of the work counts for the round in which the look after its end is. */
const PAUSE_MS = 500;
const DEADLINE_MS = 5_000;
/** The longest pause for which block after block is asked for: so many are looked at at once. */
const MOST_BLOCKS = 64;

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A worker of a devnet. */
export class Worker {
  constructor(directory, name) {
    Object.assign(this, { name, log: join(directory, 'logs', `${name}.log`), state: join(directory, 'members', name) });
    this.rounds = new Map();
  }

  /** Its process, by its command line: none while it is started again. */
  async process() {
    if (this.pid !== undefined) return this.pid;
    for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      if (words[words.indexOf('--state-dir') + 1] === this.state) this.pid = pid;
    }
    return this.pid;
  }

  /** What its log said last of where its metrics are. */
  async address() {
    this.url ??= [...(await readFile(this.log, 'utf8')).matchAll(/metrics are at (http:\S+)/g)].at(-1)?.[1];
    return this.url;
  }

  /** Looks once. Whoever was started again counts from zero, at another address. */
  async look() {
    try {
      const pid = await this.process();
      const stat = pid && await readFile(`/proc/${pid}/stat`, 'utf8');
      const url = await this.address();
      if (!stat || !url) return;
      const answer = await fetch(url, { signal: AbortSignal.timeout(DEADLINE_MS) });
      this.add({ at: Date.now() / 1000, processor: processorSeconds(stat), pid, ...shown(await answer.text()) });
    } catch {
      this.pid = undefined;
      this.url = undefined;
    }
  }

  /** Adds what was done since the last look. */
  add(now) {
    const before = this.last?.pid === now.pid ? this.last : { processor: 0, steps: 0, again: 0, stages: {} };
    this.last = now;
    if (now.round === undefined) return;
    const empty = { seconds: 0, processor: 0, steps: 0, again: 0, stages: {} };
    if (!this.rounds.has(now.round)) this.rounds.set(now.round, empty);
    const entry = this.rounds.get(now.round);
    entry.processor += now.processor - before.processor;
    entry.steps += now.steps - before.steps;
    entry.again += now.again - before.again;
    this.history = [...(this.history ?? []).filter(({ pid }) => pid === now.pid).slice(-2_000), now];
    for (const [stage, { seconds, count }] of Object.entries(now.stages)) {
      const done = seconds - (before.stages[stage]?.seconds ?? 0);
      if (count === (before.stages[stage]?.count ?? 0)) continue;
      const of = (entry.stages[stage] ??= { seconds: 0, processor: 0 });
      of.seconds += done;
      of.processor += now.processor - this.processorAt(now.at - done);
    }
  }

  /** The process's time on processors by then, between two looks in proportion. */
  processorAt(at) {
    const after = this.history.findIndex((look) => look.at >= at);
    const [a, b] = [this.history[after - 1], this.history[after]];
    if (!a) return b.processor;
    return a.processor + (b.processor - a.processor) * ((at - a.at) / (b.at - a.at));
  }
}

/** The chain's blocks, and how many bytes of transactions accounts had in them. */
class Blocks {
  constructor(http, netuid) {
    Object.assign(this, { http, netuid, next: 1, bytes: {} });
  }

  async look() {
    const head = await ask(this.http, 'chain_getFinalizedHead');
    const last = Number((await ask(this.http, 'chain_getHeader', [head])).number);
    for (let looked = 0; this.next <= last && looked < MOST_BLOCKS; this.next += 1, looked += 1) {
      const at = await ask(this.http, 'chain_getBlockHash', [this.next]);
      const { block } = await ask(this.http, 'chain_getBlock', [at]);
      const run = await ask(this.http, 'training_run', { netuid: this.netuid, at });
      this.rate ??= run?.config.audits.rate;
      for (const one of run ? block.extrinsics.map(signed) : []) {
        if (!one) continue;
        const of = (this.bytes[one.who] ??= {});
        of[run.round.round] = (of[run.round.round] ?? 0) + one.bytes;
      }
    }
  }
}

/** Watches until `over()`. Gives what each worker did in each round, and bytes of transactions by account and round. */
export async function watch({ directory, http, netuid }, over) {
  const [workers, blocks] = [new Map(), new Blocks(http, netuid)];
  while (!over()) {
    const names = await readdir(join(directory, 'members')).catch(() => []);
    for (const name of names) if (!workers.has(name)) workers.set(name, new Worker(directory, name));
    // A node that is started again is there for the next look.
    await Promise.all([...[...workers.values()].map((worker) => worker.look()), blocks.look().catch(() => {})]);
    await pause(PAUSE_MS);
  }
  const work = Object.fromEntries([...workers].map(([name, { rounds }]) => [name, Object.fromEntries(rounds)]));
  return { work, bytes: blocks.bytes, rate: blocks.rate };
}
