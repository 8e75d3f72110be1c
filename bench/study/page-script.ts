/** The page's script: draws the plots, and makes each legend highlight a line in all plots of its figure. */
export const script = `
const specs = JSON.parse(document.getElementById('specs').textContent);
const draw = (plot) => vegaEmbed(plot, specs[plot.dataset.spec], { actions: false, renderer: 'svg' });
for (const section of document.querySelectorAll('section')) {
  const views = [...section.querySelectorAll('.plot')].map((plot) => draw(plot).then((result) => result.view));
  const buttons = [...section.querySelectorAll('.legend button')];
  let kept = '';
  const focus = (line) => views.forEach((view) => view.then((v) => v.signal('focus', line).runAsync()));
  for (const button of buttons) {
    const { line } = button.dataset;
    button.addEventListener('pointerenter', () => focus(line));
    button.addEventListener('pointerleave', () => focus(kept));
    button.addEventListener('click', () => {
      kept = kept === line ? '' : line;
      for (const other of buttons) other.setAttribute('aria-pressed', String(other.dataset.line === kept));
      focus(kept);
    });
  }
}
`;
