import type { BenchResults, BenchRow } from './results.js';
import type { Summary } from './rounds.js';

/** 1e5 instead of 100000, and 1234 as it is. */
export function size(n: number): string {
  const short = n.toExponential().replace('+', '');
  return short.length < String(n).length ? short : String(n);
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** The median ratio, and half the distance between the quartiles in percent of it. */
function ratio({ low, median, high }: Summary): string {
  return `${number(median)}× ±${Math.round((50 * (high - low)) / median)}%`;
}

/** The results as text: what ran where, and a table. */
export function tableOf(results: BenchResults): string {
  const { schuss, backend, isa, threads, fallback, cpu, cores, node, platform, rows, leftOut } = results;
  const native = backend === 'native';
  const cells = (row: BenchRow): string[] => [
    row.optimizer,
    row.tensors === 1 ? size(row.elements) : `${row.tensors} × ${size(row.elements / row.tensors)}`,
    ...(row.native === null ? [] : [number(row.native.median)]),
    number(row.js.median),
    number(row.loop.median),
    ...(row.jsOverNative === null ? [] : [ratio(row.jsOverNative)]),
    ...(row.loopOverNative === null ? [] : [ratio(row.loopOverNative)]),
  ];
  const head = native
    ? ['optimizer', 'elements', 'native', 'JS backend', 'plain loop', 'JS backend/native', 'plain loop/native']
    : ['optimizer', 'elements', 'JS backend', 'plain loop'];
  const table = [head, ...rows.map(cells)];
  const widths = head.map((_, i) => Math.max(...table.map((line) => (line[i] as string).length)));
  const lines = table.map((line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join('  '),
  );
  return [
    native
      ? `schuss ${schuss}: native backend, ${isa}, up to ${threads} ${threads === 1 ? 'thread' : 'threads'}`
      : `schuss ${schuss}: no native backend (${fallback}), so that only JavaScript is measured`,
    `${cpu}, ${cores} cores; Node ${node}, ${platform}`,
    '',
    `Nanoseconds per parameter of a step${native ? '; ratios with half the distance between their quartiles' : ''}. Medians of rounds in turn.`,
    '',
    ...lines,
    ...(leftOut.length === 0 ? [] : ['', ...leftOut]),
  ].join('\n');
}
