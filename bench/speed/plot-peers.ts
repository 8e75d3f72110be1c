import type { Spec } from '../report/charts.js';
import { type Line, linesSpec } from './plot-lines.js';
import { isSkipped, type PeerRow, type Results } from './results.js';
import { fusedMethods, type Method, methods } from './task.js';

// A peer and its variants share a hue.
const looks: Readonly<Record<string, { text: string; color: string; dash?: readonly number[] }>> = {
  limit: { text: 'limit: memory alone', color: 'var(--ink)', dash: [6, 4] },
  schuss: { text: 'schuss', color: 'var(--blue)' },
  'schuss-tfjs': { text: 'schuss/tfjs', color: 'var(--blue)', dash: [3, 3] },
  js: { text: 'JavaScript loop', color: 'var(--amber)' },
  'tfjs-wasm': { text: 'TF.js wasm', color: 'var(--vermilion)' },
  'tfjs-cpu': { text: 'TF.js cpu', color: 'var(--vermilion)', dash: [4, 3] },
  'jax-js': { text: 'jax-js wasm', color: 'var(--green)' },
  torch: { text: 'PyTorch for-loop', color: 'var(--purple)', dash: [2, 3] },
  'torch-foreach': { text: 'PyTorch foreach', color: 'var(--purple)', dash: [5, 3] },
  'torch-fused': { text: 'PyTorch fused', color: 'var(--purple)' },
  deepspeed: { text: 'DeepSpeed', color: 'var(--cyan)' },
};

const classColors: Partial<Record<Method, string>> = {
  sgd: 'var(--green)',
  momentum: 'var(--amber)',
  adagrad: 'var(--vermilion)',
  adam: 'var(--blue)',
  adamw: 'var(--cyan)',
};

const short = (ratio: number): string => `${ratio < 9.95 ? ratio.toFixed(1) : Math.round(ratio)}×`;

/** The points of rows on one flat tensor, in the order of size. */
function pointsOf(rows: readonly PeerRow[], what: 'nsPerParam' | 'ofOurs'): Line['points'] {
  return rows
    .flatMap(({ n, tensors, measured }) => {
      if (tensors !== 1 || isSkipped(measured)) return [];
      const { median, low, high } = measured[what];
      return [{ n, value: median, low, high }];
    })
    .sort((a, b) => a.n - b.n);
}

function peerLines({ against }: Results, method: Method, what: 'nsPerParam' | 'ofOurs'): Line[] {
  return Object.entries(looks).flatMap(([id, look]) => {
    const rows = against.filter((row) => row.peer === id && row.method === method && row.threads === 1);
    const points = pointsOf(rows, what);
    const last = points.at(-1);
    if (last === undefined) return [];
    const text = what === 'ofOurs' ? `${look.text} ${short(last.value)}` : look.text;
    return [{ ...look, id, text, bold: id === 'schuss', points }];
  });
}

/** ns per parameter over size for one method: schuss, its peers and the limit. */
export function peersSpec(results: Results, method: Method): Spec | undefined {
  return linesSpec({
    title: `${methods[method].label}: what a step costs`,
    subtitle: ['Lower is better. One thread.', `${results.machine.cpu}, ${results.machine.isa}`],
    y: 'nanoseconds per parameter',
    lines: peerLines(results, method, 'nsPerParam'),
  });
}

/** The time of each peer divided by ours, over size. */
export function ratiosSpec(results: Results, method: Method): Spec | undefined {
  return linesSpec({
    title: `${methods[method].label}: times the time of schuss`,
    subtitle: [
      'Above the dashed line, schuss is faster. One thread.',
      'Beside each name: the ratio at the line’s end.',
    ],
    y: 'time / time of schuss',
    lines: peerLines(results, method, 'ofOurs').filter(({ id }) => id !== 'schuss' && id !== 'limit'),
    rule: 1,
  });
}

/** The time of PyTorch's fused step divided by ours for each class, over size. */
export function fusedSpec({ against }: Results, threads: number): Spec | undefined {
  const lines = fusedMethods.flatMap((method): Line[] => {
    const rows = against.filter((r) => r.peer === 'torch-fused' && r.method === method && r.threads === threads);
    const points = pointsOf(rows, 'ofOurs');
    const last = points.at(-1);
    if (last === undefined) return [];
    const text = `${methods[method].label.replace('SGD with ', '')} ${short(last.value)}`;
    return [{ id: method, text, color: classColors[method] as string, points }];
  });
  return linesSpec({
    title: `PyTorch’s fused step / schuss, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
    subtitle: ['Above the dashed line, schuss is faster.', 'Beside each name: the ratio at the line’s end.'],
    y: 'time of PyTorch / time of schuss',
    lines,
    rule: 1,
  });
}
