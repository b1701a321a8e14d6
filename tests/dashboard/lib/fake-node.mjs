// A node that answers as a real one did, from recordings; and, where a test asks for it, as no good node would.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';

import { WebSocketServer } from 'ws';

const recorded = (name) => JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));
const byQuestion = (answers) => new Map(answers.map(([method, params, answer]) => [question(method, params), answer]));
const question = (method, params) => `${method} ${JSON.stringify(params)}`;
const NO_SUCH_METHOD = { error: { code: -32601, message: 'Method not found' } };

/** Where a network was recorded, and at which blocks, the oldest first: one of seven rounds, with two that cheat. */
const FEW = { directory: '', blocks: [118, 119, 121, 166] };
/** One whose validators state the loss of each round, with one that cheats. */
export const LOSSES = { directory: 'losses/', blocks: [439, 477] };

export class FakeNode {
  #server = null;
  #port = 0;
  #chain;
  #blocks = new Map();
  #best;
  #sockets = new Set();
  #subscriptions = 0;
  /** Every method that was asked, with its parameters. */
  asked = [];
  /** Changes answers: `(method, params, answer) => answer`; `undefined` leaves a question without one. */
  bend = (_method, _params, answer) => answer;

  constructor({ directory, blocks } = FEW) {
    this.#chain = byQuestion(recorded(`${directory}chain`).answers);
    this.#best = blocks[0];
    for (const number of blocks) {
      const { hash, finalized, answers } = recorded(`${directory}block-${number}`);
      this.#blocks.set(number, { hash, finalized, answers: byQuestion(answers) });
    }
  }

  get url() {
    return `ws://127.0.0.1:${this.#port}`;
  }

  /** Listens; after a stop on the same port as before. */
  async start() {
    this.#server = new WebSocketServer({ host: '127.0.0.1', port: this.#port });
    this.#server.on('connection', (socket) => this.#connected(socket));
    await once(this.#server, 'listening');
    this.#port = this.#server.address().port;
    return this;
  }

  /** Goes away as a node does that is killed. */
  async stop() {
    for (const { socket } of this.#sockets) socket.terminate();
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    await new Promise((resolve) => { server.close(resolve); });
  }

  /** Makes a block the best one, and says so to all who listen. */
  head(number) {
    this.#best = number;
    for (const one of this.#sockets) this.#announce(one);
  }

  /** What was recorded of the best block. */
  answer(method, params) {
    return this.#answer(method, [...params, this.#blocks.get(this.#best).hash]);
  }

  /** Says something to all, whatever it is. */
  say(line) {
    for (const { socket } of this.#sockets) socket.send(line);
  }

  #connected(socket) {
    const one = { socket, heads: new Map() };
    this.#sockets.add(one);
    socket.on('close', () => this.#sockets.delete(one));
    socket.on('message', (data) => this.#hear(one, JSON.parse(data)));
  }

  #hear(one, { id, method, params = [] }) {
    this.asked.push([method, params]);
    const subscribes = { chain_subscribeNewHeads: 'number', chain_subscribeFinalizedHeads: 'finalized' }[method];
    if (subscribes) {
      const name = `s${this.#subscriptions += 1}`;
      one.heads.set(name, subscribes);
      this.#send(one, { id, result: name });
      this.#announce(one, name);
      return;
    }
    const answer = this.bend(method, params, this.#answer(method, params));
    if (answer !== undefined) this.#send(one, { id, ...answer });
  }

  #answer(method, params) {
    const always = this.#chain.get(question(method, params));
    if (always) return always;
    if (method === 'chain_getBlockHash') return { result: this.#blocks.get(params[0])?.hash ?? null };
    const at = [...this.#blocks.values()].find(({ hash }) => hash === params.at(-1));
    return at?.answers.get(question(method, params.slice(0, -1))) ?? NO_SUCH_METHOD;
  }

  #announce(one, only = null) {
    for (const [subscription, kind] of one.heads) {
      if (only !== null && only !== subscription) continue;
      const number = kind === 'number' ? this.#best : this.#blocks.get(this.#best).finalized;
      const result = { number: `0x${number.toString(16)}` };
      this.#send(one, { method: 'chain_newHead', params: { subscription, result } });
    }
  }

  #send({ socket }, message) {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  }
}
