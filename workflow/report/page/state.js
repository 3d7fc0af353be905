'use strict';
// What is shown, mirrored in the address: a link leads back to it.
const boards = JSON.parse(document.getElementById('data').textContent);
const state = {};

function read() {
  const text = decodeURI(location.hash.slice(1));
  const given = new URLSearchParams(text.includes('=') ? location.hash.slice(1) : '');
  const board = boards.find(found => found.id === given.get('board')) || boards[0];
  const list = name => new Set((given.get(name) || '').split(',').filter(Boolean));
  Object.assign(state, {
    at: text.includes('=') ? given.get('at') : text, board,
    cell: board && given.get('cell') in board.cells ? given.get('cell') : null,
    rows: list('without'), columns: list('without-tasks'),
    x: board && given.get('x') in board.xs ? given.get('x') : board && Object.keys(board.xs)[0],
    xlog: given.get('x-axis') !== 'linear', ylog: given.get('y-axis') !== 'linear',
    step: given.get('step'),
    tables: Object.fromEntries([...given].filter(([key]) => /^(filter|sort)-/.test(key))),
  });
}

function address() {
  const given = new URLSearchParams();
  const put = (key, value, usual) => { if (value && value !== usual) given.set(key, value); };
  put('at', state.at);
  if (state.board) {
    put('board', state.board.id, boards[0].id);
    put('cell', state.cell);
    put('without', [...state.rows].join(','));
    put('without-tasks', [...state.columns].join(','));
    put('x', state.x, Object.keys(state.board.xs)[0]);
    if (!state.xlog) given.set('x-axis', 'linear');
    if (!state.ylog) given.set('y-axis', 'linear');
    put('step', state.step);
  }
  for (const [key, value] of Object.entries(state.tables)) put(key, value);
  return '#' + given;
}

function remember() {
  const found = address();
  history.replaceState(null, '', found === '#' ? location.pathname + location.search : found);
  document.getElementById('link').href = found;
}

const shownRows = () => state.board.rows.filter(row => !state.rows.has(row.id));
const shownColumns = () => state.board.columns.filter(column => !state.columns.has(column.id));

// Element with properties and children.
function make(name, given = {}, ...children) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key in found && key !== 'style' && key !== 'list') found[key] = value;
    else found.setAttribute(key, value);
  }
  found.append(...children.filter(child => child !== null && child !== undefined));
  return found;
}

const isDark = () => matchMedia('(prefers-color-scheme: dark)').matches;
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A method's colour, lightened where it would vanish on a dark ground.
function ink(color, alpha = 1) {
  let parts = [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16));
  const light = (0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]) / 255;
  if (isDark() && light < 0.45) {
    const share = (0.45 - light) / (1 - light) + 0.1;
    parts = parts.map(part => Math.round(part + (255 - part) * share));
  }
  return `rgba(${parts.join(',')},${alpha})`;
}

function tell(text, x, y) {
  const tip = document.getElementById('tip');
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - width - 4)) + 'px';
  tip.style.top = (y + height + 24 > innerHeight ? Math.max(4, y - height - 14) : y + 18) + 'px';
}

function words(row, column) {
  const cell = state.board.cells[`${row.id}|${column.id}`];
  const facts = cell ? Object.entries(cell.facts).map(([key, value]) => `${key}: ${value}`) : ['not asked for'];
  return [`${row.name}, ${column.name}`, ...facts].join('\n');
}
