// Everything about one subnet at one block. What can no longer change is asked once.

import * as model from './model.js';
import { PAGE, epochsOf, listOf, maybe, objectOf, part } from './part.js';
import { text } from './read.js';

/** Rounds before the present one that are shown in full. */
const ROUNDS = 8;
/** Roots that are shown. */
const ROOTS = 48;
/** Rounds of which the loss is drawn: as many as a node answers at once. */
const CURVE = 256;
/** Included contributions of a round that are asked for their audits. */
const AUDITED = 64;
/** Miners of whom the scores by epoch are drawn. */
export const DRAWN = 8;
/** Rounds after its own in which a contribution can still become one that is audited. */
const DRAWN_WITHIN = 2;

/** Asks about subnets, and keeps what stays so. */
export class Subnets {
  #client;
  #rounds = new Map();
  #epochs = { of: '', value: null };
  #losses = { of: '', known: new Map() };

  constructor(client) {
    this.#client = client;
  }

  /** What there is of a subnet at the block `at`; `uid` is the member that is looked at, or null. */
  async read(netuid, uid, head, finalized) {
    const at = head.hash;
    const ask = (method, params, read) => part(this.#client, method, [netuid, ...params, at], read);
    const [members, run, audits, emission] = await Promise.all([
      ask('subnets_members', PAGE, listOf(model.member)),
      ask('training_run', [], maybe(model.run)),
      ask('audits_open', [null, PAGE[1]], listOf((value) => model.audit(value))),
      ask('emissions_subnet', [], objectOf(model.emission)),
    ]);
    const now = run.value?.round?.round ?? null;
    const [contributions, lineage, rounds, epochs, one] = await Promise.all([
      now === null ? { value: [] } : ask('training_contributions', [now, ...PAGE], listOf(model.contribution)),
      now === null ? { value: [] } : ask('training_lineage', [Math.max(0, now - ROOTS)], listOf(model.ancestor)),
      now === null ? [] : this.#before(ask, netuid, run.value, now, finalized),
      this.#pay(ask, netuid, members.value, emission.value?.epochs ?? null),
      uid === null ? null : this.#member(ask, uid),
    ]);
    const losses = await this.#curve(ask, `${netuid}/${run.value?.startedAt}`, now, lineage);
    return { netuid, members, run, audits, emission, contributions, lineage, losses, rounds, ...epochs, one };
  }

  /** The losses of the last rounds, the oldest first. Roots that are older than those shown are asked for once. */
  async #curve(ask, of, now, lineage) {
    if (lineage.error) return lineage;
    if (this.#losses.of !== of) this.#losses = { of, known: new Map() };
    const { known } = this.#losses;
    const oldest = Math.max(0, now - CURVE);
    const note = (roots) => roots.forEach(({ round, loss }) => known.set(round, loss));
    // The newest root that is known has no loss before the next one is there.
    const isSeen = (round) => round < oldest || (known.has(round) && known.has(round + 1));
    if (!isSeen(now - ROOTS - 1)) {
      const before = await ask('training_lineage', [oldest], listOf(model.ancestor));
      if (before.error) return before;
      note(before.value);
    }
    // What is not final yet may be another one in the next block.
    note(lineage.value);
    for (const round of known.keys()) if (round < oldest || round >= now) known.delete(round);
    const drawn = [...known].filter(([, loss]) => loss !== null && loss > 0).sort(([one], [other]) => one - other);
    return { value: drawn.map(([round, loss]) => ({ round, loss })) };
  }

  /** The rounds before the present one, the newest first. */
  async #before(ask, netuid, run, now, finalized) {
    const first = Math.max(0, now - ROUNDS, run.oldest ?? 0);
    const numbers = Array.from({ length: Math.max(0, now - first) }, (_, at) => now - 1 - at);
    const prefix = `${netuid}/${run.startedAt}/`;
    for (const name of this.#rounds.keys()) {
      if (!numbers.some((number) => name === prefix + number)) this.#rounds.delete(name);
    }
    return Promise.all(numbers.map((number) => this.#round(ask, prefix, number, now, finalized)));
  }

  async #round(ask, prefix, number, now, finalized) {
    const kept = this.#rounds.get(prefix + number);
    const [info, contributions, settled] = kept
      ? [kept.info, kept.contributions, kept.settled]
      : await Promise.all([
        ask('training_round', [number], maybe(model.round)),
        ask('training_contributions', [number, ...PAGE], listOf(model.contribution)),
        ask('training_settled', [number], maybe(model.settled)),
      ]);
    const outcomes = new Map(kept?.outcomes);
    const isOpen = (uid) => {
      const known = outcomes.get(uid);
      return known === undefined || known === 'open' || (known === null && now - number <= DRAWN_WITHIN);
    };
    const asked = (settled.value?.included ?? []).slice(0, AUDITED).filter(isOpen);
    await Promise.all(asked.map(async (uid) => {
      const outcome = await ask('audits_outcome', [number, uid], (value) => text(value));
      outcomes.set(uid, outcome.error ? undefined : outcome.value);
    }));
    const round = { number, info, contributions, settled, outcomes };
    // A block that is not final may go, and with it what was asked of it.
    if (settled.value?.at != null && finalized !== null && settled.value.at <= finalized) {
      this.#rounds.set(prefix + number, round);
    }
    return round;
  }

  /** Epochs of the subnet, and of the miners that earned most; again when there is another one. */
  async #pay(ask, netuid, members, count) {
    const of = `${netuid}/${count}`;
    if (count !== null && this.#epochs.of === of) return this.#epochs.value;
    const epochs = await ask('emissions_history', [null, 0, 64], epochsOf(model.epoch));
    const miners = (members ?? []).filter((one) => one.chosen === 'miner');
    miners.sort((one, other) => Number((other.earned ?? 0n) - (one.earned ?? 0n)) || one.uid - other.uid);
    const drawn = miners.slice(0, DRAWN).sort((one, other) => one.uid - other.uid);
    const scores = await Promise.all(drawn.map(async ({ uid }) => {
      const history = await ask('emissions_history', [uid, 0, 64], epochsOf(model.memberEpoch));
      return { uid, epochs: history.value ?? [] };
    }));
    const value = { epochs, scores, miners: miners.length };
    this.#epochs = { of, value };
    return value;
  }

  /** The epochs of one member. */
  async #member(ask, uid) {
    return { uid, epochs: await ask('emissions_history', [uid, 0, 64], epochsOf(model.memberEpoch)) };
  }
}
