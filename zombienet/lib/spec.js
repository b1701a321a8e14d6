// Makes a specification of a chain that hurries: a block in a second, and referenda that take half a minute.
//
//   node spec.js < local.json > quick.json

const { readFileSync } = require('node:fs');

const spec = JSON.parse(readFileSync(0, 'utf8'));
const genesis = spec.genesis.runtimeGenesis.patch;
genesis.blockTime.milliseconds = 1000;
genesis.governance.hurry = 7200;
spec.name = 'Cairn in a hurry';
spec.id = 'cairn_quick';
process.stdout.write(JSON.stringify(spec, null, 2));
