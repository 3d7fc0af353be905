// Tables sort by their heads and filter by what is typed; both are part of the address.
function equip(place) {
  const table = place.querySelector('table');
  const name = place.dataset.table;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.v === undefined ? NaN : Number(cell.dataset.v);
    return Number.isNaN(number) ? cell.textContent : number;
  };
  const sort = (column, up) => {
    heads.forEach((head, i) => i === column ? head.setAttribute('aria-sort', up ? 'ascending' : 'descending') : head.removeAttribute('aria-sort'));
    const keyed = [...body.rows].map(row => [value(row, column), row]);
    keyed.sort(([a], [b]) => {
      if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
      if (a === '' || b === '') return (a === '') - (b === '');
      return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
    });
    body.append(...keyed.map(([, row]) => row));
  };
  heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () => {
    const up = head.getAttribute('aria-sort') !== 'ascending';
    sort(i, up);
    if (name) { state.tables[`sort-${name}`] = `${i}${up ? '' : '-'}`; remember(); }
  }));
  if (!name) return;
  const count = make('output');
  const search = make('input', { type: 'search', placeholder: 'filter rows', 'aria-label': `filter the rows of ${name}` });
  const filter = text => {
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of body.rows) {
      const said = row.textContent.toLowerCase();
      row.hidden = !wanted.every(word => said.includes(word));
      left += !row.hidden;
    }
    count.textContent = `${left} of ${body.rows.length} rows`;
  };
  search.addEventListener('input', () => { filter(search.value); state.tables[`filter-${name}`] = search.value; remember(); });
  place.prepend(make('div', { className: 'bar' }, search, count));
  place.restore = () => {
    search.value = state.tables[`filter-${name}`] || '';
    filter(search.value);
    const order = state.tables[`sort-${name}`];
    if (order) sort(parseInt(order, 10), !order.endsWith('-'));
  };
}
