// Charts drawn by hand. Each has a text that says the same; the numbers are in a table beside it.

import { h, s } from './dom.js';

const HEIGHT = 200;
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 8, 10, 26];
const LABEL_HEIGHT = 15;

/** How wide a chart is: as the column that it stands in, so that its letters keep their size. */
export function width() {
  const column = document.getElementById('main')?.clientWidth ?? 640;
  return Math.max(260, Math.min(column, 1080) - 34);
}

const sized = (wide) => ({ viewBox: `0 0 ${wide} ${HEIGHT}`, width: wide, height: HEIGHT });

/** A chart with its title, its words, and what the colours mean. */
function figure(id, title, words, legend, wide, drawn) {
  return h(
    'figure',
    { id },
    h('figcaption', {}, h('strong', {}, title), ' ', h('span', { class: 'words' }, words)),
    s(
      'svg',
      { ...sized(wide), role: 'img', 'aria-label': `${title}. ${words}` },
      drawn,
    ),
    legend.length === 0 ? null : h('ul', { class: 'legend' }, legend.map(([mark, name]) =>
      h('li', {}, s('svg', { class: 'swatch', viewBox: '0 0 12 12', width: 12, height: 12, 'aria-hidden': 'true' },
        s('rect', { class: mark, width: 12, height: 12 })), name))),
  );
}

/** Lines across with what they stand for: `marks` are pairs of a height from 0 to 1 and a text. */
function grid(wide, marks) {
  return marks.map(([height, name]) => {
    const y = TOP + (1 - height) * (HEIGHT - TOP - BOTTOM);
    return [
      s('line', { class: 'grid', x1: LEFT, x2: wide - RIGHT, y1: y, y2: y }),
      s('text', { class: 'tick', x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, name),
    ];
  });
}

/** Names below, as many as there is room for. `place` gives the middle of each. */
function ticks(wide, names, place) {
  const step = Math.max(1, Math.ceil((names.length * 44) / (wide - LEFT - RIGHT)));
  return names.map((name, at) => (at % step > 0 ? null : s(
    'text', { class: 'tick', x: place(at), y: HEIGHT - 8, 'text-anchor': 'middle' }, name)));
}

/** Bars of parts on each other. `bars` are `{ name, parts }`, parts numbers from 0 to 1 in the order of `legend`. */
export function stacked(id, { title, words, legend, marks, bars }) {
  const wide = width();
  const step = (wide - LEFT - RIGHT) / Math.max(1, bars.length);
  const thick = Math.max(2, Math.min(36, step - 2));
  const place = (at) => LEFT + step * (at + 0.5);
  const tall = HEIGHT - TOP - BOTTOM;
  const drawn = bars.map(({ parts }, at) => {
    let below = 0;
    return parts.map((part, kind) => {
      const y = TOP + (1 - below - part) * tall;
      below += part;
      return s('rect', { class: legend[kind][0], x: place(at) - thick / 2, y, width: thick, height: part * tall });
    });
  });
  const names = bars.map((bar) => bar.name);
  return figure(id, title, words, legend, wide, [grid(wide, marks), drawn, ticks(wide, names, place)]);
}

/**
 * Lines that are named at their end. `series` are `{ name, points }`, points pairs of a place among `names` and of a
 * height from 0 to 1.
 */
export function lines(id, { title, words, marks, names, series }) {
  const wide = width();
  const room = 54;
  const [step, tall] = [(wide - LEFT - RIGHT - room) / Math.max(1, names.length - 1), HEIGHT - TOP - BOTTOM];
  const [x, y] = [(at) => LEFT + step * at, (height) => TOP + (1 - height) * tall];
  const ends = apart(series.map(({ points }) => y(points.at(-1)?.[1] ?? 0)));
  const drawn = series.map(({ name, points }, kind) => {
    if (points.length === 0) return null;
    const path = points.map(([at, height], nth) =>
      `${nth === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(height).toFixed(1)}`);
    const [lastAt, last] = points.at(-1);
    return [
      s('path', { class: `line s${kind}`, d: path.join('') }),
      s('circle', { class: `dot s${kind}`, cx: x(lastAt), cy: y(last), r: 3 }),
      s('text', { class: `end s${kind}`, x: x(lastAt) + 7, y: ends[kind] + 4 }, name),
    ];
  });
  return figure(id, title, words, [], wide, [grid(wide, marks), drawn, ticks(wide - room, names, x)]);
}

/** Heights moved so far that what is written there does not overlap. */
function apart(heights) {
  const order = heights.map((height, at) => ({ height, at })).sort((one, other) => one.height - other.height);
  let least = TOP - 2;
  for (const one of order) {
    one.height = Math.max(one.height, least);
    least = one.height + LABEL_HEIGHT;
  }
  const over = Math.max(0, least - LABEL_HEIGHT - (HEIGHT - BOTTOM));
  const moved = [];
  for (const { height, at } of order) moved[at] = height - over;
  return moved;
}

/** How far a round is: its phases side by side, and where the present block is. `now` is from 0 to 1. */
export function progress(phases, now, words) {
  const wide = width();
  const total = phases.reduce((sum, phase) => sum + phase.blocks, 0);
  let from = 0;
  const drawn = phases.map(({ name, blocks, isNow }) => {
    const [x, long] = [(from / total) * wide, (blocks / total) * wide];
    from += blocks;
    return [
      s('rect', { class: `phase${isNow ? ' now' : ''}`, x: x + 1, y: 20, width: Math.max(1, long - 2), height: 16 }),
      long < 44 ? null : s('text', { class: `tick${isNow ? ' now' : ''}`, x: x + 3, y: 14 }, name),
    ];
  });
  const at = Math.max(1, Math.min(wide - 1, now * wide));
  return s(
    'svg',
    { class: 'progress', viewBox: `0 0 ${wide} 42`, width: wide, height: 42, role: 'img', 'aria-label': words },
    drawn,
    s('rect', { class: 'done', x: 0, y: 38, width: at, height: 4 }),
  );
}
