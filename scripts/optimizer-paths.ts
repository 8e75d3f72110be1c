// Draws the path of an optimizer on Rosenbrock's function, for its page in docs/optimizers.
import { type OptimizerClass, optimizers } from '../lib/optimizers/index.js';

const steps = 500;
const rates = Array.from({ length: 16 }, (_, i) => Number((10 ** (i / 3 - 4)).toPrecision(2)));
const start = [-1.2, 1] as const;

/** Options beside lr that a plot uses: SGD is drawn as most people use it. */
const options: Readonly<Record<string, Readonly<Record<string, unknown>>>> = { SGD: { momentum: 0.9 } };

const [width, height] = [480, 300];
const [left, right, low, high] = [-1.7, 1.7, -0.6, 1.525];
const px = (x: number): number => Math.round(((x - left) / (right - left)) * width * 10) / 10;
const py = (y: number): number => Math.round(((high - y) / (high - low)) * height * 10) / 10;

interface Path {
  readonly lr: number | undefined;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly value: number;
}

const rosenbrock = (x: number, y: number): number => (1 - x) ** 2 + 100 * (y - x * x) ** 2;

function walk(Class: OptimizerClass, given: Readonly<Record<string, unknown>>): Path {
  const w = Float32Array.from(start);
  const g = new Float32Array(2);
  // These move matrices: here one of a single row.
  const ofMatrices = ['Muon', 'SOAP'].includes(Class.optimizerName);
  const optimizer = new Class(ofMatrices ? { data: w, shape: [1, 2] } : w, given);
  const points: [number, number][] = [[...start]];
  for (let step = 0; step < steps; step++) {
    const [x, y] = w as unknown as [number, number];
    g[0] = -2 * (1 - x) - 400 * x * (y - x * x);
    g[1] = 200 * (y - x * x);
    const loss = rosenbrock(x, y);
    if (Class.needsLoss && !Number.isFinite(loss)) break;
    optimizer.step(g, Class.needsLoss ? ({ loss } as object) : undefined);
    points.push([w[0]!, w[1]!]);
  }
  optimizer.dispose();
  const value = rosenbrock(w[0]!, w[1]!);
  return { lr: given['lr'] as number | undefined, points, value: Number.isFinite(value) ? value : Infinity };
}

const isInside = ({ points }: Path): boolean => points.every(([x, y]) => x > left && x < right && y > low && y < high);

/** The path inside the picture that ends lowest, over the learning rates; without one, if the class needs none. */
export function bestPath(name: string): Path {
  const Class = optimizers[name.toLowerCase()] as OptimizerClass;
  if (name === 'Adafactor') return walk(Class, {});
  const paths = rates.map((lr) => walk(Class, { lr, ...options[name] }));
  const inside = paths.filter(isInside);
  return (inside.length > 0 ? inside : paths).reduce((a, b) => (b.value < a.value ? b : a));
}

/** What the plot shows, as a sentence. */
export function caption(name: string, { lr, value }: Path): string {
  const given = Object.entries(options[name] ?? {}).map(([option, setting]) => `, \`${option}: ${setting}\``);
  const rate =
    lr === undefined
      ? 'with relative steps'
      : `with \`lr: ${lr}\`${given.join('')}, the best of 16 rates that stay in the picture`;
  const end = value < 1e-3 ? value.toExponential(0).replace('-', '−') : value.toPrecision(2);
  return `${steps} steps on Rosenbrock's function, f = (1 − x)² + 100·(y − x²)², ${rate}: f falls from 24 to ${end}. The cross is the minimum.`;
}

/** One closed contour: y = x² ± √((c − (1 − x)²)/100). */
function contour(level: number): string {
  // Beyond the picture, a vertical line closes it.
  const [from, to] = [Math.max(1 - Math.sqrt(level), left - 0.2), Math.min(1 + Math.sqrt(level), right + 0.2)];
  const xs = Array.from({ length: 61 }, (_, i) => (from + to) / 2 - ((to - from) / 2) * Math.cos((Math.PI * i) / 60));
  const half = (x: number): number => Math.sqrt(Math.max(0, level - (1 - x) ** 2) / 100);
  const upper = xs.map((x) => `${px(x)},${py(x * x + half(x))}`);
  const lower = xs.toReversed().map((x) => `${px(x)},${py(x * x - half(x))}`);
  return `M${[...upper, ...lower].join(' ')}Z`;
}

/** The plot as an SVG, with colours that suit both light and dark pages. */
export function pathPlot(name: string, { points }: Path): string {
  const pixels: [number, number][] = [];
  for (const [x, y] of points) {
    const at: [number, number] = [px(Math.min(Math.max(x, -9), 9)), py(Math.min(Math.max(y, -9), 9))];
    const last = pixels.at(-1);
    if (last === undefined || Math.hypot(at[0] - last[0], at[1] - last[1]) > 1) pixels.push(at);
  }
  const line = pixels.map((at) => at.join()).join(' ');
  const [x, y] = [px(1), py(1)];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Path of ${name} on Rosenbrock's function">
<style>path{fill:none;stroke:#a0a6ae;stroke-opacity:.55}polyline{fill:none;stroke:#2f7de1;stroke-width:2;stroke-linejoin:round}circle{fill:#2f7de1}.least{stroke:#d55e00;stroke-opacity:1;stroke-width:2.5}</style>
<path d="${[0.3, 2, 8, 25, 80, 250].map(contour).join('')}"/>
<polyline points="${line}"/>
<circle cx="${px(start[0])}" cy="${py(start[1])}" r="4"/>
<path class="least" d="M${x - 6} ${y - 6}L${x + 6} ${y + 6}M${x - 6} ${y + 6}L${x + 6} ${y - 6}"/>
</svg>
`;
}
