import { readPackageFile } from '../common/packages.js';
import { escapeHtml, inlineScript, prose, scriptJson } from '../report/html.js';
import { pageHtml } from '../report/page.js';
import {
  chance,
  describeCurves,
  describeDescent,
  describeEnsemble,
  describeRange,
  describeRanking,
  describeSweep,
  divergenceOf,
  percent,
  percentOver,
  short,
} from './captions.js';
import { descentLegend, descentPanels, ensemblePanels, rangePanels } from './charts.js';
import type { Cost } from './cost.js';
import { curveLegend, curvePanels, sweepPanels } from './curves.js';
import type { Data } from './data.js';
import type { Bar } from './ensemble.js';
import type { Figure } from './figures.js';
import type { Method, Settings } from './job.js';
import { atBest, bestAccuracy, type Summary, summaries } from './outcomes.js';
import { script } from './page-script.js';
import type { LegendEntry, Panel } from './panel.js';
import type { Results } from './pool.js';
import { familyTitles, rankingPanels } from './ranking.js';
import { describeWorth, worthOf, worthPanels, worthTable } from './worth.js';

/** The plotting libraries that the page contains. */
const plotting = {
  vega: 'build/vega.min.js',
  'vega-lite': 'build/vega-lite.min.js',
  'vega-embed': 'build/vega-embed.min.js',
} as const;

export interface Report {
  readonly figures: readonly Figure[];
  readonly results: Results;
  readonly settings: Settings;
  readonly data: Data;
  /** Empty without the figure of the ensemble. */
  readonly bars: readonly Bar[];
  /** What a step of each method costs, for the figure `worth`. */
  readonly costs?: ReadonlyMap<Method, Cost>;
  /** How the page was made, as pairs of name and value. */
  readonly made: readonly (readonly [string, string])[];
}

/** The study as one self-contained HTML page. */
export function reportHtml({ figures, results, settings, data, bars, made, costs = new Map() }: Report): string {
  const specs: Panel['spec'][] = [];
  const sections = figures.map((figure, i) => {
    const { panels, legend, caption } = contentOf(figure, results, settings, data, bars);
    const cells = panels.map(({ title, spec }) => {
      specs.push(spec);
      return `<figure><figcaption>${escapeHtml(title)}</figcaption><div class="plot" data-spec="${specs.length - 1}" role="img" aria-label="${escapeHtml(`${figure.title}: ${title}`)}"></div></figure>`;
    });
    return `<section id="${figure.id}">
<h2><a href="#${figure.id}">${i + 1}</a> ${escapeHtml(figure.title)}</h2>
<p>${prose(figure.about)}</p>
${legend.length === 0 ? '' : `<div class="legend" role="group" aria-label="Legend">${legend.map(legendButton).join('')}</div>`}
<div class="panels of-${panels.length}">${cells.join('')}</div>
<p class="seen">${prose(caption)}</p>
${figure.kind === 'worth' ? worthTable(figure, results, costs) : ''}
</section>`;
  });
  const { train, validation, epochs, batch, hidden } = settings;
  const runs = summaries(
    figures.map((figure) => atBest(figure, results)),
    results,
  );
  // There is none if every run diverged, or with --only range-test.
  const best = bestAccuracy(runs);
  const noise =
    best > 0
      ? ` An accuracy of ${percent(best)} on ${validation.toLocaleString('en')} images has an uncertainty of ± ${chance(best, validation)} (two standard errors): smaller differences may be chance.`
      : '';
  const repeated =
    settings.seeds === 1
      ? ''
      : ` Every run is repeated with ${settings.seeds} seeds: other initial weights, another order of batches.`;
  const images = `${train.toLocaleString('en')} training and ${validation.toLocaleString('en')} validation images`;
  return pageHtml({
    title: 'Optimizers at work: the schuss study',
    heading: 'Optimizers at work',
    lead: `Every optimizer of schuss trains the same network on the same images, from the same initial weights and with the same order of batches: ${images}, ${hidden.length} hidden ReLU layers of ${hidden[0]} units, softmax and cross-entropy, mini-batches of ${batch}, ${epochs} epochs. TensorFlow.js computes the gradients; schuss updates the weights.${repeated}`,
    quick: settings.quick
      ? 'It has fewer images, epochs, learning rates and ensemble members than the full study: it shows how the study works and is not a result. <code>npm run study</code> without <code>--quick</code> makes the full one.'
      : undefined,
    made,
    contents: `<nav aria-label="Figures"><ol>${figures.map((figure) => `<li><a href="#${figure.id}">${escapeHtml(figure.title)}</a></li>`).join('')}${runs.length === 0 ? '' : '<li><a href="#numbers">Runs in numbers</a></li>'}</ol></nav>`,
    main: `<p class="how">How to read the curves: lines are the loss and the accuracy on <em>all</em> training or validation images, ${settings.scoresPerEpoch} times an epoch; ${settings.seeds === 1 ? '' : `the mean over ${settings.seeds} seeds, with a band from the lowest to the highest; `}faint dots are the loss of each mini-batch${settings.seeds === 1 ? '' : ' with the first seed'}. Learning rates go from dark to light in the order of their size (in dark mode, too); a method has the same colour in every figure. Point at a legend entry to highlight its line; click to keep it highlighted. Point at a line for its values.${noise}</p>
${sections.join('\n')}
${runs.length === 0 ? '' : numbersTable(runs, settings.seeds)}`,
    footer:
      'Made by <code>npm run study</code>. Beside this file are <code>numbers.json</code>, the numbers behind every plot, and <code>curves.csv</code>, every training run step by step. The same command gives the same numbers.',
    scripts: `${Object.entries(plotting)
      .map(([name, file]) => inlineScript(readPackageFile(name, file)))
      .join('\n')}
<script type="application/json" id="specs">${scriptJson(specs)}</script>
${inlineScript(script)}`,
  });
}

function contentOf(
  figure: Figure,
  results: Results,
  settings: Settings,
  data: Data,
  bars: readonly Bar[],
): { panels: Panel[]; legend: readonly (LegendEntry | { readonly label: string })[]; caption: string } {
  switch (figure.kind) {
    case 'curves':
      return {
        panels: curvePanels(figure, results, settings),
        legend: curveLegend(figure, results),
        caption: describeCurves(figure, results, data.classes),
      };
    case 'worth':
      return {
        panels: worthPanels(worthOf(figure, results)),
        legend: familyTitles(figure).map((label) => ({ label })),
        caption: describeWorth(figure, results, settings.seeds),
      };
    case 'ranking':
      return {
        panels: rankingPanels(figure, results),
        legend: familyTitles(figure).map((label) => ({ label })),
        caption: describeRanking(figure, results, settings.validation),
      };
    case 'sweep':
      return {
        panels: sweepPanels(figure, results, settings),
        legend: curveLegend(atBest(figure, results), results),
        caption: describeSweep(figure, results, data.classes),
      };
    case 'descent':
      return {
        panels: descentPanels(figure, results),
        legend: descentLegend(figure),
        caption: describeDescent(figure, results),
      };
    case 'range':
      return { panels: rangePanels(figure, results), legend: [], caption: describeRange(figure, results) };
    case 'ensemble':
      return { panels: ensemblePanels(bars), legend: [], caption: describeEnsemble(bars) };
  }
}

function legendButton(entry: LegendEntry | { readonly label: string }): string {
  const { label } = entry;
  const diverged = 'diverged' in entry && entry.diverged !== undefined ? ` <em>✕ ${entry.diverged}</em>` : '';
  const swatch = 'color' in entry ? swatchOf(entry) : '';
  return `<button type="button" aria-pressed="false" data-line="${escapeHtml(label)}">${swatch}${escapeHtml(label)}${diverged}</button>`;
}

function swatchOf({ color, dash }: LegendEntry): string {
  const pattern = dash[1] === 0 ? '' : ` stroke-dasharray="${dash.join(' ')}"`;
  return `<svg width="34" height="10" aria-hidden="true"><line x1="0" y1="5" x2="34" y2="5" stroke="${color}" stroke-width="2.5"${pattern}/></svg>`;
}

function numbersTable(runs: readonly Summary[], seeds: number): string {
  const best = bestAccuracy(runs);
  const rows = runs.map(({ name, outcome: { final, divergedAt, seeds } }) => {
    if (final === undefined)
      return `<tr><th scope="row">${prose(name)}</th><td colspan="4" class="diverged">diverged ${divergenceOf(divergedAt, seeds)}</td></tr>`;
    const mark = final.validationAccuracy.mean === best ? ' class="best"' : '';
    return `<tr${mark}><th scope="row">${prose(name)}</th><td>${short(final.trainLoss.mean)}</td><td>${percent(final.trainAccuracy.mean)}</td><td>${short(final.validationLoss.mean)}</td><td>${percentOver(final.validationAccuracy)}</td></tr>`;
  });
  const mean = seeds === 1 ? '' : ` Numbers are means over ${seeds} seeds, with the range of the validation accuracy.`;
  return `<section id="numbers">
<h2>Runs in numbers</h2>
<p>Every run of the curves above, and each class at its best learning rate, scored after the last step on all training and all validation images.${mean} The highest validation accuracy is marked. <code>numbers.json</code> holds all runs.</p>
<div class="wide"><table>
<thead><tr><th scope="col">Run</th><th scope="col">Training loss</th><th scope="col">Training accuracy</th><th scope="col">Validation loss</th><th scope="col">Validation accuracy</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table></div>
</section>`;
}
