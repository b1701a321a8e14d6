// What a run takes of those who take part, in bytes, by arithmetic on its configuration: as `cairn run plan` counts it.

import { number } from './read.js';
import { longest } from './sent.js';

/** Bytes of a number. */
const NUMBER = 4;
/** Logits of so many tokens exist at once. */
const ROWS = 512;
/** Bytes of what stands for a traced state, and of all of them at most. */
const [TRACED_HEAD, KEPT_STATES] = [104, 8 * 2 ** 30];
/** How often a state directory holds the parameters' bytes, and how often more where rounds overlap. */
const [COPIES, AHEAD_COPIES] = [16, 4];
/** Rounds that are kept in a store, those of which files come in at a time, and those whose audits are served. */
const [HISTORY, INCOMING, AUDITED] = [256, 16, 17];
/** Bytes of a validator's file of evidence, and how many are in its state directory and in its store. */
const [EVIDENCE, HIDDEN_EVIDENCE, KEPT_EVIDENCE] = [8_638_511, 5, 9];
/** Bytes before the vectors that are served for an audit. */
const OPENED = 2_048;
/** Up to so many words of a vocabulary a token of text is two bytes, else four. */
const SHORT_TOKENS = 65_536;
/** What all of it is counted from. */
const COUNTED = [
  'parameters', 'layers', 'width', 'heads', 'kvHeads', 'ffn', 'vocabulary', 'isTied', 'steps', 'sequences',
  'sequenceLength', 'traceEvery', 'matrices', 'kept', 'turns', 'overlap', 'checkpointEvery', 'windows', 'most',
  'auditRate', 'tolerance',
];

/**
 * What a run takes, in bytes; null where its configuration does not say all that it is counted from, or no number
 * holds it. `training`, `serving`, `measuring`, `auditing`: memory on the CPU, with `text` beside it. `mining`,
 * `validating`: disk. `fetched`, `joining`: text, and the rest of what a miner begins with. `coming`: what it fetches
 * in a round; `contribution`, `served`: what it sends whoever asks, and an auditor. `card`: one card, and the memory
 * `beside` it; null in a run that admits none.
 */
export function needs(run) {
  if (COUNTED.some((name) => run[name] === null) || run.traceEvery === 0) return null;
  const shape = shapeOf(run);
  const vectors = vectorsOf(run, shape);
  const contribution = longest(shape.tensors, run.kept, run.turns);
  if (contribution === null) return null;
  const isAudited = run.auditRate > 0;
  const tokens = run.windows * run.sequenceLength;
  const onCpu = vectors.parameters + layers(run, shape);
  const training = 2 * vectors.state + (isAudited ? vectors.steps : 0);
  const serving = 2 * vectors.state + (isNear(run) ? 4 : 3) * vectors.steps;
  const found = {
    contribution,
    training: training + onCpu,
    serving: isAudited ? serving + onCpu : 0,
    measuring: 3 * vectors.parameters,
    auditing: isAudited ? 2 * vectors.parameters + vectors.served + vectors.steps + onCpu : 0,
    mining: state(run, vectors, contribution, false) + store(run, vectors, contribution, false),
    validating: state(run, vectors, contribution, true) + store(run, vectors, contribution, true),
    text: tokens * NUMBER,
    fetched: tokens * (run.vocabulary > SHORT_TOKENS ? 4 : 2),
    joining: vectors.parameters + run.checkpointEvery * run.most * contribution,
    coming: Math.max(0, run.most - 1) * contribution,
    served: isAudited ? vectors.served : 0,
  };
  if (Object.values(found).some((bytes) => number(bytes) === null)) return null;
  const beside = Math.max(training, isAudited ? serving : 0);
  return { ...found, card: admitsCards(run) ? { bytes: card(run, shape, vectors), beside } : null };
}

/** Whether what a card trained counts: where nothing is audited, or within a tolerance, which no run of Muon's has. */
export const admitsCards = (run) => run.auditRate === 0 || (run.matrices === 'adamw' && run.tolerance > 0);

/** The tensors of a decoder, those of a layer counted once, and the numbers of a layer's matrices. */
function shapeOf({ layers: many, width, heads, kvHeads, ffn, vocabulary, isTied }) {
  const head = Math.floor(width / heads);
  const keys = head * kvHeads;
  const embeddings = isTied ? 1 : 2;
  const tensors = [
    [embeddings, vocabulary, width], [2 * many + 1, width], [2 * many, width, width], [2 * many, keys, width],
    [2 * many, ffn, width], [many, width, ffn],
  ];
  const kept = 3 * width + 2 * ffn + (heads + 2 * kvHeads) * head + 2 * heads + 2;
  return { tensors, matrices: many * (2 * width * (width + keys) + 3 * width * ffn), kept };
}

/** Bytes of what is as long as the parameters, and of what is made of these. */
function vectorsOf(run, { matrices }) {
  const parameters = NUMBER * run.parameters;
  const second = run.matrices === 'muon' ? parameters - NUMBER * matrices : parameters;
  const steps = 2 * parameters + second;
  return { parameters, second, steps, state: steps + parameters, served: 4 * parameters + second + (isNear(run) ? steps : 0) };
}

/** Whether audited work may be a card's, of which the state after the steps is served, too. */
const isNear = (run) => run.auditRate > 0 && run.tolerance > 0;

/** What the layers keep of a step for its backward pass, and the logits. */
function layers(run, { kept }) {
  const tokens = run.sequences * run.sequenceLength;
  return NUMBER * (tokens * run.layers * kept + Math.min(tokens, ROWS) * run.vocabulary);
}

/**
 * What one card holds in a step of cairn's: parameters and a rounded copy, gradient, moments, of one sequence what the
 * layers keep, and in a run of Muon's what its iteration takes of the largest matrix.
 */
function card(run, { kept }, { parameters, second }) {
  const sequence = NUMBER * run.sequenceLength * (run.layers * run.width + kept);
  const iteration = run.matrices === 'muon' ? 6 * run.width * Math.max(run.width, run.ffn) + 8 * run.width ** 2 : 0;
  return 3 * parameters + second + Math.ceil(parameters / 2) + iteration + sequence;
}

/** The most that a state directory comes to hold. */
function state(run, { parameters, steps }, contribution, isValidator) {
  const isAhead = run.overlap > 0;
  const copies = parameters * (COPIES + (isAhead ? AHEAD_COPIES : 0));
  const traced = Math.min(tracedStates(run, steps) * (isAhead ? 3 : 2), KEPT_STATES);
  const beside = isValidator ? EVIDENCE * HIDDEN_EVIDENCE : traced;
  return copies + INCOMING * run.most * contribution + beside;
}

/** Bytes of a round's traced states: the first has no vectors there, and the last only where cards are admitted. */
function tracedStates(run, steps) {
  if (run.auditRate === 0) return 0;
  const states = Math.ceil(run.steps / run.traceEvery) + 1;
  const without = run.tolerance > 0 ? 1 : 2;
  // Behind the vectors lies how the steps had come there: a loss of each, a hash of each state, and what frames them.
  const course = NUMBER * run.steps + 32 * states + 96;
  return (steps + course) * Math.max(0, states - without) + TRACED_HEAD * states;
}

/** The most that is served for an audit. */
function longestServed(run, { parameters }) {
  return parameters * (run.tolerance > 0 ? 8 : 5) + OPENED;
}

/** The most that a store comes to hold: files, what is served for audits; a validator's checkpoints and evidence. */
function store(run, vectors, contribution, isValidator) {
  // Beside each file are the hashes of its parts.
  const whole = (bytes) => bytes + Math.floor(bytes / 256);
  const every = Math.max(1, run.checkpointEvery);
  const rounds = HISTORY + every;
  const served = run.auditRate === 0 ? 0 : whole(longestServed(run, vectors)) * AUDITED;
  const files = run.most * whole(contribution) * rounds;
  if (!isValidator) return files + served;
  const checkpoints = whole(vectors.parameters) * Math.floor(rounds / every);
  return files + checkpoints + served * run.most + whole(EVIDENCE) * KEPT_EVIDENCE;
}
