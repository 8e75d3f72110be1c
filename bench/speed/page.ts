import { escapeHtml } from '../report/html.js';
import { pageHtml } from '../report/page.js';
import { coreUseText } from './core.js';
import { goalsOf } from './goals.js';
import type { Results } from './results.js';
import type { Table } from './table.js';
import { tablesOf } from './tables.js';

/** The benchmark as one self-contained HTML page. */
export function resultsHtml(results: Results, plots: readonly string[], command: string): string {
  const { machine, settings, peers, seconds, core } = results;
  const made: Readonly<Record<string, string>> = {
    Command: command,
    Machine: `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.os} ${machine.arch}; Node ${machine.node}`,
    schuss: `${machine.schuss}, ${machine.backend} backend, ${machine.isa}`,
    Peers:
      peers
        .map(
          ({ label, version }) =>
            `${label} ${typeof version === 'string' ? version : `(left out: ${version.skipped})`}`,
        )
        .join('; ') || 'none',
    Rounds: `${settings.pace.rounds} of each comparison; ${seconds} s in all, on ${machine.date}`,
    ...(core !== undefined && { Core: coreUseText(core) }),
  };
  return pageHtml({
    title: 'What a step costs: the schuss benchmark',
    heading: 'What a step costs',
    lead: 'Time per parameter of one optimizer step: schuss, other libraries in JavaScript and Python, and the limit, which is a loop that only moves the same memory. All of them take turns in one run.',
    quick: settings.quick
      ? 'It has few rounds and short samples: it shows how the benchmark works and is not a result. <code>npm run bench</code> without <code>--quick</code> makes the full one.'
      : undefined,
    made: Object.entries(made),
    main: `<section><div class="plots">${plots.map((svg) => `<div>${svg}</div>`).join('\n')}</div></section>
${sectionOf(goalsTable(results), 'goals')}
${tablesOf(results)
  .map((table) => sectionOf(table))
  .join('\n')}`,
    footer:
      'Made by <code>npm run bench</code>. Times are medians with quartiles; ratios are medians of the ratios within each round. <code>bench.json</code>, beside this file, has all numbers.',
    css,
  });
}

const css = `
svg { max-width: 100%; height: auto; }
.plots { display: grid; gap: 24px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.wide td { white-space: pre; }
.wide .goals th, .wide .goals td { text-align: left; white-space: normal; }
.goals td:last-child { font-weight: 600; }
@media (max-width: 980px) { .plots { grid-template-columns: minmax(0, 1fr); } }
`;

function goalsTable(results: Results): Table {
  return {
    title: 'Goals and measurements',
    head: ['what', 'goal', 'measured', 'reached'],
    rows: goalsOf(results).map(({ what, goal, measured, reached }) => [
      what,
      goal,
      measured,
      reached === undefined ? '–' : reached ? 'yes' : 'no',
    ]),
    notes: [],
  };
}

function sectionOf({ title, head, rows, notes }: Table, name = ''): string {
  const cells = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === 0 ? `<th scope="row">${escapeHtml(cell)}</th>` : `<td>${escapeHtml(cell)}</td>`))
      .join('');
  return `<section>
<h2>${escapeHtml(title)}</h2>
<div class="wide"><table class="${name}">
<thead><tr>${head.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join('')}</tr></thead>
<tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('\n')}</tbody>
</table></div>
${notes.map((note) => `<p>${escapeHtml(note)}</p>`).join('\n')}
</section>`;
}
