// What came out beside what was expected, and the table of it.

export const STEPS = ['connect', 'storage', 'runtime-api', 'state-call', 'rpc', 'transfer', 'block', 'heads'];

/** The lines of one client as `{ version, steps }`; a step without a line failed. */
export function gather(lines, why) {
  const steps = {};
  for (const step of STEPS) {
    const line = lines.find((each) => each.step === step);
    if (!line) steps[step] = { fails: why };
    else if (line.ok === true) steps[step] = 'ok';
    else if (line.ok === null) steps[step] = { absent: line.detail };
    else steps[step] = { fails: line.detail };
  }
  return { version: lines[0]?.version ?? '', steps };
}

const kind = (result) => (typeof result === 'string' ? result : Object.keys(result)[0]);
const words = { ok: 'it works', fails: 'it fails', absent: 'the client cannot do it' };
const say = (result) => (result === 'ok' ? words.ok : `${words[kind(result)]}: ${Object.values(result)[0]}`);

/** What differs from what was expected, one line each. Why something fails has to be the same, too. */
export function differences(client, found, expected) {
  if (!expected) return [`${client}: expected.json says nothing of it`];
  const list = [];
  if (found.version !== expected.version) {
    list.push(`${client}: expected version ${expected.version}, found ${found.version || 'none'}`);
  }
  for (const step of STEPS) {
    const [is, was] = [found.steps[step], expected.steps[step]];
    const same = was !== undefined && kind(is) === kind(was) && (is === 'ok' || is[kind(is)] === was[kind(was)]);
    if (!same) list.push(`${client}, ${step}: expected that ${was ? say(was) : 'nothing is said'}; now ${say(is)}`);
  }
  return list;
}

/** A line of words as lines of at most `width` columns. */
function wrap(text, width, indent) {
  const lines = [''];
  for (const word of text.split(' ')) {
    if (lines.at(-1) !== '' && `${lines.at(-1)} ${word}`.length > width) lines.push(indent + word);
    else lines[lines.length - 1] += (lines.at(-1) === '' ? '' : ' ') + word;
  }
  return lines;
}

/** The table, and below it one line for each step that does not work. */
export function table(results) {
  const cell = { ok: 'yes', fails: '**no**', absent: '–' };
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const lines = [row(['client', 'version', ...STEPS]), row(['---', '---', ...STEPS.map(() => '---')])];
  const notes = [];
  for (const [client, { version, steps }] of Object.entries(results)) {
    lines.push(row([client, version, ...STEPS.map((step) => cell[kind(steps[step])])]));
    for (const step of STEPS.filter((each) => steps[each] !== 'ok')) {
      const why = Object.values(steps[step])[0].replaceAll('<', '&lt;').replaceAll('|', '/');
      notes.push(...wrap(`- ${client}, ${step}: ${why}`, 110, '  '));
    }
  }
  return [...lines, '', ...notes].join('\n');
}

/** Puts the table between its marks in a page. */
export function insert(page, text) {
  const [begin, end] = ['<!-- made by `make clients`: do not edit -->', '<!-- end -->'];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no "${begin}" … "${end}"`);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}
