// How the model gets better: the loss that validators agreed on, round by round.

import { thousands } from './amount.js';
import { lines } from './charts.js';
import { h, section, table } from './dom.js';
import { fault } from './state.js';

/** Rounds that are listed. */
const LISTED = 48;
/** Micro-nats in a nat. */
const NAT = 1_000_000;

/** Micro-nats per token in nats. */
export const nats = (loss) => (loss / NAT).toFixed(4);

/** The same in bits. */
export const bits = (loss) => (loss / NAT / Math.LN2).toFixed(4);

/** The losses of the run's last rounds. */
export function loss({ seen }) {
  const { losses, run } = seen.chosen;
  const heading = 'Loss of the model';
  if (losses.error) return section('loss', heading, fault(losses));
  const known = losses.value;
  if (known.length === 0) return section('loss', heading, h('p', { class: 'empty' }, why(run.value)));
  return section('loss', heading, about(), chart(known), list(known));
}

/** Why there is none. */
function why(run) {
  if (run?.auditRate === 0) {
    return 'This run audits nothing, so validators are not asked for a loss: on cards they would not find the same.';
  }
  return 'There is none yet: validators state the loss of a round when they attest the next one.';
}

function about() {
  return h('p', { class: 'note' },
    'Of the parameters with which a round began, on text that nobody had to train on in it. '
    + 'More than half of the stake that attested the next round stated this very number. '
    + 'Each round has other text, so the line is not smooth; a round of which they did not agree has none.');
}

function chart(known) {
  const [first, last] = [known[0], known.at(-1)];
  const all = known.map((one) => one.loss);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  // As far as losses of less than a thousandth of a nat apart would fill it.
  const span = Math.max(most - least, NAT / 1_000);
  const points = known.map((one) => [one.round - first.round, (one.loss - least) / span]);
  const names = Array.from({ length: last.round - first.round + 1 }, (_, at) => String(first.round + at));
  const marks = [0, 0.5, 1].map((height) => [height, ((least + height * span) / NAT).toPrecision(4)]);
  const best = known.find((one) => one.loss === least);
  const words = `Round ${last.round}: ${nats(last.loss)}; round ${first.round}: ${nats(first.loss)}. `
    + `The lowest is ${nats(best.loss)}, in round ${best.round}.`;
  const title = 'Mean loss in nats per token, by round';
  return lines('curve', { title, words, marks, names, series: [{ name: nats(last.loss), points }] });
}

function list(known) {
  const rows = known.slice(-LISTED).reverse().map((one) => [thousands(one.round), nats(one.loss), bits(one.loss)]);
  const columns = [
    { head: 'Round' }, { head: 'Nats per token', number: true }, { head: 'Bits per token', number: true },
  ];
  return h('details', { id: 'losses' }, h('summary', {}, 'The last losses'),
    table('Mean loss of the parameters with which each round began', columns, rows, ''));
}
