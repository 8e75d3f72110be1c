import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setThreads } from '../common/schuss.js';
import type { Spec } from '../report/charts.js';
import { draw } from '../report/draw.js';
import { makeFolder, newTable } from '../report/output.js';
import { inMode } from '../report/theme.js';
import { againstPeers, loadPeers } from './against.js';
import { classRows } from './classes.js';
import type { Context } from './context.js';
import { coreUse } from './core.js';
import { eventLoop } from './event-loop.js';
import { fused } from './fused.js';
import { goalsMarkdown } from './goals-markdown.js';
import { headlineFiles } from './headline.js';
import { machine } from './machine.js';
import { matrices } from './matrices.js';
import { modelFit } from './model-fit.js';
import { besideNeighbour } from './neighbour.js';
import { resultsHtml } from './page.js';
import { limitSpec } from './plot-limit.js';
import { fusedSpec, peersSpec, ratiosSpec } from './plot-peers.js';
import { recommender } from './recommender/recommender.js';
import type { Measured, Results } from './results.js';
import { type BenchOptions, type Part, settingsOf } from './settings.js';
import { fixedCost, manyTensors, nativeAgainstJs } from './small.js';
import { sparse } from './sparse.js';
import { sparseCost, sparseRows } from './sparse-rows.js';
import type { Table } from './table.js';
import { tablesOf } from './tables.js';
import { common } from './task.js';

/** Measures the time of a step, prints tables, and writes numbers, plots and the table of goals. */
export async function bench(options: BenchOptions): Promise<void> {
  const settings = settingsOf(options);
  // A folder that cannot be made is an error now, and not after minutes of work.
  const out = makeFolder('bench', options.out);
  const results = await measure({ settings, say: status });
  status('');

  for (const table of tablesOf(results)) print(table);
  const plots = await plotsOf(results);
  const files: Record<string, string> = {
    'bench.json': `${JSON.stringify(results, undefined, 1)}\n`,
    'bench.html': resultsHtml(results, Object.values(plots), options.command),
    'goals.md': goalsMarkdown(results),
    ...headlineFiles(results),
  };
  for (const name of ['step', 'ratios', 'fused', 'fused-threads']) {
    const svg = plots[name];
    if (svg === undefined) continue;
    for (const mode of ['light', 'dark'] as const) files[`${name}-${mode}.svg`] = inMode(svg, mode);
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);
  console.log(
    `${results.seconds} s${settings.quick ? ' (quick: few rounds, not a result)' : ''}. Open ${relative('', join(out, 'bench.html'))}`,
  );
}

/** The plots by name, in the order of the page. */
export async function plotsOf(results: Results): Promise<Record<string, string>> {
  const most = Math.max(...results.settings.threads);
  const specs: Record<string, Spec | undefined> = {
    step: peersSpec(results, 'adam'),
    ratios: ratiosSpec(results, 'adam'),
    fused: fusedSpec(results, 1),
    'fused-threads': most > 1 ? fusedSpec(results, most) : undefined,
    limit: limitSpec(results),
  };
  for (const method of common.filter((method) => method !== 'adam')) specs[method] = peersSpec(results, method);
  const plots: Record<string, string> = {};
  for (const [name, spec] of Object.entries(specs)) if (spec !== undefined) plots[name] = await draw(spec);
  return plots;
}

async function measure(context: Context): Promise<Results> {
  const { parts } = context.settings;
  const start = performance.now();
  setThreads(1);
  const rows = async <T>(part: Part, measure: (context: Context) => Promise<readonly T[]>): Promise<readonly T[]> =>
    parts.includes(part) ? measure(context) : [];
  const maybe = async <T>(part: Part, measure: (context: Context) => Promise<Measured<T>>): Promise<Measured<T>> =>
    parts.includes(part) ? measure(context) : { skipped: `--parts without ${part}` };
  // Steps of nanoseconds come first: V8 optimizes code best that has seen few classes, as in a training run.
  const fixed = await rows('small', fixedCost);
  const many = await rows('small', manyTensors);
  const costOfRows = await maybe('sparse', sparseCost);
  const loaded = parts.includes('peers') ? await loadPeers(context.settings) : [];
  const against = await rows('peers', () => againstPeers(context, loaded));
  const native = await maybe('small', nativeAgainstJs);
  const passes = await rows('passes', fused);
  const classes = parts.includes('classes') ? await classRows(context) : { rows: [], leftOut: [] };
  const ofMatrices = await rows('matrices', matrices);
  const neighbour = await maybe('neighbour', besideNeighbour);
  const tables = await maybe('sparse', sparse);
  const ofRows = await maybe('sparse', sparseRows);
  const trained = await maybe('recommender', recommender);
  const fit = await maybe('fit', modelFit);
  const loop = await maybe('async', eventLoop);
  return {
    machine: machine(),
    settings: context.settings,
    seconds: Math.round((performance.now() - start) / 1000),
    core: coreUse(),
    peers: loaded.map(({ peer: { id, label }, version }) => ({ id, label, version })),
    fixedCost: fixed,
    manyTensors: many,
    nativeAgainstJs: native,
    fused: passes,
    classes,
    matrices: ofMatrices,
    against,
    neighbour,
    eventLoop: loop,
    sparse: tables,
    sparseRows: ofRows,
    sparseCost: costOfRows,
    recommender: trained,
    modelFit: fit,
  };
}

/** Shows a line that the next one overwrites, only on a terminal. */
function status(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${what}`);
}

function print({ title, head, rows, notes }: Table): void {
  const table = newTable(head);
  for (const row of rows) table.push([...row]);
  console.log([title, ...(rows.length === 0 ? [] : [table.toString()]), ...notes, ''].join('\n'));
}
