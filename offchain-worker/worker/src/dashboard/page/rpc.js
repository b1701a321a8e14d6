// JSON-RPC to one node over a WebSocket: requests with a deadline, subscriptions, and a connection that comes back.

import { Gone, Refused } from './failures.js';

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const DEADLINE_MS = 20_000;
const QUIET_MS = 45_000;
const MOST_IN_FLIGHT = 16;
const MOST_WAITING = 8_192;
const MOST_LETTERS = 16_777_216;

/** A node. `changed` is told `connecting`, `open`, `closed` (with the time until the next try) as it becomes so. */
export class Client {
  #url;
  #changed;
  #socket = null;
  #next = 1;
  #waiting = [];
  #pending = new Map();
  #handlers = new Map();
  #tries = 0;
  #heard = 0;
  #watch = null;
  #retryTimer = null;

  constructor(url, changed) {
    this.#url = url;
    this.#changed = changed;
  }

  /** Connects, and from then on connects again whenever the connection is lost. */
  connect() {
    this.#changed('connecting');
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch {
      this.#retry();
      return;
    }
    this.#socket = socket;
    const late = setTimeout(() => socket.close(), DEADLINE_MS);
    socket.onopen = () => {
      clearTimeout(late);
      this.#heard = Date.now();
      this.#watch = setInterval(() => this.#keepAlive(), QUIET_MS);
      this.#changed('open');
    };
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#hear(event.data);
    };
    socket.onclose = () => {
      clearTimeout(late);
      if (this.#socket === socket) this.#lose();
    };
  }

  /** Does not wait for the next try. */
  hurry() {
    if (this.#socket === null && this.#retryTimer) {
      clearTimeout(this.#retryTimer);
      this.#retryTimer = null;
      this.connect();
    }
  }

  /** Counts as having connected for good: the next loss is tried again soon. */
  settle() {
    this.#tries = 0;
  }

  /** Asks. Rejects with `Refused` if the node does not answer what was asked, and with `Gone` if it is not there. */
  call(method, params = []) {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= MOST_WAITING) {
        reject(new Refused(0, 'too much is being asked at a time'));
        return;
      }
      this.#waiting.push({ method, params, resolve, reject });
      this.#send();
    });
  }

  /** Subscribes; `handler` is given each notice, until the connection is lost. */
  async subscribe(method, handler) {
    const id = await this.call(method);
    this.#handlers.set(id, handler);
  }

  #send() {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      this.#drop();
      return;
    }
    while (this.#pending.size < MOST_IN_FLIGHT && this.#waiting.length > 0) {
      const { method, params, resolve, reject } = this.#waiting.shift();
      const id = this.#next;
      this.#next += 1;
      // A node that falls silent is as good as none.
      const late = setTimeout(() => this.#socket?.close(), DEADLINE_MS);
      this.#pending.set(id, { resolve, reject, late });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    }
  }

  #hear(data) {
    this.#heard = Date.now();
    const message = typeof data === 'string' && data.length <= MOST_LETTERS ? parse(data) : null;
    if (message === null) return;
    if (message.params !== null && typeof message.params === 'object' && 'subscription' in message.params) {
      this.#handlers.get(message.params.subscription)?.(message.params.result);
      return;
    }
    const asked = this.#pending.get(message.id);
    if (!asked) return;
    this.#pending.delete(message.id);
    clearTimeout(asked.late);
    if ('result' in message) {
      asked.resolve(message.result);
    } else {
      const { code, message: said } = message.error ?? {};
      asked.reject(new Refused(Number(code) || 0, typeof said === 'string' ? said : 'it does not say why'));
    }
    this.#send();
  }

  /** Asks something small if nothing came for long: its deadline closes a dead connection. */
  #keepAlive() {
    if (Date.now() - this.#heard >= QUIET_MS) this.call('system_health').catch(() => {});
  }

  #lose() {
    this.#socket = null;
    clearInterval(this.#watch);
    this.#handlers.clear();
    this.#drop();
    this.#retry();
  }

  #drop() {
    const gone = [...this.#pending.values(), ...this.#waiting];
    this.#pending.clear();
    this.#waiting = [];
    for (const { reject, late } of gone) {
      clearTimeout(late);
      reject(new Gone('the connection is gone'));
    }
  }

  #retry() {
    this.#socket = null;
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#tries, 10));
    this.#tries += 1;
    this.#changed('closed', wait);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      this.connect();
    }, wait);
  }
}

/** An object that was sent, or null. */
function parse(data) {
  try {
    const message = JSON.parse(data);
    return message !== null && typeof message === 'object' ? message : null;
  } catch {
    return null;
  }
}
