// A WebSocket with JSON-RPC on it, as small as ten thousand subscribers need it: texts in frames, nothing compressed.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

const TEXT = 0x81;

/** What a server says that does not open a WebSocket: its status line. */
export class Refused extends Error {}

/** One connection to ws://HOST:PORT. */
export class Socket {
  #stream;
  #rest = Buffer.alloc(0);
  #parts = [];
  #waiting = new Map();
  #next = 1;
  /** Called with each notification's parameters. */
  heard = () => {};

  /** Opens one. Rejects with `Refused` if the server does not want it. */
  static async open(url) {
    const { hostname, port } = new URL(url);
    const socket = new Socket();
    const stream = connect(Number(port), hostname);
    socket.#stream = stream;
    await once(stream, 'connect');
    stream.write(`GET / HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
      + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
    const status = await socket.#opened();
    if (!status.includes(' 101 ')) {
      stream.destroy();
      throw new Refused(status);
    }
    stream.on('data', (bytes) => socket.#read(bytes));
    stream.on('close', () => {
      for (const { reject } of socket.#waiting.values()) reject(new Error('the connection ended'));
    });
    stream.on('error', () => stream.destroy());
    return socket;
  }

  /** The status line of the answer; what follows its head stays to be read. */
  #opened() {
    return new Promise((resolve, reject) => {
      const stream = this.#stream;
      const read = (bytes) => {
        this.#rest = Buffer.concat([this.#rest, bytes]);
        const end = this.#rest.indexOf('\r\n\r\n');
        if (end < 0) return;
        stream.off('data', read);
        const [status] = this.#rest.subarray(0, end).toString().split('\r\n');
        this.#rest = this.#rest.subarray(end + 4);
        resolve(status);
      };
      stream.on('data', read);
      stream.once('error', reject);
      stream.once('close', () => reject(new Refused('the connection was closed')));
    });
  }

  #read(bytes) {
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, bytes]) : bytes;
    for (;;) {
      const rest = this.#rest;
      if (rest.length < 2) return;
      let [length, at] = [rest[1] & 0x7f, 2];
      if (length === 126) {
        if (rest.length < 4) return;
        [length, at] = [rest.readUInt16BE(2), 4];
      } else if (length === 127) {
        if (rest.length < 10) return;
        [length, at] = [Number(rest.readBigUInt64BE(2)), 10];
      }
      if (rest.length < at + length) return;
      this.#frame(rest[0], rest.subarray(at, at + length));
      this.#rest = rest.subarray(at + length);
    }
  }

  #frame(head, body) {
    const kind = head & 0x0f;
    if (kind === 9) this.#send(0x8a, body);
    if (kind > 2) return;
    this.#parts.push(body);
    if (!(head & 0x80)) return;
    const message = JSON.parse(Buffer.concat(this.#parts).toString());
    this.#parts = [];
    const call = this.#waiting.get(message.id);
    if (!call) return this.heard(message.params);
    this.#waiting.delete(message.id);
    call.resolve(message);
  }

  #send(head, body) {
    const mask = randomBytes(4);
    const start = body.length < 126
      ? Buffer.from([head, 0x80 | body.length])
      : Buffer.from([head, 0x80 | 126, body.length >> 8, body.length & 0xff]);
    const masked = Buffer.from(body);
    for (let at = 0; at < masked.length; at += 1) masked[at] ^= mask[at & 3];
    this.#stream.write(Buffer.concat([start, mask, masked]));
  }

  /** Asks, and gives the whole answer, whether a result or an error. */
  ask(method, params = []) {
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send(TEXT, Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params })));
    });
  }

  close() {
    this.#stream.destroy();
  }
}
