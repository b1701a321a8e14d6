// `cairn dashboard` as a program: what it says, what it serves, and how it ends.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';

import { FakeNode } from './lib/fake-node.mjs';
import { PROGRAM, browser, open, serve, stop } from './lib/stage.mjs';

const NOBODY = 'ws://127.0.0.1:1';

/** Runs the program to its end. */
const run = (...args) => spawnSync(PROGRAM, ['dashboard', ...args], { encoding: 'utf8' });

test('it says in one line where the page is, serves it without a node, and ends when asked', async () => {
  const served = await serve(NOBODY);
  assert.match(served.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  assert.equal(served.node, NOBODY);
  const answer = await fetch(served.url);
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /<meta name="cairn-node" content="ws:\/\/127\.0\.0\.1:1">/);
  assert.equal(await stop(served), 0);
  await assert.rejects(fetch(served.url), 'nobody listens any more');
  assert.equal(served.said.length, 1, served.said.join('\n'));
  assert.match(served.said[0], /^cairn: no node answers at ws:\/\/127\.0\.0\.1:1 .*the page is served/);
});

test('with every answer the browser is told to speak to the node alone', async () => {
  const served = await serve('wss://node.example/path');
  for (const path of ['', 'main.js', 'style.css', 'icon.svg', 'none']) {
    const { headers } = await fetch(served.url + path);
    const policy = headers.get('content-security-policy');
    assert.match(policy, /^default-src 'none'; /, path);
    assert.match(policy, / connect-src wss:\/\/node\.example; /, path);
    assert.match(policy, /require-trusted-types-for 'script'/, path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
  }
  await stop(served);
});

test('a port that is in use, and a node that no browser can be told, are one line', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const at = `127.0.0.1:${taken.address().port}`;
  for (const [args, words] of [
    [['--listen', at, '--node', NOBODY], [at, '--listen']],
    [['--node', 'ws://[::1]:9944'], ['IPv6', 'ws://host:port']],
    [['--node', 'ws://me:secret@127.0.0.1:1'], ['password']],
    [['--node', 'http://127.0.0.1:9944'], ['ws://host:port']],
  ]) {
    const { status, stdout, stderr } = run(...args);
    assert.equal(status, 1, stderr);
    assert.equal(stdout, '');
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
    for (const word of ['cairn: ', ...words]) assert.ok(stderr.includes(word), `${word}: ${stderr}`);
  }
  taken.close();
});

test('a node of another chain than was asked for ends it, and a page that meets one shows nothing of it', async () => {
  const other = ['--genesis', `0x${'1'.repeat(64)}`];
  const node = await new FakeNode().start();
  const ended = await serve(node.url, other);
  const [code] = ended.child.exitCode === null ? await once(ended.child, 'exit') : [ended.child.exitCode];
  assert.equal(code, 1);
  assert.equal(ended.said.length, 1, ended.said.join('\n'));
  assert.match(ended.said[0], /^cairn: .*0x1{64}/);
  await node.stop();

  const served = await serve(node.url, other);
  const { context, close } = await browser();
  const { page } = await open(context, served.url);
  await page.locator('#link.disconnected').waitFor();
  await node.start();
  await page.locator('#link.wrong-chain').waitFor();
  assert.match(await page.locator('#body').innerText(), /is of another chain \(genesis 0x6fd86f23/);
  assert.equal(await page.locator('#runs').count(), 0);
  await close();
  await stop(served);
  await node.stop();
});

test('what it listens on for others it warns of', async () => {
  const served = await serve(NOBODY, ['--listen', '0.0.0.0:0']);
  await fetch(served.url.replace('0.0.0.0', '127.0.0.1'));
  await stop(served);
  assert.ok(served.said.some((line) => line.includes('others can open the page')), served.said.join('\n'));
});

test('what it serves asks the browser for nothing that it does not serve itself', async () => {
  const node = await new FakeNode().start();
  const served = await serve(node.url);
  const seen = new Set();
  const todo = [''];
  while (todo.length > 0) {
    const name = todo.pop();
    if (seen.has(name)) continue;
    seen.add(name);
    const answer = await fetch(served.url + name);
    assert.equal(answer.status, 200, name);
    const text = await answer.text();
    const named = [...text.matchAll(/(?:src|href)="([^"#]+)"|from '([^']+)'/g)].map((match) => match[1] ?? match[2]);
    for (const one of named) {
      assert.match(one, /^(\.\/)?[a-z]+\.(js|css|svg)$/, `${name} names ${one}`);
      todo.push(one.replace('./', ''));
    }
  }
  assert.ok(seen.size > 20, `${seen.size} files`);
  await stop(served);
  await node.stop();
});
