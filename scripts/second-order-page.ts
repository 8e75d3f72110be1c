// Updates docs/guide/second-order.md: counts our evaluations for its table (SciPy's are recorded), and draws the curves of
// sfo-curves.json as second-order.svg.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { draw } from '../bench/report/draw.js';
import { look } from '../bench/report/look.js';
import { inMode } from '../bench/report/theme.js';
import { evaluations, recorded, rowOf } from '../test/support/second-order/evaluations.js';
import { problems } from '../test/support/second-order/problems.js';

const root = join(__dirname, '..');
const page = join(root, 'docs', 'guide', 'second-order.md');
const [start, end] = ['<!-- evaluations: written by scripts/second-order-page.ts -->', '<!-- /evaluations -->'];

interface Sum {
  readonly least: number;
  readonly sfo: readonly number[];
  readonly lbfgs: readonly number[];
  readonly [method: string]: number | readonly number[] | Readonly<Record<string, readonly (number | null)[]>>;
}

const curves = JSON.parse(
  readFileSync(join(root, 'test', 'support', 'second-order', 'sfo-curves.json'), 'utf8'),
) as Readonly<Record<'softmax' | 'autoencoder', Sum>>;

function table(): string {
  const rows = Object.entries(problems).map(([name, { f, start: x0 }]) => {
    const { least, evaluations: scipy } = rowOf(name);
    return `| ${name} | ${x0.length} | ${evaluations(f, x0, least)} | ${scipy} |`;
  });
  return ['| problem | variables | `minimize` | SciPy |', '|---|--:|--:|--:|', ...rows].join('\n');
}

const labels = {
  sfo: 'SFO',
  lbfgs: 'L-BFGS',
  sgd: 'SGD',
  momentum: 'SGD + momentum',
  adagrad: 'Adagrad',
  adam: 'Adam',
};

/** The curve of a method. Of a method with a grid of step sizes: the curve that ends lowest. */
function curveOf(sum: Sum, method: string): readonly number[] {
  const given = sum[method] as readonly number[] | Readonly<Record<string, readonly (number | null)[]>>;
  if (Array.isArray(given)) return given;
  const finite = Object.values(given).filter((curve) => typeof curve.at(-1) === 'number') as number[][];
  return finite.sort((a, b) => a.at(-1)! - b.at(-1)!)[0]!;
}

function plot(name: 'softmax' | 'autoencoder', title: string): object {
  const sum = curves[name];
  const values = Object.entries(labels).flatMap(([method, label]) =>
    curveOf(sum, method).map((value, i) => ({ pass: i + 1, gap: value - sum.least, label })),
  );
  return {
    title: { text: title, anchor: 'start', fontSize: 14 },
    width: 330,
    height: 220,
    data: { values },
    mark: { type: 'line', strokeWidth: 2 },
    encoding: {
      x: { field: 'pass', type: 'quantitative', title: 'passes over the data' },
      y: {
        field: 'gap',
        type: 'quantitative',
        title: 'loss above the minimum',
        scale: { type: 'log' },
        axis: { format: '.0e', tickCount: 6 },
      },
      color: {
        field: 'label',
        type: 'nominal',
        title: null,
        sort: Object.values(labels),
        scale: { range: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#000000'] },
        legend: { labelFontSize: 12, symbolStrokeWidth: 3 },
      },
      strokeDash: { field: 'label', type: 'nominal', sort: Object.values(labels), title: null },
    },
  };
}

async function main(): Promise<void> {
  const text = readFileSync(page, 'utf8');
  const [before, after] = [text.indexOf(start), text.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`${page}: no ${start} … ${end}`);
  writeFileSync(page, `${text.slice(0, before + start.length)}\n${table()}\n${text.slice(after)}`);

  const shared = look('SFO and L-BFGS against first-order methods', [
    'Sums of 30 minibatches of digits. Each first-order method has the best of eight step sizes.',
  ]);
  const both = {
    ...shared,
    background: 'white',
    hconcat: [plot('softmax', 'Softmax regression'), plot('autoencoder', 'Autoencoder')],
  };
  writeFileSync(join(root, 'docs', 'guide', 'second-order.svg'), `${inMode(await draw(both), 'light')}\n`);
  console.log(`written; the recorded numbers are those of SciPy ${recorded.scipy}`);
}

void main();
