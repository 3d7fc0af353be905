// Live plots: one per task, all methods; the strong in colour with intervals, the others thin.
function axesBar() {
  const { board } = state;
  const bar = make('div', { className: 'bar' });
  if (Object.keys(board.xs).length > 1) bar.append(choice('over', Object.entries(board.xs), state.x, id => { state.x = id; }));
  const kinds = [['log', 'log'], ['linear', 'linear']];
  bar.append(choice('x', kinds, state.xlog ? 'log' : 'linear', id => { state.xlog = id === 'log'; }),
    choice('y', kinds, state.ylog ? 'log' : 'linear', id => { state.ylog = id === 'log'; }));
  return bar;
}

function drawCurves() {
  const place = document.getElementById('curves-here');
  if (!place || !state.board) return;
  const grid = make('div', { className: 'plots' }, ...shownColumns().map(column => plotPlace(column, 240)));
  place.replaceChildren(axesBar(), make('p', {}, 'Medians over seeds with their 95 % intervals; the axis is the rivals’, '
    + 'oracles may leave it below. Point at a curve for its numbers, click it to open its cell.'), grid);
}

// Plots are drawn when they come into sight.
const seen = new IntersectionObserver(entries => entries.forEach(entry => {
  if (!entry.isIntersecting) return;
  seen.unobserve(entry.target);
  entry.target.plotted();
}), { rootMargin: '300px' });

function plotPlace(column, height, only = null) {
  const place = make('div', { className: 'plot', 'data-plot': column.id },
    make('h3', {}, column.name, ' ', make('small', {}, column.note)));
  place.plotted = () => plot(place, column, height, only);
  seen.observe(place);
  return place;
}

function toPlot(id) {
  document.querySelector(`#curves-here [data-plot="${CSS.escape(id)}"]`)?.scrollIntoView();
}

// The curves of a column as {row, strong, points: [x, middle, low, high]}, the strong last so that they lie on top.
function curvesOf(column, only) {
  const shown = shownRows().filter(row => state.board.cells[`${row.id}|${column.id}`]?.curves[state.x]);
  if (only && !shown.some(row => row.id === only)) shown.push(state.board.rows.find(row => row.id === only));
  const few = shown.length <= 12;
  const log = state.ylog && column.log;
  return shown.map((row, place) => {
    const given = state.board.cells[`${row.id}|${column.id}`].curves[state.x];
    const strong = only ? row.id === only : few || row.emphasis > 0 || place < 4;
    if (!given) return null;
    const keep = given[0].map((x, i) => x !== null && (!state.xlog || x > 0) ? i : -1).filter(i => i >= 0);
    const clean = value => value === null || (log && value <= 0) ? null : value;
    return { row, strong, points: [keep.map(i => given[0][i]), ...given.slice(1).map(line => keep.map(i => clean(line[i])))] };
  }).filter(line => line && line.points[1].some(value => value !== null)).sort((a, b) => a.strong - b.strong);
}

// Ends of y: what rivals show, at most ten times the start where the board measures gaps.
function span(lines, log, capped) {
  const rivals = lines.filter(line => line.row.kind !== 'oracle');
  const values = (rivals.length ? rivals : lines).flatMap(line => line.points[1]).filter(value => value !== null);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (capped) high = Math.min(high, 10);
  if (log) return [low / 1.25, Math.max(high, low * 1.5) * 1.25];
  const room = (high - low || 1) * 0.05;
  return [low - room, high + room];
}

function plot(place, column, height, only) {
  const lines = curvesOf(column, only);
  if (!lines.length) {
    place.append(make('p', { className: 'fault' }, `No method that is shown has a curve over ${state.board.xs[state.x]} here.`));
    return;
  }
  const log = state.ylog && column.log;
  const [low, high] = span(lines, log, state.board.id === 'runs');
  const series = [{}], tables = [], bands = [];
  for (const line of lines) {
    const color = line.strong ? ink(line.row.color) : ink(line.row.color, 0.45);
    series.push({ label: line.row.name, stroke: color, width: line.strong ? 2 : 1, dash: line.row.dash ? [6, 4] : [],
      points: { show: false } });
    tables.push([line.points[0], line.points[1]]);
    line.index = series.length - 1;
    if (!line.strong) continue;
    for (const bound of [3, 2]) {
      series.push({ stroke: 'transparent', width: 0, points: { show: false } });
      tables.push([line.points[0], line.points[bound]]);
    }
    bands.push({ series: [series.length - 2, series.length - 1], fill: ink(line.row.color, 0.13) });
  }
  // Powers of ten, with 2 and 5 where there are few of them.
  const splits = (u, index, from, to) => {
    const found = [];
    const parts = Math.log10(to / from) < 2 ? [1, 2, 5] : [1];
    const every = Math.max(1, Math.round(Math.log10(to / from) / 5));
    for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++) {
      if (power % every === 0) found.push(...parts.map(part => part * 10 ** power).filter(tick => tick >= from && tick <= to));
    }
    return found;
  };
  const axis = (label, isLog) => ({ ...(isLog ? { splits, filter: (_, ticks) => ticks } : {}), stroke: style('--soft'), grid: { stroke: style('--line'), width: 1 }, ticks: { stroke: style('--line') },
    label, labelSize: 16, font: '11px system-ui', labelFont: '11px system-ui',
    values: (_, ticks) => ticks.map(tick => tick === null ? '' : Number(tick.toPrecision(3)) === 0 ? '0'
      : Math.abs(tick) >= 1e5 || Math.abs(tick) < 1e-3 ? tick.toExponential(0) : String(Number(tick.toPrecision(3)))) });
  const found = new uPlot({
    width: place.clientWidth, height, series, bands, legend: { show: false },
    cursor: { drag: { x: true, y: true, uni: 20 }, points: { show: false } }, focus: { alpha: 0.25 },
    scales: { x: { time: false, distr: state.xlog ? 3 : 1, range: (_, from, to) => [from, to] },
      y: { distr: log ? 3 : 1, range: (u, from, to) => u.zoomed ? [from, to] : [low, high] } },
    axes: [{ ...axis(state.board.xs[state.x], state.xlog), size: 30 }, { ...axis(column.y || state.board.y, log), size: 52 }],
    hooks: { setSelect: [u => { u.zoomed = u.select.width > 0; }] },
  }, uPlot.join(tables), place);
  point(found, lines, column);
  place.chart = found;
}

// Numbers of the nearest curve where the mouse is; a click opens its cell, a double click shows all again.
function point(chart, lines, column) {
  let near = null;
  const find = event => {
    const at = chart.over.getBoundingClientRect();
    const [x, y] = [event.clientX - at.left, event.clientY - at.top];
    near = null;
    let least = 30 ** 2;
    for (const line of lines) {
      line.points[0].forEach((value, i) => {
        if (line.points[1][i] === null) return;
        const away = (chart.valToPos(value, 'x') - x) ** 2 + (chart.valToPos(line.points[1][i], 'y') - y) ** 2;
        if (away < least) { least = away; near = { line, i }; }
      });
    }
  };
  chart.over.addEventListener('mousemove', event => {
    find(event);
    chart.setSeries(near ? near.line.index : null, { focus: true });
    if (!near) { tell(''); return; }
    const [x, middle, low, high] = near.line.points.map(part => part[near.i]);
    const cell = state.board.cells[`${near.line.row.id}|${column.id}`];
    const name = `${near.line.row.name}: ${middle} [${low ?? '∞'}, ${high ?? '∞'}]`;
    tell(`${name}\n${Number(x.toPrecision(4))} ${state.board.xs[state.x]}\n${[cell.facts.status, cell.facts.reason]
      .filter(Boolean).join(': ')}`, event.clientX, event.clientY);
  });
  chart.over.addEventListener('mouseleave', () => { tell(''); chart.setSeries(null, { focus: true }); });
  chart.over.addEventListener('dblclick', () => { chart.zoomed = false; });
  chart.over.addEventListener('click', event => {
    find(event);
    if (!near || chart.zoomed) return;
    state.cell = `${near.line.row.id}|${column.id}`;
    draw();
    showDetail(state.cell);
  });
}
