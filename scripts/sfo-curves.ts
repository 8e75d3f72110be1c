// Computes test/support/second-order/sfo-curves.json: the mean of the terms after each effective pass (N evaluations of terms). SFO
// and L-BFGS run with their defaults, the first-order methods with every step size of a grid.
//
// npx tsx scripts/sfo-curves.ts takes some minutes. Followed by names of methods, it runs only those again.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { minimize } from '../lib/index.js';
import { autoencoder, type Sum, softmax, total } from '../test/support/second-order/sums.js';

const passes = 30;
const grid = (least: number): number[] =>
  Array.from({ length: 8 }, (_, k) => Number((least * 10 ** (k / 2)).toPrecision(2)));
const firstOrder = {
  sgd: { lrs: grid(1e-3), options: { method: 'sgd' } },
  momentum: { lrs: grid(1e-3), options: { method: 'sgd', momentum: 0.9 } },
  adagrad: { lrs: grid(1e-3), options: { method: 'adagrad' } },
  adam: { lrs: grid(1e-4), options: { method: 'adam' } },
} as const;

type Curve = (number | null)[];
type Curves = Readonly<Record<string, unknown>>;

/** Mean of the terms after each pass, to six digits, or null where it is not finite. A run that overflows ends early. */
function curveOf(sum: Sum, run: (onPass: (x: Float32Array | Float64Array) => void) => void): Curve {
  const curve: Curve = [];
  run((x) => {
    const value = total(sum, x) / sum.N;
    curve.push(Number.isFinite(value) ? Number(value.toPrecision(6)) : null);
  });
  return curve;
}

function curves(sum: Sum, recorded: Curves): Curves {
  const names = process.argv.slice(2);
  const runs: Record<string, () => unknown> = {
    least: () => Number((minimize(sum, sum.start, { method: 'lbfgs', passes: 2000 }).value / sum.N).toPrecision(10)),
    sfo: () => curveOf(sum, (onPass) => minimize(sum, sum.start, { method: 'sfo', passes, onPass })),
    lbfgs: () => curveOf(sum, (onPass) => minimize(sum, sum.start, { method: 'lbfgs', passes, onPass })),
  };
  for (const [name, { lrs, options }] of Object.entries(firstOrder)) {
    const run = (lr: number): Curve =>
      curveOf(sum, (onPass) => minimize(sum, Float32Array.from(sum.start), { ...options, lr, passes, onPass }));
    runs[name] = () => Object.fromEntries(lrs.map((lr) => [lr, run(lr)]));
  }
  const isWanted = (name: string): boolean => names.length === 0 || names.includes(name) || !(name in recorded);
  return Object.fromEntries(Object.entries(runs).map(([name, run]) => [name, isWanted(name) ? run() : recorded[name]]));
}

const file = join(__dirname, '../test/support/second-order/sfo-curves.json');
const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, Curves>) : {};
const all = {
  passes,
  softmax: curves(softmax(), before['softmax'] ?? {}),
  autoencoder: curves(autoencoder(), before['autoencoder'] ?? {}),
};
writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
