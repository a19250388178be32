/**
 * What stands behind a point, shown where one hovers, taps or clicks. A convenience: every mark carries the same words
 * as its title, and all figures stand in the tables, so the report is whole without script.
 */
export const TOOLTIP_SCRIPT = `
(() => {
  const NEAR = 18;
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  // The browser's own, slower tooltip would say the same a second time.
  for (const title of document.querySelectorAll('[data-tip] > title')) title.remove();
  let shown = null;
  const show = (mark) => {
    if (shown) shown.classList.remove('shown');
    shown = mark;
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add('shown');
    tip.textContent = mark.getAttribute('data-tip');
    const box = mark.getBoundingClientRect();
    const left = Math.min(box.left + box.width / 2, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = Math.max(8, left) + scrollX + 'px';
    const above = box.top - tip.offsetHeight - 6;
    tip.style.top = (above > 0 ? above : box.bottom + 6) + scrollY + 'px';
  };
  // Points lie close together, so the nearest one counts and not the topmost.
  const nearest = (event) => {
    const chart = event.target.closest && event.target.closest('svg');
    if (!chart) return null;
    let best = null;
    let least = NEAR;
    for (const mark of chart.querySelectorAll('[data-tip]')) {
      const box = mark.getBoundingClientRect();
      const away = Math.hypot(box.left + box.width / 2 - event.clientX, box.top + box.height / 2 - event.clientY);
      if (away < least) { least = away; best = mark; }
    }
    return best;
  };
  for (const name of ['pointermove', 'click']) document.addEventListener(name, (event) => show(nearest(event)));
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') show(null); });
})();
`;
