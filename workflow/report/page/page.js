// Draws all that depends on the state, and goes where a link leads.
function draw() {
  drawBoard();
  drawCurves();
  drawGallery();
  remember();
}

function restore() {
  read();
  draw();
  document.querySelectorAll('.table[data-table]').forEach(place => {
    if (state.tables[`filter-${place.dataset.table}`] || state.tables[`sort-${place.dataset.table}`]) {
      const folded = place.closest('details');
      if (folded) folded.open = true;
      if (!state.at) state.at = place.closest('section').id;
    }
    place.restore();
  });
  if (state.at) document.getElementById(state.at)?.scrollIntoView();
  else if (state.cell) document.getElementById('detail')?.scrollIntoView({ block: 'nearest' });
}

// A link inside the page changes what it names and leaves the rest of the state alone.
document.addEventListener('click', event => {
  const link = event.target.closest('a[href^="#"]');
  if (!link || link.id === 'link' || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const target = link.getAttribute('href').slice(1);
  if (target.includes('=')) {
    for (const [key, value] of new URLSearchParams(target)) {
      state.tables[key] = value;
      const place = document.querySelector(`.table[data-table="${CSS.escape(key.replace(/^filter-/, ''))}"]`);
      place?.restore();
      place?.scrollIntoView();
    }
  } else {
    state.at = target;
    const place = document.getElementById(target);
    place?.scrollIntoView();
    place?.setAttribute('tabindex', '-1');
    place?.focus({ preventScroll: true });
  }
  remember();
});
addEventListener('keydown', event => { if (event.key === 'Escape') tell(''); });
addEventListener('hashchange', restore);
let width = innerWidth;
addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
document.querySelectorAll('.table').forEach(equip);
restore();
