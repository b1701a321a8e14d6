// Prints the dearest crates of a build as a Markdown table, from what `cargo build --timings` writes.
//
//     node scripts/build-table.mjs $CARGO_TARGET_DIR/cargo-timings/cargo-timing.html [ROWS]
//
// A unit's seconds are the time from its start to its end. Two ran at once on two cores, so the seconds are close to
// processor time. A crate's row adds its units up: compiling it, compiling its build script, running it.

import { readFileSync } from 'node:fs';

const [file, rows = '20'] = process.argv.slice(2);
if (!file) {
  console.error('usage: node scripts/build-table.mjs CARGO-TIMING.html [ROWS]');
  process.exit(2);
}
const data = /const UNIT_DATA = (\[[\s\S]*?\]);/.exec(readFileSync(file, 'utf8'));
if (!data) {
  console.error(`${file} holds no UNIT_DATA; is it what cargo build --timings wrote?`);
  process.exit(1);
}
const units = JSON.parse(data[1]);
const crates = new Map();
for (const { name, version, duration, mode } of units) {
  const key = `${name} ${version}`;
  const crate = crates.get(key) ?? { key, seconds: 0, script: 0, units: 0 };
  crate.seconds += duration;
  crate.units += 1;
  if (mode === 'run-custom-build') crate.script += duration;
  crates.set(key, crate);
}
const total = units.reduce((sum, { duration }) => sum + duration, 0);
console.log(`${crates.size} crates, ${units.length} units, ${total.toFixed(0)} s in all\n`);
console.log('| crate | seconds | of which its build script |');
console.log('|---|--:|--:|');
const dearest = [...crates.values()].sort((a, b) => b.seconds - a.seconds);
for (const { key, seconds, script } of dearest.slice(0, Number(rows))) {
  console.log(`| ${key} | ${seconds.toFixed(1)} | ${script >= 0.1 ? script.toFixed(1) : ''} |`);
}
