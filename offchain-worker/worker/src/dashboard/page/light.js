// The chain by a light client: what it answers follows from the state of a final block, by proofs that it checked.

import { Gone, Refused } from './failures.js';
import { answerOf, callOf } from './proven.js';
import { hash, object } from './read.js';
import { Metadata, Reader, bytesOf } from './scale.js';

/** Calls at a time: each asks a peer for a proof. */
const MOST_CALLS = 8;
/** Final blocks that can be asked about, the newest included. */
const KEPT = 16;
/** How often it is looked whether there are peers. */
const LOOK_MS = 5_000;
/** After which it is asked again where too much was asked at a time. */
const PAUSE_MS = 250;
const DESCRIBE = 'Metadata_metadata_at_version';
const VERSION_15 = '0x0f000000';

/**
 * Final blocks and what is in them, with the same methods as `Client` of a node. `begin` starts a light client and
 * resolves to it: `send` takes a request, `next` resolves to an answer or a notice, both of them JSON. `changed` is
 * told `connecting`, `open` and `alone` (no peer is there) as it becomes so; subscriptions end with `open`.
 */
export class Light {
  #starts;
  #changed;
  #is = null;
  #chain = null;
  #next = 1;
  #asked = new Map();
  #handlers = [];
  #follow = null;
  #operations = new Map();
  #waiting = [];
  #running = 0;
  /** Final blocks that are kept, the oldest first. */
  #blocks = [];
  /** Blocks that brought another runtime and are not final yet. */
  #upgrades = new Set();
  /** Counts runtimes: which one the newest final block has. */
  #runtime = 0;
  /** What a runtime says of its types: of the one that was asked about last. */
  #metadata = { runtime: null, made: null };

  constructor(begin, changed) {
    this.#starts = begin;
    this.#changed = changed;
  }

  /** Begins, and goes on. Rejects if the light client does not start, or breaks. */
  async connect() {
    this.#say('connecting');
    this.#chain = await this.#starts();
    setInterval(() => this.#look(), LOOK_MS);
    await Promise.all([this.#hear(), this.#begin()]);
  }

  /** The light client tries again by itself. */
  hurry() {}

  /** It counts no tries. */
  settle() {}

  /** Asks. Rejects with `Refused` if that is not to be had by a proof, and with `Gone` if the block is not kept. */
  async call(method, params = []) {
    switch (method) {
      case 'system_chain': return this.#request('chainSpec_v1_chainName', []);
      case 'chain_getBlockHash': return this.#hashOf(params[0]);
      case 'state_call': return this.#prove(this.#newest(), params[0], params[1]);
      default: return this.#ask(method, params);
    }
  }

  /** Subscribes to final blocks, whatever is asked for: the light client shows no others. */
  async subscribe(_method, handler) {
    this.#handlers.push(handler);
    this.#announce([handler]);
  }

  async #ask(method, params) {
    const at = params.at(-1);
    const { name, values } = callOf(method, params.slice(0, -1));
    const metadata = await this.#describe(at);
    const answer = await this.#prove(at, name, metadata.encode(name, values));
    return answerOf(method, metadata.decode(name, bytesOf(answer)));
  }

  #newest() {
    const newest = this.#blocks.at(-1);
    if (!newest) throw new Gone('no block is known yet');
    return newest.hash;
  }

  async #hashOf(number) {
    if (number === 0) return this.#request('chainSpec_v1_genesisHash', []);
    return this.#blocks.find((one) => one.number === number)?.hash ?? null;
  }

  /** What the runtime of a block says of its types; asked once for a runtime. An older block may have another one. */
  async #describe(at) {
    const block = this.#blocks.find((one) => one.hash === at);
    if (!block) throw new Gone('it is not kept');
    if (this.#metadata.runtime !== block.runtime) {
      const made = this.#prove(at, DESCRIBE, VERSION_15).then((answer) => new Metadata(bytesOf(answer)));
      const mine = { runtime: block.runtime, made };
      this.#metadata = mine;
      made.catch(() => {
        if (this.#metadata === mine) this.#metadata = { runtime: null, made: null };
      });
    }
    return this.#metadata.made;
  }

  /** What a call of the runtime answers at a block, in hexadecimal. */
  #prove(at, name, input) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ at, name, input, resolve, reject });
      this.#run();
    });
  }

  #run() {
    while (this.#running < MOST_CALLS && this.#waiting.length > 0) {
      const wanted = this.#waiting.shift();
      this.#running += 1;
      this.#perform(wanted).then(wanted.resolve, wanted.reject).finally(() => {
        this.#running -= 1;
        this.#run();
      });
    }
  }

  async #perform({ at, name, input }) {
    for (;;) {
      if (this.#follow === null || !this.#blocks.some((one) => one.hash === at)) throw new Gone('it is not kept');
      const begun = await this.#request('chainHead_v1_call', [this.#follow, at, name, input], (result) => {
        const { result: how, operationId } = object(result);
        // It may be done with the next message.
        return how === 'started' ? { done: this.#operation(operationId) } : null;
      });
      if (begun !== null) return begun.done;
      await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
    }
  }

  #operation(id) {
    return new Promise((resolve, reject) => this.#operations.set(id, { resolve, reject }));
  }

  /** Asks the light client itself; `made` is given the answer before any other message is heard. */
  #request(method, params, made = (result) => result) {
    return new Promise((resolve, reject) => {
      const id = this.#next;
      this.#next += 1;
      this.#asked.set(id, { resolve, reject, made });
      this.#chain.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  async #hear() {
    for (;;) {
      const message = JSON.parse(await this.#chain.next());
      if (message.method === 'chainHead_v1_followEvent') {
        if (message.params.subscription === this.#follow) this.#event(message.params.result);
      } else {
        this.#answered(message);
      }
    }
  }

  #answered({ id, result, error }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error) asked?.reject(new Refused(Number(error.code) || 0, String(error.message)));
    else asked?.resolve(asked.made(result));
  }

  #begin() {
    return this.#request('chainHead_v1_follow', [true], (follow) => {
      this.#follow = follow;
    });
  }

  #event(event) {
    switch (event.event) {
      case 'initialized': return void this.#final(event.finalizedBlockHashes, []);
      case 'finalized': return void this.#final(event.finalizedBlockHashes, event.prunedBlockHashes);
      case 'newBlock': return event.newRuntime ? void this.#upgrades.add(event.blockHash) : undefined;
      case 'operationCallDone': return this.#done(event)?.resolve(event.output);
      case 'operationError': return this.#done(event)?.reject(new Refused(0, String(event.error)));
      case 'operationInaccessible': return void this.#unproven(this.#done(event));
      case 'stop': return this.#stopped();
      default: return undefined;
    }
  }

  #done({ operationId }) {
    const operation = this.#operations.get(operationId);
    this.#operations.delete(operationId);
    return operation;
  }

  /** No peer proved it: without any, what was shown before stays. */
  async #unproven(operation) {
    await this.#look();
    const isAlone = this.#is === 'alone';
    operation?.reject(isAlone ? new Gone('there is no peer') : new Refused(0, 'no peer proved it in time'));
  }

  /** Blocks became final: the newest is shown. */
  async #final(hashes, pruned) {
    const [newest, follow] = [hashes.at(-1), this.#follow];
    if (hashes.filter((one) => this.#upgrades.delete(one)).length > 0) this.#runtime += 1;
    const runtime = this.#runtime;
    for (const one of pruned) this.#upgrades.delete(one);
    this.#unpin([...hashes.slice(0, -1), ...pruned]);
    const header = await this.#request('chainHead_v1_header', [follow, newest]).catch(() => null);
    // It may have begun anew meanwhile.
    if (this.#follow !== follow) return;
    const number = header === null ? null : numberOf(header);
    if (number === null || hash(newest) === null || number <= (this.#blocks.at(-1)?.number ?? -1)) {
      this.#unpin([newest]);
      return;
    }
    this.#blocks.push({ number, hash: newest, runtime });
    this.#unpin(this.#blocks.splice(0, this.#blocks.length - KEPT).map((one) => one.hash));
    this.#say('open');
    this.#announce(this.#handlers);
  }

  #unpin(hashes) {
    if (hashes.length > 0) this.#request('chainHead_v1_unpin', [this.#follow, hashes]).catch(() => {});
  }

  #announce(handlers) {
    const newest = this.#blocks.at(-1);
    if (newest) for (const handler of handlers) handler({ number: `0x${newest.number.toString(16)}` });
  }

  /** The light client lost its thread, as when it jumps ahead: begins anew. */
  #stopped() {
    this.#say('connecting');
    const lost = [...this.#operations.values()];
    this.#operations.clear();
    this.#upgrades.clear();
    this.#follow = null;
    this.#runtime += 1;
    this.#blocks = [];
    for (const { reject } of lost) reject(new Gone('the light client begins anew'));
    this.#begin().catch(() => {});
  }

  /** Whether there is a peer to ask. */
  async #look() {
    const { peers } = object(await this.#request('system_health', []).catch(() => null));
    if (peers === 0) this.#say('alone');
    else if (peers > 0 && this.#is === 'alone') this.#say(this.#blocks.length > 0 ? 'open' : 'connecting');
  }

  #say(is) {
    if (this.#is === is) return;
    this.#is = is;
    // Whoever is told that it is open subscribes anew.
    if (is !== 'open') this.#handlers = [];
    this.#changed(is);
  }
}

/** The number in a header: after the hash of its parent. */
function numberOf(header) {
  try {
    const of = new Reader(bytesOf(header));
    of.take(32);
    const number = Number(of.compact());
    return Number.isSafeInteger(number) ? number : null;
  } catch {
    return null;
  }
}
