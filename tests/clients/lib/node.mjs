// One dev node: started on free ports, stopped and cleared away at the end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** After this time a node hangs, on however busy a machine. */
const START_MS = 600_000;
const STOP_MS = 20_000;

/** So many ports that nobody listens on. All are held until all are known, so that they differ. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** A port that nobody listens on. */
export async function freePort() {
  const [port] = await freePorts(1);
  return port;
}

/** Resolves once a line of the child's output says so; rejects with its last words if it ends before. */
export function answers(child, stream, sign, name, deadline = START_MS) {
  return new Promise((resolve, reject) => {
    const said = [];
    const fail = (what) => reject(new Error(`${name} ${what}:\n${said.slice(-20).join('\n')}`));
    const late = setTimeout(() => fail(`did not answer in ${deadline / 1000} s`), deadline);
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line);
      if (!line.includes(sign)) return;
      clearTimeout(late);
      resolve();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(late);
      fail(`ended with ${code}`);
    });
  });
}

/** Asks a child to end and waits for it; one that does not listen is killed. */
export async function stop(child) {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(late);
}

/** Starts a dev node whose peers connect by WebSocket, as a light client needs it; `more` are further options. */
export async function startNode(command, more = []) {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-clients-'));
  const [rpc, p2p] = await freePorts(2);
  const child = spawn(command, [
    '--dev', '--base-path', directory, '--no-prometheus', '--no-telemetry', '--no-mdns',
    '--rpc-port', String(rpc), '--listen-addr', `/ip4/127.0.0.1/tcp/${p2p}/ws`, ...more,
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  const close = async () => {
    await stop(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await answers(child, child.stderr, 'Running JSON-RPC server', 'cairn-node');
  } catch (error) {
    await close();
    throw error;
  }
  return { ws: `ws://127.0.0.1:${rpc}`, http: `http://127.0.0.1:${rpc}`, p2p, directory, close };
}

/** One request over HTTP. */
export async function ask(http, method, params = []) {
  const answer = await fetch(http, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(120_000),
  });
  const { result, error } = await answer.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}
