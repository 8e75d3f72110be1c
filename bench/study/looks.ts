import { hues, orderedColor } from '../report/theme.js';
import type { DescentJob, Method } from './job.js';
import { methods } from './methods.js';

/** How a line is drawn. The dash pattern makes lines distinguishable without colour. */
export interface Look {
  readonly color: string;
  readonly dash: readonly number[];
}

type Hue = 'blue' | 'vermilion' | 'green' | 'purple' | 'amber' | 'cyan' | 'pink' | 'black';

const dashes = {
  solid: [1, 0],
  long: [8, 3],
  dotted: [2, 2],
  dashed: [4, 4],
  dashDot: [8, 3, 2, 3],
  dashDots: [12, 3, 2, 3, 2, 3],
  dashDashDot: [8, 3, 8, 3, 2, 3],
} as const;

/** Names of lines that keep their look throughout the study. */
type Named = DescentJob['method'];

// No two are the same. Those that share a figure also differ in hue.
const named: { readonly [M in Named]?: readonly [Hue, keyof typeof dashes] } = {
  sgd: ['black', 'solid'],
  momentum: ['blue', 'long'],
  nesterov: ['cyan', 'dotted'],
  asgd: ['purple', 'dashDot'],
  schedulefreesgd: ['pink', 'dashDots'],
  adagrad: ['green', 'dashDot'],
  rmsprop: ['amber', 'dashed'],
  adadelta: ['blue', 'solid'],
  adafactor: ['pink', 'long'],
  ftrl: ['black', 'dotted'],
  adam: ['vermilion', 'solid'],
  uncorrectedAdam: ['blue', 'dashed'],
  adamw: ['blue', 'dotted'],
  adamax: ['green', 'long'],
  nadam: ['purple', 'dotted'],
  radam: ['amber', 'dashDot'],
  ademamix: ['cyan', 'dashed'],
  schedulefreeadamw: ['black', 'dashDots'],
  lars: ['green', 'solid'],
  lamb: ['purple', 'long'],
  lion: ['amber', 'solid'],
  rprop: ['pink', 'dotted'],
  optimisticgradientdescent: ['vermilion', 'dotted'],
  proximaladagrad: ['vermilion', 'dashed'],
  adagradda: ['cyan', 'solid'],
  madgrad: ['purple', 'dashed'],
  adabelief: ['blue', 'dashDots'],
  yogi: ['amber', 'long'],
  adamaxw: ['green', 'dashed'],
  stableadamw: ['vermilion', 'dashDot'],
  novograd: ['black', 'long'],
  adammini: ['vermilion', 'dashDashDot'],
  sm3: ['pink', 'dashDot'],
  adopt: ['purple', 'dashDots'],
  adan: ['amber', 'dotted'],
  simplifiedademamix: ['cyan', 'dashDot'],
  optimisticadam: ['pink', 'dashed'],
  sophia: ['green', 'dotted'],
  signsgd: ['blue', 'dashDot'],
  signum: ['cyan', 'long'],
  muon: ['vermilion', 'long'],
  prodigy: ['vermilion', 'dashDots'],
  cocob: ['black', 'dashed'],
  polyaksgd: ['purple', 'dashDashDot'],
  momo: ['cyan', 'dashDots'],
  momoadam: ['pink', 'dashDashDot'],
  shampoo: ['green', 'dashDots'],
  soap: ['cyan', 'dashDashDot'],
  dadaptadamw: ['blue', 'dashDashDot'],
  dog: ['green', 'dashDashDot'],
  dowg: ['amber', 'dashDashDot'],
  fromage: ['black', 'dashDashDot'],
  mars: ['black', 'dashDot'],
  sfo: ['purple', 'solid'],
  lbfgs: ['pink', 'solid'],
  hessianFree: ['amber', 'dashDots'],
};

const unnamed = (Object.keys(methods) as Method[]).filter((method) => named[method] === undefined);

/** The look of a method, the same in every figure. */
export function lookOf(method: Named): Look {
  const given = named[method];
  if (given !== undefined) return { color: `var(--${given[0]})`, dash: dashes[given[1]] };
  // Classes that no one has named yet: this pattern is none of the others.
  return { ...hueLook(unnamed.indexOf(method as Method)), dash: [16, 4] };
}

/** The look of the line number `i` of a figure whose lines are not methods. */
export function hueLook(i: number): Look {
  const patterns = Object.values(dashes);
  return {
    color: `var(--${hues[i % hues.length]?.name})`,
    dash: patterns[i % patterns.length] as readonly number[],
  };
}

/** The look of the line number `i` of `count` lines in order, such as learning rates. */
export function orderedLook(i: number, count: number): Look {
  return { color: orderedColor(count < 2 ? 0 : i / (count - 1)), dash: dashes.solid };
}
