// How the page follows a light client, against one that says what a test wants: what no good peer brings about.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { browser, open, serve, stop } from './lib/stage.mjs';

const hash = (byte) => `0x${byte.repeat(32)}`;
/** A header of so few blocks: the hash of its parent, its number in a byte, and what is not read. */
const header = (number) => `${hash('00')}${(number << 2).toString(16).padStart(2, '0')}ff`;
const BLOCKS = { [hash('a1')]: header(1), [hash('a2')]: header(2), [hash('a3')]: header(3) };

let served, context, close, page;

before(async () => {
  served = await serve('ws://127.0.0.1:1');
  ({ context, close } = await browser());
  ({ page } = await open(context, `${served.url}words.js`));
});
after(async () => {
  await close();
  await stop(served);
});

/**
 * Runs in a browser. `script` is a list of `{ on, times, results, events }`: to the next request of the method `on`
 * the light client answers `results` and then says `events`. Whatever is not in it is answered with null.
 */
async function play({ blocks, script, asks }) {
  const { Light } = await import('/light.js');
  const [said, heard, heads, waiting] = [[], [], [], []];
  const queue = [];
  let follow = 0;
  const push = (message) => {
    const waits = waiting.shift();
    if (waits) waits(JSON.stringify(message));
    else queue.push(JSON.stringify(message));
  };
  const send = (line) => {
    const { id, method, params } = JSON.parse(line);
    heard.push([method, params]);
    if (method === 'chainHead_v1_follow') follow += 1;
    const of = `follow${follow}`;
    const at = script.findIndex(({ on }) => on === method);
    const step = at < 0 ? {} : script.splice(at, 1)[0];
    const usual = { chainHead_v1_follow: of, chainHead_v1_header: blocks[params[1]], system_health: { peers: 1 } };
    push({ jsonrpc: '2.0', id, result: step.result ?? usual[method] ?? null });
    for (const event of step.events ?? []) {
      push({ jsonrpc: '2.0', method: 'chainHead_v1_followEvent', params: { subscription: of, result: event } });
    }
  };
  const next = () => new Promise((resolve) => {
    if (queue.length > 0) resolve(queue.shift());
    else waiting.push(resolve);
  });
  const client = new Light(async () => ({ send, next }), (is) => said.push(is));
  client.connect();
  const until = (number) => new Promise((resolve) => {
    client.subscribe('', (head) => {
      heads.push(Number(head.number));
      if (Number(head.number) === number) resolve();
    });
  });
  const answers = [];
  for (const { head, method, params } of asks) {
    await until(head);
    answers.push(await client.call(method, params).then(
      (result) => result, (error) => `${error.constructor.name}: ${error.message}`,
    ));
  }
  return { said, heard, heads, answers };
}

const initialized = (...finalizedBlockHashes) => ({ event: 'initialized', finalizedBlockHashes });
const finalized = (finalizedBlockHashes, prunedBlockHashes = []) => ({
  event: 'finalized', finalizedBlockHashes, prunedBlockHashes,
});
const VERSION = { method: 'state_call', params: ['Core_version', '0x'] };

test('a call that is too much at a time is asked again, and its answer may come at once', async () => {
  const { answers, heard, said } = await page.evaluate(play, {
    blocks: BLOCKS,
    script: [
      { on: 'chainHead_v1_follow', events: [initialized(hash('a1'))] },
      { on: 'chainHead_v1_call', result: { result: 'limitReached' } },
      {
        on: 'chainHead_v1_call', result: { result: 'started', operationId: '7' },
        events: [{ event: 'operationCallDone', operationId: '7', output: '0x2a' }],
      },
    ],
    asks: [{ head: 1, ...VERSION }],
  });
  assert.deepEqual(answers, ['0x2a']);
  assert.deepEqual(said, ['connecting', 'open']);
  const calls = heard.filter(([method]) => method === 'chainHead_v1_call');
  assert.deepEqual(calls[1], ['chainHead_v1_call', ['follow1', hash('a1'), 'Core_version', '0x']]);
});

test('a light client that loses its thread is followed anew, and its blocks are let go', async () => {
  const { answers, heads, heard, said } = await page.evaluate(play, {
    blocks: BLOCKS,
    script: [
      { on: 'chainHead_v1_follow', events: [initialized(hash('a1'))] },
      {
        on: 'chainHead_v1_call', result: { result: 'started', operationId: '1' },
        events: [{ event: 'stop' }, { event: 'operationCallDone', operationId: '1', output: '0x' }],
      },
      {
        on: 'chainHead_v1_follow',
        events: [initialized(hash('a1'), hash('a2')), finalized([hash('a3')], [hash('bb')])],
      },
      {
        on: 'chainHead_v1_call', result: { result: 'started', operationId: '1' },
        events: [{ event: 'operationCallDone', operationId: '1', output: '0x2b' }],
      },
    ],
    asks: [{ head: 1, ...VERSION }, { head: 3, ...VERSION }],
  });
  assert.match(answers[0], /^Gone: /);
  assert.equal(answers[1], '0x2b');
  assert.ok(heads.includes(3) && heads.every((one, nth) => nth === 0 || one >= heads[nth - 1]), `${heads}`);
  assert.deepEqual(said, ['connecting', 'open', 'connecting', 'open']);
  const unpinned = heard.filter(([method]) => method === 'chainHead_v1_unpin').flatMap(([, [, hashes]]) => hashes);
  assert.deepEqual(unpinned.sort(), [hash('a1'), hash('bb')]);
});

for (const [peers, expected] of [[1, /^Refused: no peer proved it/], [0, /^Gone: there is no peer/]]) {
  test(`what no peer proves is ${peers ? 'said so' : 'left as it was, without any peer'}`, async () => {
    const { answers, said } = await page.evaluate(play, {
      blocks: BLOCKS,
      script: [
        { on: 'chainHead_v1_follow', events: [initialized(hash('a1'))] },
        {
          on: 'chainHead_v1_call', result: { result: 'started', operationId: '1' },
          events: [{ event: 'operationInaccessible', operationId: '1' }],
        },
        { on: 'system_health', result: { peers } },
      ],
      asks: [{ head: 1, ...VERSION }],
    });
    assert.match(answers[0], expected);
    assert.equal(said.includes('alone'), peers === 0);
  });
}

test('what is no header is no block, and what the runtime says of itself may be nonsense', async () => {
  const { answers, heads } = await page.evaluate(play, {
    blocks: { [hash('a1')]: '0x00', [hash('a2')]: header(2) },
    script: [
      { on: 'chainHead_v1_follow', events: [initialized(hash('a1')), finalized([hash('a2')])] },
      {
        on: 'chainHead_v1_call', result: { result: 'started', operationId: '1' },
        events: [{ event: 'operationCallDone', operationId: '1', output: '0x0104ff' }],
      },
    ],
    asks: [{ head: 2, method: 'emissions_schedule', params: [hash('a2')] }],
  });
  assert.deepEqual(heads, [2]);
  assert.match(answers[0], /^Error: /);
});

/** A runtime of one type, a byte, and one call, which answers it; in metadata of version 15. */
const RUNTIME = (() => {
  const text = (letters) => [letters.length << 2, ...Buffer.from(letters)];
  const types = [0x04, 0x00, 0x00, 0x00, 0x05, 0x03, 0x00];
  const api = [0x04, ...text('EmissionsApi'), 0x04, ...text('schedule'), 0x00, 0x00, 0x00, 0x00];
  const all = [...Buffer.from('meta'), 15, ...types, 0x00, 4, 0, 0, 0, 0, 0x00, 0x00, ...api];
  const length = (all.length << 2) | 1;
  return `0x${Buffer.from([1, length & 255, length >> 8, ...all]).toString('hex')}`;
})();
const done = (output) => ({
  on: 'chainHead_v1_call', result: { result: 'started', operationId: '1' },
  events: [{ event: 'operationCallDone', operationId: '1', output }],
});

for (const newRuntime of [null, { type: 'valid', spec: {} }]) {
  test(`types are asked for ${newRuntime ? 'again with another runtime' : 'once'}`, async () => {
    const last = done('0x05');
    const block = { event: 'newBlock', blockHash: hash('a2'), parentBlockHash: hash('a1'), newRuntime };
    last.events.push(block, finalized([hash('a2')]));
    const { answers, heard } = await page.evaluate(play, {
      blocks: BLOCKS,
      script: [
        { on: 'chainHead_v1_follow', events: [initialized(hash('a1'))] },
        done(RUNTIME), last, ...(newRuntime ? [done(RUNTIME)] : []), done('0x06'),
      ],
      asks: [
        { head: 1, method: 'emissions_schedule', params: [hash('a1')] },
        { head: 2, method: 'emissions_schedule', params: [hash('a2')] },
      ],
    });
    assert.deepEqual(answers, [5, 6]);
    const calls = heard.filter(([method]) => method === 'chainHead_v1_call')
      .map(([, [, at, name]]) => `${at.slice(2, 4)} ${name}`);
    const described = calls.filter((call) => call.endsWith('Metadata_metadata_at_version'));
    const first = 'a1 Metadata_metadata_at_version';
    assert.deepEqual(described, newRuntime ? [first, first.replace('a1', 'a2')] : [first]);
  });
}

test('a block is read by the types of its own runtime, an older one too', async () => {
  const last = done('0x05');
  const newRuntime = { type: 'valid', spec: {} };
  const block = { event: 'newBlock', blockHash: hash('a2'), parentBlockHash: hash('a1'), newRuntime };
  last.events.push(block, finalized([hash('a2')]));
  const { answers, heard } = await page.evaluate(play, {
    blocks: BLOCKS,
    script: [
      { on: 'chainHead_v1_follow', events: [initialized(hash('a1'))] },
      done(RUNTIME), last, done('0x06'), done(RUNTIME), done('0x07'),
    ],
    asks: [
      { head: 1, method: 'emissions_schedule', params: [hash('a1')] },
      { head: 2, method: 'emissions_schedule', params: [hash('a1')] },
      { head: 2, method: 'emissions_schedule', params: [hash('a2')] },
    ],
  });
  assert.deepEqual(answers, [5, 6, 7]);
  const described = heard.filter(([, params]) => params[2] === 'Metadata_metadata_at_version');
  assert.deepEqual(described.map(([, params]) => params[1]), [hash('a1'), hash('a2')]);
});

test('a short answer that says it is a long list is refused', async () => {
  const failed = await page.evaluate(async () => {
    const { Reader } = await import('/scale.js');
    // 2^30 - 1 items of no bytes.
    const of = new Reader(Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0));
    try {
      return of.list(() => null).length;
    } catch (error) {
      return error.message;
    }
  });
  assert.equal(failed, 'the bytes end too early');
});
