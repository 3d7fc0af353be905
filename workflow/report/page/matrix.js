// The matrix, what is shown of it, and what a click on a cell opens.
function swatch(row) {
  return make('span', { className: 'swatch' + (row.dash ? ' dash' : ''), style: `border-color:${ink(row.color)}` });
}

function toggles(title, items, hidden, mark) {
  const count = items.filter(item => !hidden.has(item.id)).length;
  const box = make('details', { open: !!openToggles[title] },
    make('summary', {}, `${title}: ${count} of ${items.length} shown`));
  box.addEventListener('toggle', () => { openToggles[title] = box.open; });
  const set = wanted => { hidden.clear(); items.forEach(item => { if (!wanted(item)) hidden.add(item.id); }); draw(); };
  const bar = make('div', { className: 'bar' },
    make('button', { type: 'button', onclick: () => set(() => true) }, 'all'),
    make('button', { type: 'button', onclick: () => set(() => false) }, 'none'));
  if (items.some(item => item.emphasis)) {
    bar.append(make('button', { type: 'button', onclick: () => set(item => item.emphasis) }, 'emphasised'));
    bar.append(make('button', { type: 'button', onclick: () => set((item => items.indexOf(item) < 8)) }, 'first eight'));
  }
  const chips = make('div', { className: 'chips' });
  for (const item of items) {
    const input = make('input', { type: 'checkbox', checked: !hidden.has(item.id), value: item.id });
    input.addEventListener('change', () => {
      input.checked ? hidden.delete(item.id) : hidden.add(item.id);
      draw();
      document.querySelector(`.chips input[value="${CSS.escape(item.id)}"]`)?.focus();
    });
    chips.append(make('label', { title: item.kind || item.note || '' }, input, mark ? mark(item) : null, item.name));
  }
  box.append(bar, chips);
  return box;
}
const openToggles = {};

function choice(title, options, chosen, choose) {
  const box = make('fieldset', {}, make('legend', {}, title));
  for (const [id, name] of options) {
    box.append(make('button', { type: 'button', 'aria-pressed': String(id === chosen), 'data-choice': `${title}:${id}`,
      onclick: () => { choose(id); draw(); document.querySelector(`[data-choice="${title}:${id}"]`)?.focus(); } }, name));
  }
  return box;
}

function drawBoard() {
  const place = document.getElementById('boards');
  if (!place || !state.board) return;
  const { board } = state;
  const nodes = [];
  if (boards.length > 1) {
    nodes.push(make('div', { className: 'bar' }, choice('Show', boards.map(b => [b.id, b.title]), board.id, id => {
      Object.assign(state, { board: boards.find(b => b.id === id), cell: null, x: null, step: null });
      state.x = Object.keys(state.board.xs)[0];
    })));
  }
  nodes.push(make('p', {}, board.note), toggles('Methods', board.rows, state.rows, swatch),
    toggles('Tasks', board.columns, state.columns), matrix(board), detail(board));
  place.replaceChildren(...nodes.filter(Boolean));
}

function matrix(board) {
  const columns = shownColumns();
  const head = make('tr', {}, make('th', { scope: 'col' }, 'method'), make('th', { scope: 'col' }, board.score));
  for (const column of columns) {
    head.append(make('th', { scope: 'col', title: column.note },
      make('button', { type: 'button', title: `${column.name}: to its curves`, onclick: () => toPlot(column.id) }, column.name)));
  }
  const body = make('tbody');
  shownRows().forEach((row, r) => {
    const line = make('tr', {}, make('th', { scope: 'row', title: row.name }, swatch(row), ' ' + row.name),
      make('td', { className: 'score' }, row.score));
    columns.forEach((column, c) => {
      const id = `${row.id}|${column.id}`;
      const cell = board.cells[id];
      const button = make('button', { type: 'button', tabIndex: r || c ? -1 : 0, 'data-cell': id, 'data-at': `${r},${c}`,
        'aria-label': `${row.name}, ${column.name}: ${cell ? cell.text : 'not asked for'}` }, cell ? cell.text : '');
      if (!cell) button.style.visibility = 'hidden';
      else if (cell.shade !== null) {
        const [near, far] = ['--near', '--far'].map(name => style(name).split(',').map(Number));
        const mixed = far.map((value, i) => Math.round(value + (near[i] - value) * cell.shade));
        button.style.background = `rgb(${mixed})`;
        button.style.color = cell.shade > 0.45 ? '#fff' : '#1b2530';
      }
      button.classList.toggle('chosen', id === state.cell);
      button.addEventListener('click', () => { state.cell = state.cell === id ? null : id; draw(); showDetail(id); });
      button.addEventListener('mousemove', event => tell(words(row, column), event.clientX, event.clientY));
      button.addEventListener('focus', () => { const at = button.getBoundingClientRect();
        if (button.matches(':focus-visible')) tell(words(row, column), at.right, at.bottom); });
      button.addEventListener('mouseleave', () => tell(''));
      button.addEventListener('blur', () => tell(''));
      line.append(make('td', {}, button));
    });
    body.append(line);
  });
  const box = make('div', { className: 'box matrix' }, make('table', {}, make('thead', {}, head), body));
  box.addEventListener('keydown', walk);
  return box;
}

// Arrows walk over the cells; one of them is in the order of tabs.
function walk(event) {
  const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const from = event.target.dataset.at;
  if (!by || !from) return;
  event.preventDefault();
  let [r, c] = from.split(',').map(Number);
  let next;
  do {
    r += by[0]; c += by[1];
    next = event.currentTarget.querySelector(`[data-at="${r},${c}"]`);
  } while (next && next.style.visibility === 'hidden');
  if (!next) return;
  event.currentTarget.querySelectorAll('[data-at][tabindex="0"]').forEach(other => { other.tabIndex = -1; });
  next.tabIndex = 0;
  next.focus();
}

function showDetail(id) {
  tell('');
  const panel = document.getElementById('detail');
  if (panel) { panel.scrollIntoView({ block: 'nearest' }); panel.querySelector('h3').focus({ preventScroll: true }); }
  else document.querySelector(`[data-cell="${CSS.escape(id)}"]`)?.focus();
}

function detail(board) {
  if (!state.cell) return null;
  const [rowId, columnId] = state.cell.split('|');
  const row = board.rows.find(found => found.id === rowId);
  const column = board.columns.find(found => found.id === columnId);
  const facts = make('dl');
  for (const [key, value] of Object.entries(board.cells[state.cell].facts)) {
    facts.append(make('dt', {}, key), make('dd', {}, value));
  }
  const close = () => { const id = state.cell; state.cell = null; draw(); showDetail(id); };
  return make('div', { id: 'detail' },
    make('h3', { tabIndex: -1 }, `${row.name} on ${column.name} `, make('button', { type: 'button', onclick: close }, 'close')),
    make('div', { className: 'pair' },
      make('div', {}, axesBar(), plotPlace(column, 320, rowId)),
      make('div', {}, facts, pictureRow(board, column, [rowId]))));
}
