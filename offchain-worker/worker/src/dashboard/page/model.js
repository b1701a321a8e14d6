// What the node's answers say, as far as this page shows it. Fields that are missing are null; what has no number is
// left out.

import { amount, flag, hash, list, number, object, text } from './read.js';

/** A part of a list that is known by `name`: what `read` makes of its fields, or null without one. */
function known(name, value, read) {
  const fields = object(value);
  return number(fields[name]) === null ? null : { [name]: number(fields[name]), ...read(fields) };
}

/** Of `subnets_list`. */
export const subnet = (value) =>
  known('netuid', value, (of) => {
    const rules = object(of.hyperparameters);
    return {
      owner: text(of.owner),
      members: number(of.members),
      price: amount(of.registration_price),
      dissolvesFrom: number(of.dissolves_from),
      stake: amount(of.stake),
      bonds: amount(of.bonds),
      hasRun: flag(of.has_run),
      tempo: number(rules.tempo),
      seats: number(rules.max_members),
      minStake: amount(rules.min_validator_stake),
      minBond: amount(rules.min_miner_bond),
      unbonding: number(rules.unbonding_period),
    };
  });

/** Of `subnets_members`. */
export const member = (value) =>
  known('uid', value, (of) => ({
    hotkey: text(of.hotkey),
    coldkey: text(of.coldkey),
    role: text(of.role),
    chosen: text(of.chosen_role),
    stake: amount(of.stake),
    bond: amount(of.bond),
    take: number(of.take),
    incentive: number(of.incentive),
    dividends: number(of.dividends),
    lastPaid: amount(of.last_paid),
    earned: amount(of.earned),
  }));

const pair = (value) => {
  const [uid, hotkey] = Array.isArray(value) ? value : [];
  return number(uid) === null ? null : { uid, hotkey: text(hotkey) };
};

const attester = (value) =>
  known('uid', value, (of) => ({
    hotkey: text(of.hotkey),
    stake: amount(of.stake),
    committed: hash(of.committed) !== null,
    attested: flag(of.attested),
  }));

/** When the parts of a round are, in blocks; those that the node does not say are null. */
function times(value) {
  const of = object(value);
  const [start, reveal, attest, due] = [of.start, of.reveal, of.attest, of.due].map(number);
  const known = ![start, reveal, attest, due].includes(null);
  const parts = { train: reveal - start, reveal: attest - reveal, attest: due - attest };
  return { start, parts: known ? parts : null };
}

/** Of `training_round`. */
export const round = (value) =>
  known('round', value, (of) => ({
    ...times(of.times),
    phase: text(of.phase),
    seed: hash(of.seed),
    pass: number(of.pass),
    miners: list(of.miners, pair) ?? [],
    validators: list(of.validators, attester) ?? [],
  }));

/** Of `training_run`: null if there is no run. */
export function run(value) {
  if (value === null) return null;
  const of = object(value);
  const config = object(of.config);
  const [shape, inner, phases] = [object(config.model), object(config.inner), object(config.phases)];
  const audits = object(config.audits);
  return {
    name: text(config.name),
    parameters: parameters(shape),
    layers: number(shape.layers),
    width: number(shape.d_model),
    heads: number(shape.heads),
    kvHeads: number(shape.kv_heads),
    ffn: number(shape.ffn),
    vocabulary: number(shape.vocabulary),
    isTied: flag(shape.tied_embeddings),
    context: number(shape.context),
    steps: number(inner.steps),
    sequences: number(inner.sequences),
    sequenceLength: number(inner.sequence_length),
    traceEvery: number(inner.trace_every),
    matrices: matrices(inner.matrices),
    kept: number(object(config.compression).kept_per_block),
    turns: number(object(config.compression).turns ?? 1),
    overlap: number(config.overlap),
    checkpointEvery: number(config.checkpoint_every),
    windows: number(object(config.data).windows),
    store: text(object(config.data).store),
    phases: { train: number(phases.train), reveal: number(phases.reveal), attest: number(phases.attest) },
    most: number(config.max_contributors),
    auditRate: number(audits.rate),
    auditors: number(audits.auditors),
    tolerance: number(audits.tolerance),
    cardBond: number(audits.card_bond),
    startedAt: number(of.started_at),
    round: round(of.round),
    oldest: number(of.oldest_round),
    absent: list(of.absent, pair) ?? [],
  };
}

/** What steps the matrices of the blocks: `adamw` or `muon`, or null if that is neither. */
function matrices(value) {
  if (value === 'adamw') return value;
  return Object.hasOwn(object(value), 'muon') ? 'muon' : null;
}

/** The parameters of a decoder of this shape; null if that cannot be said. */
export function parameters(shape) {
  const names = ['layers', 'd_model', 'heads', 'kv_heads', 'ffn', 'vocabulary'];
  if (names.some((name) => number(shape[name]) === null) || flag(shape.tied_embeddings) === null) return null;
  const [layers, d, heads, kvHeads, ffn, vocabulary] = names.map((name) => shape[name]);
  if (heads === 0) return null;
  const kv = Math.floor(d / heads) * kvHeads;
  const layer = 2 * d * (d + kv) + 3 * d * ffn + 2 * d;
  const embeddings = vocabulary * d * (shape.tied_embeddings ? 1 : 2);
  return number(layers * layer + embeddings + d);
}

/** Of `training_contributions`. */
export const contribution = (value) =>
  known('uid', value, (of) => ({
    hotkey: text(of.hotkey),
    length: number(object(of.commitment).length),
    revealed: hash(of.key) !== null,
    support: amount(of.support),
  }));

/** Of `training_settled`: null while the round is not. */
export const settled = (value) =>
  known('round', value, (of) => ({
    at: number(of.settled_at),
    included: list(of.included, number) ?? [],
    trust: list(of.trust, number) ?? [],
    attesting: amount(of.attesting_stake),
    total: amount(of.total_stake),
  }));

/** Of `training_lineage`. */
export const ancestor = (value) =>
  known('round', value, (of) => ({
    root: hash(of.model_root),
    attested: amount(of.attested_stake),
    attesting: amount(of.attesting_stake),
    total: amount(of.total_stake),
    isFinal: flag(of.is_final),
    loss: number(of.loss),
  }));

const auditor = (value) =>
  known('uid', value, (of) => ({ committed: hash(of.committed) !== null, found: text(of.found) }));

/** Of `audits_open`. */
export const audit = (value) =>
  known('uid', value, (of) => ({
    round: number(of.round),
    opensUntil: number(of.opens_until),
    commitsUntil: number(of.commits_until),
    revealsUntil: number(of.reveals_until),
    isDisputed: flag(of.is_disputed),
    served: number(object(of.served).length),
    auditors: list(of.auditors, auditor) ?? [],
  }));

const pots = (value) => {
  const of = object(value);
  return { owner: amount(of.owner), miners: amount(of.miners), validators: amount(of.validators) };
};

/** Of `emissions_history` of a subnet. */
export const epoch = (value) =>
  known('epoch', value, (of) => ({
    block: number(of.block),
    pots: pots(of.pots),
    paid: pots(of.paid),
    members: number(of.members),
    validators: number(of.validators),
    voters: number(of.voters),
  }));

/** Of `emissions_history` of a member. */
export const memberEpoch = (value) =>
  known('epoch', value, (of) => ({
    block: number(of.block),
    incentive: number(of.incentive),
    dividends: number(of.dividends),
    asMiner: amount(of.as_miner),
    asValidator: amount(of.as_validator),
  }));

/** Of `emissions_subnet`. */
export const emission = (value) => {
  const of = object(value);
  return {
    share: number(of.share),
    emits: flag(of.emits),
    works: flag(of.works),
    pots: { owner: amount(of.owner_pot), miners: amount(of.miners_pot), validators: amount(of.validators_pot) },
    late: amount(of.late),
    epochs: number(of.epochs),
    next: number(of.next_epoch),
    paid: amount(of.paid),
    paidTo: pots(of.paid_to),
  };
};

/** Of `emissions_schedule`. */
export const schedule = (value) => {
  const of = object(value);
  const split = list(of.split, number) ?? [];
  return {
    cap: amount(of.cap),
    issued: amount(of.issued),
    perBlock: amount(of.per_block),
    halvings: number(of.halvings),
    nextHalving: amount(of.next_halving),
    split: split.length === 3 ? split : null,
  };
};

/** Where everything is, by `emissions_issuance`; the names are those of its parts. */
export const issuance = (value) => {
  const of = object(value);
  const part = (name) => amount(of[name]);
  return {
    issued: part('issued'),
    parts: {
      balances: part('balances'),
      stakes: part('stakes'),
      unbonding: part('unbonding'),
      bonds: part('bonds'),
      pots: part('pots'),
    },
  };
};
