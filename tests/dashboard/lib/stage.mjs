// What every test needs: `cairn dashboard`, a headless browser, and a page of it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CAIRN_CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--font-render-hinting=none', '--hide-scrollbars',
];
/** Sizes that pictures are taken of. */
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

/** The program: what `CAIRN_BIN` names, else the `cairn` that a shell finds. */
export const PROGRAM = process.env.CAIRN_BIN || 'cairn';

/** Serves the page for a node: `{ url, child, said }`. */
export async function serve(node, args = []) {
  const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const child = spawn(PROGRAM, ['dashboard', '--node', node, '--json', ...listen, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: process.env.HOME },
  });
  const said = [];
  createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, 'line'),
    // What cannot be started says so as an error.
    once(child, 'exit').then(([code]) => { throw new Error(`cairn dashboard ended with ${code}: ${said.join(' ')}`); }),
  ]);
  return { ...JSON.parse(line), child, said };
}

/** Asks a program to end, and gives the code that it ends with. */
export async function stop({ child }) {
  const gone = once(child, 'exit');
  child.kill('SIGINT');
  const [code] = await gone;
  return code;
}

/** A browser of its own, with nothing kept from before. */
export async function browser() {
  const profile = mkdtempSync(join(tmpdir(), 'cairn-dashboard-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM, args: FLAGS, ignoreDefaultArgs: ['--enable-automation'], headless: true,
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}

/** Opens an address, and gathers whatever the browser finds wrong. */
export async function open(context, url, { size = DESKTOP, scheme = 'light' } = {}) {
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // A node that is away is no fault of the page.
    const isAway = message.text().includes('WebSocket connection to');
    if (['error', 'warning'].includes(message.type()) && !isAway) faults.push(message.text());
  });
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
  await page.goto(url);
  return { page, faults };
}

/** What can be read in a part of the page, with plain spaces. */
export const words = async (page, selector) => plain(await page.locator(selector).innerText());

/** A text with plain spaces. */
export const plain = (text) => text.replaceAll('\u00a0', ' ');

/** Waits until the page shows this block. */
export const untilBlock = (page, number) =>
  page.waitForFunction((wanted) => document.querySelector('#top .block')?.textContent === wanted, String(number));

/** A node, the program that serves a page for it, and a browser; all end with `close`. */
export async function stage(node, args = []) {
  const served = await serve(node.url, args);
  const { context, close: closeBrowser } = await browser();
  const close = async () => {
    await closeBrowser();
    await stop(served);
    await node.stop();
  };
  return { node, served, context, url: served.url, close };
}
