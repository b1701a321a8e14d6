// Runs devnets, watches them, and prints two tables in Markdown: what honest members spent in a round, in real seconds
// and in bytes, and what miners proved. docs/evidence.md has them, beside the simulator's.
//
//   CAIRN_BIN=… CAIRN_NODE_BIN=… node scripts/devnet-evidence.mjs [--page FILE] [--keep DIR] [OPTIONS]
//
// `make evidence` builds both programs and runs it. Options are passed on to `cairn devnet`. Without any there are two
// devnets, one after the other: one without a cheat, of which the costs are, and one with a cheat of each kind; what
// miners proved is of both. With --page the tables go into that page, between their marks. With --keep all that the
// devnets had stays in an empty directory, with evidence.json, what was seen; `--read FILE` makes the tables of such a
// file again, and runs nothing.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { account } from './evidence/read.mjs';
import { costs, insert, isCheat, premiums, shares, wrapped } from './evidence/tables.mjs';
import { watch } from './evidence/watch.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { CAIRN_BIN: CAIRN, CAIRN_NODE_BIN: NODE } = process.env;
const USUAL = [['--rounds', '16', '--cheats', '0'], ['--rounds', '16', '--cheats', '4']];
const SHOWN_BYTES = 1 << 28;

/** Takes an option with its value out of the arguments. */
function taken(words, name) {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words.splice(at, 2)[1];
}

/** Runs the devnet to its end and watches it meanwhile; gives its report and what was seen. */
async function play(directory, options) {
  const report = join(directory, 'report.json');
  const kept = join(directory, 'devnet');
  // A program that cannot serve them runs all the same: then there are no seconds.
  const help = execFileSync(CAIRN, ['devnet', '--help'], { encoding: 'utf8' });
  const metrics = help.includes('--serve-metrics') ? ['--serve-metrics'] : [];
  const child = spawn(CAIRN, [
    'devnet', ...options, ...metrics, '--node-bin', NODE, '--keep', kept, '--json', report,
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  // Ctrl-C reaches the devnet, too, which stops all that it started.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const said = { loads: [] };
  let watching;
  let over = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    console.error(line);
    said.http ??= /^ +node +ws(:\S+),/.exec(line)?.[1];
    const netuid = /^ +subnet +(\d+),/.exec(line)?.[1];
    if (netuid) {
      const place = { directory: kept, http: `http${said.http}`, netuid: Number(netuid) };
      watching ??= watch(place, () => over);
    }
    if (/^ +\d+ +\d/.test(line)) said.loads.push(loadavg()[0]);
  });
  const [code] = await once(child, 'exit');
  over = true;
  if (code !== 0) throw new Error(`cairn devnet ended with ${code}`);
  return { kept, loads: said.loads, report: JSON.parse(await readFile(report, 'utf8')), ...(await watching) };
}

/** Who took part: by name, and what kind of member it is. */
async function members(kept, report) {
  const names = await readdir(join(kept, 'members'));
  return Promise.all(names.map(async (name) => {
    const { hotkey } = JSON.parse(await readFile(join(kept, 'members', name, 'status.json'), 'utf8'));
    const found = report.members.find((member) => member.hotkey === hotkey);
    return { name, hotkey, uid: found.uid, kind: found.role === 'cheat' ? found.behaviour : found.role };
  }));
}

/** A validator's account of a miner as of a round, or of the newest; nothing if its log has nothing of that. */
async function explained(state, uid, round) {
  const words = ['validate', 'explain', '--uid', String(uid), '--state-dir', state, '--json'];
  if (round !== undefined) words.push('--round', String(round));
  const said = await promisify(execFile)(CAIRN, words, { maxBuffer: SHOWN_BYTES }).catch(() => undefined);
  return said && JSON.parse(said.stdout);
}

/** What each validator's log says that each miner had proven, after so many rounds from its first on. */
async function proven(kept, all) {
  const found = [];
  for (const validator of all.filter(({ kind }) => kind === 'validator')) {
    const state = join(kept, 'members', validator.name);
    for (const { name, uid, kind } of all.filter((member) => member.kind !== 'validator')) {
      const newest = (await explained(state, uid))?.round ?? -1;
      for (let round = 0; round <= newest; round += 1) {
        const account = (await explained(state, uid, round))?.account;
        if (!account) continue;
        const { premium, factor, first } = account;
        found.push({ validator: validator.name, name, kind, round, after: round - first + 1, premium, factor });
      }
    }
  }
  return found;
}

/** All of it, of rounds that are over. */
async function seen(directory, options) {
  const { kept, report, work, bytes, rate, loads } = await play(directory, options);
  const all = await members(kept, report);
  const entries = (member) => report.rounds.map(({ round }) => ({
    processor: 0, steps: 0, again: 0, stages: {}, ...work[member.name]?.[round],
    round, bytes: bytes[account(member.hotkey)]?.[round] ?? 0,
  }));
  return {
    options,
    version: execFileSync(CAIRN, ['--version'], { encoding: 'utf8' }).trim(),
    machine: `${cpus().length} × ${cpus()[0].model}`,
    load: [Math.min(...loads), Math.max(...loads)],
    rate,
    rounds: report.rounds,
    wall_seconds: report.wall_seconds,
    audits: report.audits,
    members: all,
    work: Object.fromEntries(all.map((member) => [member.name, entries(member)])),
    premiums: await proven(kept, all),
  };
}

/** What a devnet was and where it ran, in words. */
function told(found) {
  const count = (kind) => found.members.filter((member) => member.kind === kind).length;
  const cheats = found.members.map(({ kind }) => kind).filter(isCheat);
  const [least, most] = found.load.map((load) => load.toFixed(1));
  return wrapped(
    `Seen with \`cairn devnet ${found.options.join(' ')}\`: ${count('miner')} honest miners, ${count('validator')} `
    + `validators, ${cheats.length ? cheats.map((kind) => `\`${kind}\``).join(', ') : 'no cheat'}; `
    + `${found.rounds.length} rounds in ${Math.round(found.wall_seconds)} s, on ${found.machine}, with a load of `
    + `${least} to ${most}.`,
  );
}

/** The tables and what they are of. */
async function text(devnets) {
  const of = (name) => readFile(join(ROOT, 'docs', name), 'utf8');
  const pages = { security: await of('security.md'), operators: await of('operators.md') };
  const all = (key) => devnets.flatMap((found) => found[key]);
  const [first, ...others] = devnets;
  return [
    '### What it costs the honest', '', told(first), '', costs(first, pages), '', shares(first), '',
    '### What honest miners prove', '', [`Seen in the devnet above${others.length > 0 ? ', and in one more' : ''}.`, ...others.map(told)].join('\n'), '',
    premiums({ members: all('members'), premiums: all('premiums') }, pages),
  ].join('\n');
}

const words = process.argv.slice(2);
const [page, keep, read] = ['--page', '--keep', '--read'].map((name) => taken(words, name));
const directory = keep ? resolve(keep) : await mkdtemp(join(tmpdir(), 'cairn-evidence-'));
try {
  if (!read && (!CAIRN || !NODE)) throw new Error('name both programs by CAIRN_BIN and CAIRN_NODE_BIN');
  const devnets = read ? JSON.parse(await readFile(read, 'utf8')) : [];
  for (const [nth, options] of (read ? [] : words.length > 0 ? [words] : USUAL).entries()) {
    const place = join(directory, String(nth + 1));
    await mkdir(place, { recursive: true });
    devnets.push(await seen(place, options));
  }
  if (keep) await writeFile(join(directory, 'evidence.json'), `${JSON.stringify(devnets, null, 1)}\n`);
  const made = await text(devnets);
  if (page) await writeFile(page, insert(await readFile(page, 'utf8'), made));
  console.log(made);
} catch (error) {
  console.error(`devnet-evidence: ${error.message}`);
  process.exitCode = 1;
} finally {
  if (!keep) await rm(directory, { recursive: true, force: true });
}
