// Draws docs/guide/schedules.svg, a small plot of each schedule. A test compares the file with this script's output.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as s from '../lib/schedules/index.js';

export const plotsPath = join(__dirname, '..', 'docs', 'guide', 'schedules.svg');

/** The schedules to draw, over steps 1 to 100. */
const drawn: Readonly<Record<string, (step: number) => number>> = {
  constant: s.constant(1),
  stepDecay: s.stepDecay(1, { every: 25, factor: 0.5 }),
  exponentialDecay: s.exponentialDecay(1, { rate: 0.04 }),
  inverseTimeDecay: s.inverseTimeDecay(1, { rate: 0.1 }),
  piecewiseConstant: s.piecewiseConstant({ boundaries: [20, 60], values: [1, 0.4, 0.1] }),
  linear: s.linear(1, { from: 1, to: 0, steps: 100 }),
  polynomial: s.polynomial(1, { steps: 100, power: 2 }),
  cosine: s.cosine(1, { steps: 100 }),
  cosineWarmRestarts: s.cosineWarmRestarts(1, { first: 14, multiplier: 2 }),
  cyclic: s.cyclic({ base: 0.1, max: 1, stepsUp: 16, mode: 'triangular2' }),
  oneCycle: s.oneCycle(1, { totalSteps: 100 }),
  swaAnnealing: s.swaAnnealing(1, { swaLr: 0.5, annealSteps: 60 }),
  warmup: s.warmup(s.cosine(1, { steps: 80 }), { steps: 20 }),
  warmupStableDecay: s.warmupStableDecay(1, { warmup: 10, stable: 60, decay: 30 }),
  cyclicMomentum: s.cyclicMomentum({ stepsUp: 25, base: 0.6, max: 0.95 }),
  oneCycleMomentum: s.oneCycleMomentum({ totalSteps: 100, base: 0.6 }),
  nesterovMomentum: (step) => s.nesterovMomentum()(step * 50), // in steps of 50, because it changes over thousands
  multiplicative: s.multiplicative(1, (k) => (k % 20 < 10 ? 0.95 : 1)),
  multiply: s.multiply(s.cosine(1, { steps: 100 }), s.stepDecay(1, { every: 50, factor: 0.5 })),
  sequence: s.sequence([s.constant(0.5), s.cosine(1, { steps: 60 })], { boundaries: [40] }),
  perEpoch: s.perEpoch(s.exponentialDecay(1, { gamma: 0.7 }), 10),
};

const [width, height, columns, margin] = [170, 80, 4, 14];

function panel(name: string, schedule: (step: number) => number, i: number): string {
  const x = (i % columns) * (width + margin) + margin;
  const y = Math.floor(i / columns) * (height + 36) + 24;
  const points = Array.from({ length: 100 }, (_, k) => {
    const value = schedule(k + 1);
    return `${((width * k) / 99).toFixed(1)},${(height * (1 - value)).toFixed(1)}`;
  });
  return `<g transform="translate(${x} ${y})"><text y="-7">${name}</text><path d="M0 0V${height}H${width}"/><polyline points="${points.join(' ')}"/></g>`;
}

/** The plots as an SVG, with colours that suit both light and dark pages. */
export function schedulePlots(): string {
  const panels = Object.entries(drawn).map(([name, schedule], i) => panel(name, schedule, i));
  const size = [columns * (width + margin) + margin, Math.ceil(panels.length / columns) * (height + 36) + 10];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(' ')}" width="${size[0]}" height="${size[1]}" role="img" aria-label="Each schedule over 100 steps, from 0 to 1">
<style>text{font:13px sans-serif;fill:#808890}path{fill:none;stroke:#a0a6ae}polyline{fill:none;stroke:#2f7de1;stroke-width:2;stroke-linejoin:round}</style>
${panels.join('\n')}
</svg>
`;
}

if (process.argv[1] === __filename) writeFileSync(plotsPath, schedulePlots());
