// Elements. Text goes in as text, never as markup; what is there already is changed in place, so that focus, scrolling
// and open parts stay.

const SVG = 'http://www.w3.org/2000/svg';

/** An element with attributes (null and false leave one out) and children: elements, texts, lists of both, or null. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for what is drawn. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(4)) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
  }
  return element;
}

/** Makes what is there be as what is wanted, and touches nothing else. */
export function morph(there, wanted) {
  attributes(there, wanted);
  const [old, fresh] = [[...there.childNodes], [...wanted.childNodes]];
  fresh.forEach((child, at) => {
    const before = old[at];
    if (before === undefined) there.append(child);
    else if (!alike(before, child)) before.replaceWith(child);
    else if (child.nodeType === Node.TEXT_NODE) settle(before, child);
    else morph(before, child);
  });
  for (const gone of old.slice(fresh.length)) gone.remove();
}

const alike = (one, other) => one.nodeName === other.nodeName && one.id === other.id;

function settle(there, wanted) {
  if (there.data !== wanted.data) there.data = wanted.data;
}

/** What is open stays with whoever reads. */
function attributes(there, wanted) {
  for (const { name } of [...there.attributes]) {
    if (!wanted.hasAttribute(name) && name !== 'open') there.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== 'open' && there.getAttribute(name) !== value) there.setAttribute(name, value);
  }
}

/**
 * A table in a frame that scrolls sideways by itself. `columns` are `{ head, number }`, `rows` lists of cells, of which
 * the first names the row. Where there is little room, the rows of a `tall` one become cards.
 */
export function table(caption, columns, rows, empty, { tall = false } = {}) {
  if (rows.length === 0) return h('p', { class: 'empty' }, empty);
  const named = { class: 'frame', tabindex: '0', role: 'region', 'aria-label': caption };
  return h('div', named, h(
    'table',
    { role: 'table', class: tall ? 'tall' : null },
    h('caption', {}, h('span', {}, caption)),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map(({ head, number }) =>
      h('th', { scope: 'col', role: 'columnheader', class: number ? 'number' : null }, head)))),
    h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row', class: row.mark ?? null },
      row.map((content, at) => cell(columns[at], content, at === 0))))),
  ));
}

/** A cell. Roles are said aloud, since a browser forgets them where a table is laid out as something else. */
function cell({ head, number }, content, isName) {
  const side = number ? 'number' : null;
  return isName
    ? h('th', { scope: 'row', role: 'rowheader', class: side }, content)
    : h('td', { role: 'cell', 'data-head': head, class: side }, content);
}

/** Facts as a list of names and what they are; a third member `wide` gives one the whole line. */
export function facts(pairs) {
  const shown = pairs.filter((pair) => pair !== null);
  return h('dl', { class: 'facts' }, shown.map(([name, what, size]) =>
    h('div', { class: size }, h('dt', {}, name), h('dd', {}, what))));
}

/** A hash or an address, short, with the whole of it to point at. */
export const key = (text, shown) => h('code', { title: text }, shown);

/** A part of a subnet's under its heading. */
export const section = (id, heading, ...children) => under('h3', id, heading, children);

/** A part that stands beside subnets. */
export const chapter = (id, heading, ...children) => under('h2', id, heading, children);

function under(level, id, heading, children) {
  const name = `${id}-heading`;
  return h('section', { id, 'aria-labelledby': name }, h(level, { id: name }, heading), ...children);
}
