// What the page asks a node by methods of ours, as calls of runtime APIs: these a light client can have proven.

import { Refused } from './failures.js';

/** The calls behind each method: what is called, with which of the method's parameters, and what null means. */
const CALLS = {
  subnets_list: ([from, limit]) => ['SubnetsApi_subnets', from, limit],
  subnets_members: ([netuid, from, limit]) => ['SubnetsApi_members', netuid, from, limit],
  training_run: ([netuid]) => ['TrainingApi_run', netuid],
  training_round: ([netuid, round]) => ['TrainingApi_round', netuid, round],
  training_contributions: ([netuid, round, from, limit]) =>
    ['TrainingApi_contributions', netuid, round, from, limit],
  training_settled: ([netuid, round]) => ['TrainingApi_settled', netuid, round],
  training_lineage: ([netuid, from]) => ['TrainingApi_lineage', netuid, from],
  audits_open: ([netuid, after, limit]) => ['AuditsApi_open', netuid, after, limit],
  audits_outcome: ([netuid, round, uid]) => ['AuditsApi_outcome', netuid, round, uid],
  emissions_schedule: () => ['EmissionsApi_schedule'],
  emissions_issuance: () => ['EmissionsApi_issuance'],
  emissions_subnet: ([netuid]) => ['EmissionsApi_emission', netuid],
  emissions_history: ([netuid, uid, from, limit]) => (uid === null
    ? ['EmissionsApi_subnet_history', netuid, from, limit]
    : ['EmissionsApi_member_history', netuid, uid, from, limit]),
};
/** Where a node answers null as an error. */
const NEVER_NULL = ['emissions_subnet', 'emissions_history'];

/** The names of the methods that can be proven. */
export const METHODS = Object.keys(CALLS);

/** The call behind a method: its name and arguments. */
export function callOf(method, params) {
  if (!Object.hasOwn(CALLS, method)) throw new Refused(-32601, `a light client has no ${method}`);
  const [name, ...values] = CALLS[method](params);
  return { name, values };
}

/** What the method answers where the call answered this. */
export function answerOf(method, value) {
  if (value === null && NEVER_NULL.includes(method)) throw new Refused(2, 'there is no such subnet or member');
  return value;
}
