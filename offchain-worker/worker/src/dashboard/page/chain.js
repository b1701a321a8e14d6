// Follows the chain: with each new block everything that is shown is asked anew, as of that one block.

import * as model from './model.js';
import { Subnets } from './subnet.js';
import { PAGE, listOf, maybe, objectOf, part } from './part.js';
import { Gone } from './failures.js';
import { hash, hexNumber, leadingU64, object, text } from './read.js';

/** Blocks after which the runs of subnets that are not looked at are asked anew. */
const OTHERS_EVERY = 10;
/** The most subnets of which the run is asked. */
const MOST_RUNS = 128;

/** Follows a node's chain, and tells `show` of everything that is there to be seen. */
export class Chain {
  #client;
  #subnets;
  #show;
  #genesis;
  #state;
  #head = null;
  #isReading = false;
  #others = { at: null, runs: new Map() };

  /**
   * `source` makes what is asked: a `Client` of a node or a `Light` client, which tells how it is by what it is given.
   * `genesis` is the hash of the chain that is meant, or null for any.
   */
  constructor(source, genesis, show) {
    this.#show = show;
    this.#genesis = genesis;
    this.#state = { link: { is: 'connecting' }, chain: null, seen: null, finalized: null, netuid: null, uid: null };
    this.#client = source((is, wait) => this.#changed(is, wait));
    this.#subnets = new Subnets(this.#client);
  }

  /** Begins. */
  async start() {
    await Promise.resolve(this.#client.connect()).catch((error) => this.#fault(error));
  }

  /** Tries to connect now, if it would try later. */
  hurry() {
    this.#client.hurry();
  }

  /** Shows all as it is once more. */
  redraw() {
    this.#show(this.#state);
  }

  /** Looks at a subnet, and at a member of it or none. */
  async select(netuid, uid) {
    Object.assign(this.#state, { netuid, uid });
    this.redraw();
    await this.#read().catch((error) => this.#fault(error));
  }

  #changed(is, wait) {
    this.#state.link = { is, wait };
    this.redraw();
    if (is === 'open') this.#follow().catch((error) => this.#fault(error));
  }

  /** Whatever is not the connection's is a fault of this page, and said. */
  #fault(error) {
    if (error instanceof Gone) return;
    this.#state.link = { is: 'fault', why: String(error.message) };
    this.redraw();
  }

  async #follow() {
    const client = this.#client;
    const [name, genesis, slot] = await Promise.all([
      part(client, 'system_chain', [], text),
      part(client, 'chain_getBlockHash', [0], hash),
      part(client, 'state_call', ['BabeApi_configuration', '0x'], leadingU64),
    ]);
    if (this.#genesis !== null && genesis.value !== this.#genesis) {
      this.#state.link = { is: 'wrong', genesis: genesis.value ?? null };
      this.redraw();
      return;
    }
    this.#forget(this.#state.chain !== null && this.#state.chain.genesis !== genesis.value);
    this.#state.chain = { name: name.value ?? null, genesis: genesis.value ?? null, slot: slot.value ?? null };
    await client.subscribe('chain_subscribeFinalizedHeads', (header) => this.#final(header));
    await client.subscribe('chain_subscribeNewHeads', (header) => this.#best(header));
    client.settle();
  }

  /** Keeps nothing from before: a development chain comes back as a new one that began with the same block. */
  #forget(isOther) {
    this.#subnets = new Subnets(this.#client);
    this.#others = { at: null, runs: new Map() };
    this.#head = null;
    if (isOther) Object.assign(this.#state, { seen: null, finalized: null });
  }

  #final(header) {
    const number = hexNumber(object(header).number);
    if (number === null) return;
    this.#state.finalized = number;
    if (this.#state.seen) this.redraw();
  }

  #best(header) {
    const number = hexNumber(object(header).number);
    if (number === null) return;
    this.#head = number;
    this.#read().catch((error) => this.#fault(error));
  }

  /** Reads the newest block, and again if there is a newer one by then. */
  async #read() {
    if (this.#isReading || this.#head === null) return;
    this.#isReading = true;
    try {
      let done;
      do {
        done = { head: this.#head, netuid: this.#state.netuid, uid: this.#state.uid };
        const seen = await this.#at(done.head);
        if (seen !== null && seen.netuid === this.#wanted(seen.subnets.value)) {
          this.#state.seen = seen;
          this.redraw();
        }
      } while (done.head !== this.#head || done.netuid !== this.#state.netuid || done.uid !== this.#state.uid);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    } finally {
      this.#isReading = false;
    }
  }

  async #at(number) {
    const client = this.#client;
    const at = await part(client, 'chain_getBlockHash', [number], hash);
    if (!at.value) return null;
    const head = { number, hash: at.value };
    const [subnets, schedule, issuance] = await Promise.all([
      part(client, 'subnets_list', [...PAGE, head.hash], listOf(model.subnet)),
      part(client, 'emissions_schedule', [head.hash], objectOf(model.schedule)),
      part(client, 'emissions_issuance', [head.hash], objectOf(model.issuance)),
    ]);
    const [netuid, uid] = [this.#wanted(subnets.value), this.#state.uid];
    const [runs, chosen] = await Promise.all([
      this.#runs(subnets.value ?? [], head),
      netuid === null ? null : this.#subnets.read(netuid, uid, head, this.#state.finalized),
    ]);
    if (chosen) runs.set(netuid, chosen.run);
    return { head, subnets, schedule, issuance, runs: new Map(runs), netuid, uid, chosen };
  }

  /** The subnet that is looked at: the one that was asked for, else the first with a run, else the first. */
  #wanted(subnets) {
    const { netuid } = this.#state;
    if (netuid !== null) return (subnets ?? []).some((one) => one.netuid === netuid) ? netuid : null;
    return (subnets?.find((one) => one.hasRun) ?? subnets?.[0])?.netuid ?? null;
  }

  /** The runs of all subnets: those that are not looked at as they were some blocks ago. */
  async #runs(subnets, head) {
    const { at, runs } = this.#others;
    if (at !== null && head.number - at < OTHERS_EVERY && subnets.every((one) => runs.has(one.netuid))) return runs;
    const fresh = new Map();
    await Promise.all(subnets.slice(0, MOST_RUNS).map(async ({ netuid }) => {
      fresh.set(netuid, await part(this.#client, 'training_run', [netuid, head.hash], maybe(model.run)));
    }));
    this.#others = { at: head.number, runs: fresh };
    return fresh;
  }
}
