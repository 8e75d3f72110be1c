/**
 * The float64 truth of the second family's element-wise classes, written from the papers and the documentation alone,
 * as in reference.ts. It must never import from lib/ or be adjusted to lib/.
 */

import { adamax, type Cell, type Formula, type Hyper, radamLength, radamRectification } from './reference.js';

/** A cell of AdaBelief, with the m before the step. */
export type Belief = Cell<'m' | 's' | 'before'>;

export const adabelief: Formula<'m' | 's'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-16 },
  decay: 'decoupled',
  stateNames: { m: 'expAvg', s: 'expAvgVar' },
  update(x, { lr, beta1, beta2, eps }, t) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * (x.g - x.m) ** 2 + eps;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  },
};

export const adabeliefRectified: Formula<'m' | 's'> = {
  ...adabelief,
  update(x, h, t) {
    const { lr, beta1, beta2, eps } = h;
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * (x.g - x.m) ** 2 + eps;
    if (radamLength(h, t) < 5) {
      x.w = x.w - lr * (x.m / (1 - beta1 ** t));
    } else {
      const rate = (lr * radamRectification(h, t) * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t);
      x.w = x.w - (rate * x.m) / (Math.sqrt(x.s) + eps);
    }
  },
};

export const yogi: Formula<'m' | 's'> = {
  defaults: { lr: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-3, initialAccumulatorValue: 1e-6 },
  decay: 'decoupled',
  stateNames: { m: 'expAvg', s: 'expAvgSq' },
  start: ({ initialAccumulatorValue }) => ({ s: initialAccumulatorValue }),
  update(x, { lr, beta1, beta2, eps }, t) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = x.s - (1 - beta2) * Math.sign(x.s - x.g ** 2) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  },
};

/** ADOPT's step: the decay is of the formula, because its first step has none. */
function adoptBy(limit: (t: number) => number, decays: boolean): Formula<'m' | 's'>['update'] {
  return (x, { lr, beta1, beta2, eps, weightDecay }, t) => {
    if (t === 1) {
      x.s = x.g ** 2;
      return;
    }
    const quotient = x.g / Math.max(Math.sqrt(x.s), eps);
    const normalized = Math.min(Math.max(quotient, -limit(t)), limit(t));
    if (decays) x.w = x.w * (1 - lr * weightDecay);
    x.m = beta1 * x.m + (1 - beta1) * normalized;
    x.w = x.w - lr * x.m;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
  };
}

const fourthRoot = (t: number): number => (t - 1) ** 0.25;

export const adopt: Formula<'m' | 's'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.9999, eps: 1e-6 },
  decay: 'L2',
  stateNames: { m: 'expAvg', s: 'expAvgSq' },
  update: adoptBy(fourthRoot, false),
};
export const adoptUnclipped: Formula<'m' | 's'> = { ...adopt, update: adoptBy(() => Number.POSITIVE_INFINITY, false) };
export const adoptDecoupled: Formula<'m' | 's'> = { ...adopt, decay: 'in formula', update: adoptBy(fourthRoot, true) };

type Adan = 'm' | 'v' | 's' | 'last';

/** The averages of a step, and its update u. */
export function adanDirection(x: Cell<Adan>, { beta1, beta2, beta3, eps }: Hyper, t: number): number {
  const y = t === 1 ? 0 : x.g - x.last;
  x.m = beta1 * x.m + (1 - beta1) * x.g;
  x.v = beta2 * x.v + (1 - beta2) * y;
  x.s = beta3 * x.s + (1 - beta3) * (x.g + beta2 * y) ** 2;
  x.last = x.g;
  return (x.m / (1 - beta1 ** t) + (beta2 * x.v) / (1 - beta2 ** t)) / (Math.sqrt(x.s / (1 - beta3 ** t)) + eps);
}

export const adan: Formula<Adan> = {
  defaults: { lr: 1e-3, beta1: 0.98, beta2: 0.92, beta3: 0.99, eps: 1e-8 },
  decay: 'in formula',
  stateNames: { m: 'expAvg', v: 'expAvgDiff', s: 'expAvgSq', last: 'previousGrad' },
  update(x, h, t) {
    x.w = (x.w - h.lr * adanDirection(x, h, t)) / (1 + h.lr * h.weightDecay);
  },
};

export const adanNoProx: Formula<Adan> = {
  ...adan,
  update(x, h, t) {
    x.w = x.w * (1 - h.lr * h.weightDecay) - h.lr * adanDirection(x, h, t);
  },
};

export const signSgd: Formula<never> = {
  defaults: { lr: 1e-3 },
  decay: 'decoupled',
  stateNames: {},
  update(x, { lr }) {
    x.w = x.w - lr * Math.sign(x.g);
  },
};

export const signum: Formula<'m'> = {
  defaults: { lr: 1e-3, momentum: 0.9 },
  decay: 'decoupled',
  stateNames: { m: 'expAvg' },
  update(x, { lr, momentum: mu }) {
    x.m = mu * x.m + (1 - mu) * x.g;
    x.w = x.w - lr * Math.sign(x.m);
  },
};

export const adamaxW: Formula<'m' | 'u'> = {
  ...adamax,
  defaults: { ...adamax.defaults, weightDecay: 1e-2 },
  decay: 'decoupled',
};

/** a/H, which is 0 where H is 0. */
const over = (a: number, H: number): number => (H === 0 ? 0 : a / H);

export const proximalAdagrad: Formula<'s'> = {
  defaults: { lr: 0.1, l1: 0, eps: 1e-3 },
  decay: 'none',
  stateNames: { s: 'sum' },
  update(x, { lr, l1, eps }) {
    x.s = x.s + x.g ** 2;
    const H = eps + Math.sqrt(x.s);
    const z = x.w - lr * over(x.g, H);
    x.w = Math.sign(z) * Math.max(Math.abs(z) - (l1 === 0 ? 0 : (lr * l1) / H), 0);
  },
};

export const adagradDa: Formula<'s' | 'a'> = {
  defaults: { lr: 0.1, l1: 0, eps: 1e-3 },
  decay: 'none',
  stateNames: { s: 'sum', a: 'gradSum' },
  update(x, { lr, l1, eps }, t) {
    x.s = x.s + x.g ** 2;
    x.a = x.a + x.g;
    const H = eps + Math.sqrt(x.s);
    x.w = -Math.sign(x.a) * over(lr * t, H) * Math.max(Math.abs(x.a) / t - l1, 0);
  },
};

export const optimisticGradientDescent: Formula<'last'> = {
  defaults: { lr: 0.1, alpha: 1, beta: 1 },
  decay: 'decoupled',
  stateNames: { last: 'previousGrad' },
  update(x, { lr, alpha, beta }, t) {
    if (t === 1) x.last = x.g;
    x.w = x.w - lr * ((alpha + beta) * x.g - beta * x.last);
    x.last = x.g;
  },
};

/** Steps by the updates u of another formula. */
function optimistic(
  direction: (x: Cell<'m' | 's'>, h: Hyper, t: number) => number,
): Formula<'m' | 's' | 'last'>['update'] {
  return (x, h, t) => {
    x.m = h.beta1 * x.m + (1 - h.beta1) * x.g;
    x.s = h.beta2 * x.s + (1 - h.beta2) * x.g ** 2;
    const u = direction(x, h, t) / (Math.sqrt(x.s / (1 - h.beta2 ** t)) + h.eps);
    if (t === 1) x.last = u;
    x.w = x.w - h.lr * ((h.alpha + h.beta) * u - h.beta * x.last);
    x.last = u;
  };
}

export const optimisticAdam: Formula<'m' | 's' | 'last'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, alpha: 1, beta: 1 },
  decay: 'decoupled',
  stateNames: { m: 'expAvg', s: 'expAvgSq', last: 'previousUpdate' },
  update: optimistic(({ m }, { beta1 }, t) => m / (1 - beta1 ** t)),
};

export const optimisticAdamNesterov: Formula<'m' | 's' | 'last'> = {
  ...optimisticAdam,
  update: optimistic(
    ({ m, g }, { beta1 }, t) => (beta1 * m) / (1 - beta1 ** (t + 1)) + ((1 - beta1) * g) / (1 - beta1 ** t),
  ),
};

export const simplifiedAdemamix: Formula<'m' | 's'> = {
  defaults: { lr: 1e-4, beta1: 0.99, beta2: 0.95, alpha: 0, eps: 1e-8 },
  decay: 'decoupled',
  stateNames: { m: 'expAvg', s: 'expAvgSq' },
  update(x, { lr, beta1, beta2, alpha, eps }, t) {
    x.m = beta1 * x.m + x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * (x.m + alpha * x.g)) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  },
};

/** How an estimate of the Hessian's diagonal follows from t and g, in golden runs; null for none. */
type Estimate = (t: number, g: number) => number | null;

export function sophiaWith(estimate: Estimate): Formula<'m' | 'H'> {
  return {
    defaults: { lr: 1e-4, beta1: 0.965, beta2: 0.99, gamma: 0.05, eps: 1e-12, weightDecay: 0.1 },
    decay: 'decoupled',
    stateNames: { m: 'expAvg', H: 'hessian' },
    update(x, { lr, beta1, beta2, gamma, eps }, t) {
      const h = estimate(t, x.g);
      if (h !== null) x.H = beta2 * x.H + (1 - beta2) * h;
      x.m = beta1 * x.m + (1 - beta1) * x.g;
      x.w = x.w - lr * Math.min(Math.max(x.m / Math.max(gamma * x.H, eps), -1), 1);
    },
  };
}

/** In steps 1, 4, 7, … the estimate is |g|, which is exact in float32. */
export const everyThird: Estimate = (t, g) => (t % 3 === 1 ? Math.abs(g) : null);
export const sophia = sophiaWith(everyThird);
export const sophiaWithoutEstimates = sophiaWith(() => null);

export const cocob: Formula<'L' | 'G' | 'R' | 'theta' | 'w0'> = {
  defaults: { lr: 1, alpha: 100, eps: 1e-8 },
  decay: 'L2',
  stateNames: { L: 'scale', G: 'gradAbsSum', R: 'reward', theta: 'gradSum', w0: 'initialParam' },
  start: ({ eps }, w) => ({ L: eps, w0: w }),
  update(x, { lr, alpha }) {
    const g = lr * x.g;
    x.L = Math.max(x.L, Math.abs(g));
    x.G = x.G + Math.abs(g);
    x.R = Math.max(x.R - g * (x.w - x.w0), 0);
    x.theta = x.theta - g;
    x.w = x.w0 + (x.theta / (x.L * Math.max(x.G + x.L, alpha * x.L))) * (x.L + x.R);
  },
};

export type MadgradCell = Cell<'G' | 'z' | 'w0'>;

function madgradBy(decays: boolean): Formula<'G' | 'z' | 'w0'>['update'] {
  return (x, { lr, momentum: mu, eps, weightDecay }, t) => {
    const e = lr === 0 ? 0 : lr + eps;
    const c = e * Math.sqrt(t);
    x.G = x.G + c * x.g ** 2;
    x.z = x.z + c * x.g;
    const before = x.w;
    x.w = mu * before + (1 - mu) * (x.w0 - over(x.z, Math.cbrt(x.G) + eps));
    if (decays) x.w = x.w - e * weightDecay * before;
  };
}

export const madgrad: Formula<'G' | 'z' | 'w0'> = {
  defaults: { lr: 1e-2, momentum: 0.9, eps: 1e-6 },
  decay: 'L2',
  stateNames: { G: 'gradSumSq', z: 's', w0: 'x0' },
  start: (_, w) => ({ w0: w }),
  update: madgradBy(false),
};
export const madgradDecoupled: Formula<'G' | 'z' | 'w0'> = { ...madgrad, decay: 'in formula', update: madgradBy(true) };
