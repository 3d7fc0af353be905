// Pictures at the end of the budget and, where some were kept on the way, a slider over steps.
function thumb(source, name, said, click) {
  const image = make('img', { src: source, alt: `${name}${said ? `, ${said}` : ''}`, loading: 'lazy' });
  const caption = make('figcaption', {}, name, said ? make('br') : null, said);
  return make('figure', {}, click ? make('button', { type: 'button', onclick: click }, image) : image, caption);
}

const unit = board => Object.values(board.xs)[0];

function pictureRow(board, column, only = null) {
  const kept = board.pictures[column.id];
  const frames = board.frames[column.id];
  if (!kept && !frames) return only ? make('p', {}, 'No pictures were kept here.') : null;
  const rows = (only ? board.rows.filter(row => only.includes(row.id)) : shownRows());
  const open = row => () => { state.cell = `${row.id}|${column.id}`; draw(); showDetail(state.cell); };
  const line = make('div', { className: 'row' });
  if (kept) {
    if (kept.start) line.append(thumb(kept.start, 'start', 'gap 1'));
    const left = row => board.cells[`${row.id}|${column.id}`]?.shade ?? -1;
    for (const row of [...rows].sort((a, b) => left(a) - left(b))) {
      const cell = board.cells[`${row.id}|${column.id}`];
      if (kept[row.id]) line.append(thumb(kept[row.id], row.name, cell && `gap ${cell.text}`, only ? null : open(row)));
    }
  }
  for (const row of frames ? rows : []) {
    const steps = frames.rows[row.id];
    if (!steps) continue;
    const wanted = Number(state.step ?? frames.steps[0]);
    const step = frames.steps.filter(found => found in steps && found <= wanted).pop() ?? Object.keys(steps)[0];
    line.append(thumb(steps[step], row.name, `after ${step} ${unit(board)}`, only ? null : open(row)));
  }
  if (kept?.target) line.append(thumb(kept.target, 'target', 'gap 0'));
  else if (frames?.target) line.append(thumb(frames.target, 'reference', ''));
  return line;
}

function drawGallery() {
  const place = document.getElementById('gallery-here');
  if (!place || !state.board) return;
  const nodes = [];
  const steps = [...new Set(Object.values(state.board.frames).flatMap(found => found.steps))].sort((a, b) => a - b);
  if (steps.length > 1) {
    const now = () => Math.max(0, steps.findLastIndex(step => step <= Number(state.step ?? steps[0])));
    const said = make('output', {}, `${steps[now()]} ${unit(state.board)}`);
    const slider = make('input', { id: 'slider', type: 'range', min: '0', max: String(steps.length - 1), value: String(now()) });
    slider.addEventListener('input', () => {
      state.step = String(steps[slider.value]);
      said.textContent = `${state.step} ${unit(state.board)}`;
      remember();
      rowsOfPictures(place.querySelector('#picture-rows'));
    });
    nodes.push(make('label', { className: 'bar' }, 'Pictures after', slider, said));
  } else nodes.push(make('p', {}, 'First replicate after equal evaluations, from the largest gap to the smallest; a click opens the cell.'));
  const rows = make('div', { id: 'picture-rows' });
  rowsOfPictures(rows);
  place.replaceChildren(...nodes, rows);
}

function rowsOfPictures(place) {
  place.replaceChildren(...shownColumns().flatMap(column => {
    const line = pictureRow(state.board, column);
    return line ? [make('h3', {}, column.name), line] : [];
  }));
}
