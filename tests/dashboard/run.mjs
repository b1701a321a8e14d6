// Runs the tests of the page in a headless browser, against the program that CAIRN_BIN names, else `cairn`.
//
//   node tests/dashboard/run.mjs [--pictures]
//
// CAIRN_NODE_BIN names the node that the light client is tried with; without it, those tests are left out. `--pictures`
// takes the pictures in docs/dashboard anew. CAIRN_CHROMIUM names the browser; without it, it is /usr/bin/chromium.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const SETUP_MS = 600_000;
const TESTS = ['program', 'page', 'broken', 'people', 'steps', 'losses', 'needs', 'light', 'pictures'];
/** Makes something on a chain for the light client to read. */
const POLKADOT_JS = join(HERE, '../clients/polkadot-js');

/** Installs what the lock file of a directory says, unless that was done. */
function install(directory) {
  const lock = join(directory, 'package-lock.json');
  const [done, wanted] = [join(directory, 'node_modules/made-of'), readFileSync(lock, 'utf8')];
  if (existsSync(done) && readFileSync(done, 'utf8') === wanted) return;
  rmSync(join(directory, 'node_modules'), { recursive: true, force: true });
  const command = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  execFileSync('npm', command, { cwd: directory, timeout: SETUP_MS, stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(done, wanted);
}

install(HERE);
if (process.env.CAIRN_NODE_BIN) install(POLKADOT_JS);
const files = TESTS.map((name) => join(HERE, `${name}.test.mjs`));
const env = { ...process.env, CAIRN_PICTURES: process.argv.includes('--pictures') ? '1' : '' };
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], { env, stdio: 'inherit' });
process.exit(status ?? 1);
