// What test/golden/second-order/sfo-curves.json holds: the mean of the terms after each effective pass (N evaluations of
// terms), for SFO and L-BFGS as they are, and for the first-order methods with every step size of a grid. Run with
// npx tsx scripts/sfo-curves.ts; takes some minutes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { minimize } from '../lib/index.js';
import { autoencoder, type Sum, softmax, total } from '../test/golden/second-order/sums.js';

const passes = 30;
const grid = (least: number): number[] =>
  Array.from({ length: 8 }, (_, k) => Number((least * 10 ** (k / 2)).toPrecision(2)));
const firstOrder = {
  sgd: { lrs: grid(1e-3), options: { method: 'sgd' } },
  momentum: { lrs: grid(1e-3), options: { method: 'sgd', momentum: 0.9 } },
  adagrad: { lrs: grid(1e-3), options: { method: 'adagrad' } },
  adam: { lrs: grid(1e-4), options: { method: 'adam' } },
} as const;

/** The mean of the terms, to six digits; null where it is not finite. */
function mean(sum: Sum, x: Float32Array | Float64Array): number | null {
  const value = total(sum, x) / sum.N;
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}

/** One of the classes; a run that overflows ends early. */
function steps(sum: Sum, lr: number, options: { readonly method: 'sgd' | 'adagrad' | 'adam' }): (number | null)[] {
  const curve: (number | null)[] = [];
  const onPass = (x: Float32Array) => void curve.push(mean(sum, x));
  minimize(sum, Float32Array.from(sum.start), { ...options, lr, passes, onPass });
  return curve;
}

function curves(sum: Sum) {
  const run = (method: 'sfo' | 'lbfgs'): (number | null)[] => {
    const curve: (number | null)[] = [];
    minimize(sum, sum.start, { method, passes, onPass: (x) => void curve.push(mean(sum, x)) });
    return curve;
  };
  const all = Object.entries(firstOrder).map(([name, { lrs, options }]) => [
    name,
    Object.fromEntries(lrs.map((lr) => [lr, steps(sum, lr, options)])),
  ]);
  const least = minimize(sum, sum.start, { method: 'lbfgs', passes: 2000 });
  return {
    least: Number((least.value / sum.N).toPrecision(10)),
    sfo: run('sfo'),
    lbfgs: run('lbfgs'),
    ...(Object.fromEntries(all) as Record<string, Record<string, (number | null)[]>>),
  };
}

const file = join(__dirname, '../test/golden/second-order/sfo-curves.json');
writeFileSync(
  file,
  `${JSON.stringify({ passes, softmax: curves(softmax()), autoencoder: curves(autoencoder()) }, null, 2)}\n`,
);
