// A referendum that changes a rule of the chain: the council cancels it once, and the same one passes then.

const { cairn, decide, pass, propose, say, until } = require('./chain.js');

/** Who has seats of the council on a chain for development: two thirds of the three. */
const COUNCIL = ['//Alice', '//Bob'];
/** What is proposed, and what the rule is then. */
const PROPOSED = 'scores-rate-limit=20';
const WANTED = 20;
/** In so many blocks a referendum on a rule is decided and enacted, on a chain that hurries as this one does. */
const DECIDED = 80;

const limit = async (api) => (await api.query.governance.currentRules()).scoresRateLimit.toNumber();

/** Has the council cancel a referendum as soon as that has its votes. */
async function cancels(url, index) {
  const moved = await cairn(url, 'governance', 'cancel', '--suri', COUNCIL[0], index);
  const [motion] = moved.match(/0x[0-9a-f]{64}/);
  for (const seat of COUNCIL) await cairn(url, 'governance', 'approve', '--suri', seat, motion);
  await decide(url, index);
  await cairn(url, 'governance', 'approve', '--suri', COUNCIL[1], motion);
  say(`the council cancelled referendum ${index}`);
}

/** Changes a rule by a referendum, after the council has cancelled the same one. */
async function changes(api, url) {
  const before = await limit(api);
  if (before === WANTED) throw new Error(`the rule is ${WANTED} already`);
  await cancels(url, await propose(url, '--rule', PROPOSED));
  const since = (await api.rpc.chain.getHeader()).number.toNumber();
  await until(api, async ({ number }) => number.toNumber() > since + DECIDED);
  if ((await limit(api)) !== before) throw new Error('the rule changed, though the council cancelled');
  const passed = await pass(url, '--rule', PROPOSED);
  await until(api, async () => (await limit(api)) === WANTED);
  say(`referendum ${passed} passed: the rule is ${WANTED}, and was ${before}`);
}

module.exports = { changes };
