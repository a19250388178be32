// Before the first paint: the theme that somebody chose here, so that the page does not flash in the other one.
(() => {
  try {
    const theme = localStorage.getItem('pointsman.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is off: the system's own theme holds.
  }
})();
