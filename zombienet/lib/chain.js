// What is asked of a network's nodes, and done on their chain by the command line that people use.

const { execFile } = require('node:child_process');
const { promisify } = require('node:util');

const run = promisify(execFile);

/** Who has CRN from the beginning and votes: more than half of all there is. */
const VOTERS = ['//Bob', '//Charlie', '//Dave', '//Ferdie'];
/** What each votes with, in CRN; the rest pays deposits, fees and bonds. */
const VOTE = '90000';

/** How soon a lost connection is tried again, and how long an answer may take: a node compiles a new runtime first. */
const AGAIN_MS = 2_500;
const ANSWER_MS = 600_000;

function say(what) {
  process.stderr.write(`${new Date().toISOString()} ${what}\n`);
}

/** Runs `cairn` and gives what it prints. */
async function cairn(url, ...words) {
  const env = { ...process.env, CAIRN_NODE: url };
  const { stdout } = await run('cairn', words.map(String), { env, maxBuffer: 2 ** 24 });
  return stdout;
}

/** A connection to a node. */
async function connect(url) {
  const { ApiPromise, WsProvider } = global.zombie;
  return ApiPromise.create({ provider: new WsProvider(url, AGAIN_MS, {}, ANSWER_MS), noInitWarn: true });
}

/** Resolves with what `look` first gives that is neither false nor nothing: it is asked at each new block. */
function until(api, look) {
  return new Promise((resolve, reject) => {
    let stop;
    let over = false;
    const end = (how, what) => {
      over = true;
      stop?.();
      how(what);
    };
    const heads = api.rpc.chain.subscribeNewHeads(async (header) => {
      if (over) return;
      try {
        const seen = await look(header);
        if (seen && !over) end(resolve, seen);
      } catch (error) {
        end(reject, error);
      }
    });
    heads.then((unsubscribe) => {
      stop = unsubscribe;
      if (over) stop();
    }, reject);
  });
}

/** The number of the newest block that is final. */
async function final(api) {
  return (await api.rpc.chain.getHeader(await api.rpc.chain.getFinalizedHead())).number.toNumber();
}

/** Waits until this many more blocks are final than now. */
async function finalises(api, more) {
  const before = await final(api);
  await until(api, async () => (await final(api)) >= before + more);
}

/** Signs, sends, and waits until it is in a block; an error if it fails there. */
function send(api, call, suri) {
  const pair = new global.zombie.Keyring({ type: 'sr25519' }).addFromUri(suri);
  return new Promise((resolve, reject) => {
    const sent = call.signAndSend(pair, ({ status, dispatchError }) => {
      if (dispatchError) reject(new Error(`${call.method.section}.${call.method.method}: ${dispatchError}`));
      else if (status.isInBlock) resolve(status.asInBlock);
      else if (status.isInvalid || status.isDropped || status.isUsurped) reject(new Error(status.type));
    });
    sent.catch(reject);
  });
}

/** Proposes something: its number. */
async function propose(url, ...what) {
  const proposed = JSON.parse(await cairn(url, 'governance', 'propose', '--suri', '//Alice', '--json', ...what));
  return proposed.did.match(/referendum (\d+)/)[1];
}

/** Gives a referendum the deposit and the votes that it takes. It is enacted when the chain's delays are over. */
async function decide(url, index) {
  await cairn(url, 'governance', 'deposit', '--suri', '//Alice', index);
  await Promise.all(
    VOTERS.map((voter) => cairn(url, 'governance', 'vote', '--suri', voter, '--aye', index, VOTE)),
  );
  say(`referendum ${index} has its votes`);
}

/** Proposes something, and has it decided: its number. */
async function pass(url, ...what) {
  const index = await propose(url, ...what);
  say(`referendum ${index} is proposed: ${what.join(' ')}`);
  await decide(url, index);
  return index;
}

module.exports = { cairn, connect, decide, final, finalises, pass, propose, say, send, until };
