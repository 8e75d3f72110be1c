import { escapeHtml } from '../report/html.js';
import { style } from '../report/style.js';
import { goalsOf } from './goals.js';
import type { Results } from './results.js';
import { type Table, tablesOf } from './tables.js';

/** The benchmark as one HTML page that needs nothing but itself. */
export function pageHtml(results: Results, plots: readonly string[], command: string): string {
  const { machine, settings, peers, seconds } = results;
  const made = {
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
    Rounds: `${settings.pace.rounds} of each comparison, in turn; ${seconds} s in all, on ${machine.date}`,
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What a step costs: the schuss benchmark</title>
<link rel="icon" href="data:,">
<style>${style}
svg { max-width: 100%; height: auto; }
.plots { display: grid; gap: 16px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.plots > :nth-child(-n + 2) { grid-column: 1 / -1; }
.plots > :first-child svg { width: 100%; }
.wide td { white-space: pre; }
.wide .goals th, .wide .goals td { text-align: left; white-space: normal; }
.goals td:last-child { font-weight: 600; }
@media (max-width: 980px) { .plots { grid-template-columns: minmax(0, 1fr); } }
</style>
</head>
<body>
<header>
<p class="brand">schuss</p>
<h1>What a step costs</h1>
<p class="lead">Time per parameter of one optimizer step, side by side in one process and in turn: schuss, other ways of doing the same in JavaScript and Python, and the limit: a loop that only moves the same memory.</p>
${settings.quick ? '<p class="quick"><strong>Quick run.</strong> Few rounds and short samples: a look at how it works, not a result. <code>schuss bench</code> without <code>--quick</code> makes the whole one.</p>' : ''}
<details open><summary>How this page was made</summary><dl>${Object.entries(made)
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join('')}</dl></details>
</header>
<main>
<section><div class="plots">${plots.map((svg) => `<div>${svg}</div>`).join('\n')}</div></section>
${sectionOf(goalsTable(results), 'goals')}
${tablesOf(results)
  .map((table) => sectionOf(table))
  .join('\n')}
</main>
<footer>Made by <code>schuss bench</code>. Times are medians, with quartiles; ratios are medians of the ratios within each round. The numbers behind all of it: <code>bench.json</code>, beside this file.</footer>
</body>
</html>
`;
}

function goalsTable(results: Results): Table {
  return {
    title: 'Goals, and what was measured',
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
