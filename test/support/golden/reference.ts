/**
 * The float64 truth of the optimizers, written from the papers and the documentation alone.
 * It must never import from lib/ or be adjusted to lib/, because its value is its independence.
 */

import { shapeOf } from './data.js';

export type Schedule = (step: number) => number;
export type Scalar = number | Schedule;

/** The options that golden runs use, under the library's names. */
export interface Options {
  lr?: Scalar;
  weightDecay?: Scalar;
  maximize?: boolean;
  clipNorm?: number;
  clipValue?: Scalar;
  ema?: number;
  momentum?: Scalar;
  nesterov?: boolean;
  momentumForm?: 'velocity' | 'buffer';
  dampening?: Scalar;
  lrDecay?: Scalar;
  initialAccumulatorValue?: number;
  alpha?: Scalar;
  centered?: boolean;
  eps?: Scalar;
  betas?: readonly [Scalar, Scalar, Scalar?];
  amsgrad?: boolean;
  biasCorrection?: boolean;
  rho?: Scalar;
  momentumDecay?: Scalar;
  decoupledWeightDecay?: boolean;
  alphaSteps?: number;
  beta3Steps?: number;
  etas?: readonly [Scalar, Scalar];
  stepSizes?: readonly [Scalar, Scalar];
  beta?: Scalar;
  l1?: Scalar;
  l2?: Scalar;
  lambd?: Scalar;
  t0?: Scalar;
  warmupSteps?: number;
  r?: Scalar;
  weightLrPower?: Scalar;
  trustCoefficient?: Scalar;
  clamp?: Scalar;
  eps1?: Scalar;
  eps2?: Scalar;
  clipThreshold?: Scalar;
  decayRate?: Scalar;
  beta1?: Scalar;
  scaleParameter?: boolean;
  warmupInit?: boolean;
  rectify?: boolean;
  useClipping?: boolean;
  noProx?: boolean;
  gamma?: Scalar;
  gradAveraging?: boolean;
}

/** The hyper-parameters of one step. A missing one is NaN, so that a wrong use shows. */
export interface Hyper {
  lr: number;
  weightDecay: number;
  clipValue: number;
  momentum: number;
  /** momentum at this param's previous update */
  previousMomentum: number;
  dampening: number;
  lrDecay: number;
  initialAccumulatorValue: number;
  alpha: number;
  eps: number;
  beta1: number;
  beta2: number;
  beta3: number;
  rho: number;
  momentumDecay: number;
  alphaSteps: number;
  beta3Steps: number;
  etaMinus: number;
  etaPlus: number;
  minStep: number;
  maxStep: number;
  /** FTRL's */
  beta: number;
  l1: number;
  l2: number;
  lambd: number;
  t0: number;
  warmupSteps: number;
  r: number;
  weightLrPower: number;
  /** LARS's */
  trustCoefficient: number;
  /** LAMB's */
  clamp: number;
  /** Adafactor's; lr is NaN if it is not given */
  eps1: number;
  eps2: number;
  clipThreshold: number;
  decayRate: number;
  scaleParameter: boolean;
  warmupInit: boolean;
  /** Sophia's */
  gamma: number;
  /** NovoGrad's */
  gradAveraging: boolean;
}

/** One element: weight, gradient (after the common prologue), average of the weights, and state by name. */
export type Cell<State extends string = never> = Record<'w' | 'g' | 'ema', number> & Record<State, number>;

export interface Formula<State extends string = string> {
  defaults: Partial<Hyper>;
  /** 'in formula': the update itself decays. */
  decay: 'L2' | 'decoupled' | 'in formula' | 'none';
  /** The names in stateDict of the formula's letters. null: not an array there. */
  stateNames: Readonly<Record<State, string | null>>;
  /** For state without one number per element: the elements of a param of this length whose cells hold its numbers. */
  elements?: Partial<Record<State, (length: number) => number[]>>;
  /** The state that averagedParams shows. */
  averaged?: State;
  /** Initializes state that does not start at 0, in the first step of a param. */
  start?(h: Hyper, w: number): Partial<Record<State, number>>;
  /** For a formula with norms of the whole param: runs before the updates, and stores the norms in each element. */
  measure?(param: readonly Cell<State>[], h: Hyper, t: number): void;
  update(x: Cell<State>, h: Hyper, t: number): void;
}

// --- SGD ------------------------------------------------------------------------------------------------------------

export const sgd: Formula<never> = {
  defaults: {},
  decay: 'L2',
  stateNames: {},
  update(x, { lr }) {
    x.w = x.w - lr * x.g;
  },
};

/** The textbook's momentum: lr inside the velocity. */
export const momentum: Formula<'v'> = {
  defaults: {},
  decay: 'L2',
  stateNames: { v: 'velocity' },
  update(x, { lr, momentum: mu }) {
    x.v = mu * x.v - lr * x.g;
    x.w = x.w + x.v;
  },
};

/** The documented line for a constant momentum. */
export const nesterov: Formula<'v'> = {
  ...momentum,
  update(x, { lr, momentum: mu }) {
    const next = mu * x.v - lr * x.g;
    x.w = x.w - mu * x.v + (1 + mu) * next;
    x.v = next;
  },
};

/** Changing momentum: the velocity decays by the old momentum, and the look-ahead uses the new one. */
export const nesterovChanging: Formula<'v'> = {
  ...momentum,
  update(x, { lr, momentum: mu, previousMomentum }) {
    x.v = previousMomentum * x.v - lr * x.g;
    x.w = x.w + mu * x.v - lr * x.g;
  },
};

/** PyTorch's momentum: lr outside; the first gradient enters undamped. */
/** As torch.optim.SGD: the buffer is None until the first step with a momentum, and steps without one leave it alone. */
export const buffer: Formula<'b' | 'has'> = {
  defaults: { dampening: 0 },
  decay: 'L2',
  stateNames: { b: 'momentumBuffer', has: null },
  update(x, { lr, momentum: mu, dampening }) {
    if (mu === 0) {
      x.w = x.w - lr * x.g;
      return;
    }
    x.b = x.has === 0 ? x.g : mu * x.b + (1 - dampening) * x.g;
    x.has = 1;
    x.w = x.w - lr * x.b;
  },
};

export const bufferNesterov: Formula<'b' | 'has'> = {
  ...buffer,
  update(x, { lr, momentum: mu }) {
    if (mu === 0) {
      x.w = x.w - lr * x.g;
      return;
    }
    x.b = x.has === 0 ? x.g : mu * x.b + x.g;
    x.has = 1;
    x.w = x.w - lr * (x.g + mu * x.b);
  },
};

// --- Adagrad --------------------------------------------------------------------------------------------------------

export const adagrad: Formula<'s'> = {
  defaults: { lr: 1e-2, eps: 1e-10, lrDecay: 0, initialAccumulatorValue: 0 },
  decay: 'L2',
  stateNames: { s: 'sum' },
  start: (h) => ({ s: h.initialAccumulatorValue }),
  update(x, { lr, eps, lrDecay }, t) {
    x.s = x.s + x.g ** 2;
    x.w = x.w - ((lr / (1 + (t - 1) * lrDecay)) * x.g) / (Math.sqrt(x.s) + eps);
  },
};

// --- RMSprop --------------------------------------------------------------------------------------------------------

export const rmsprop: Formula<'s'> = {
  defaults: { lr: 1e-2, alpha: 0.99, eps: 1e-8, momentum: 0 },
  decay: 'L2',
  stateNames: { s: 'squareAvg' },
  update(x, { lr, alpha, eps }) {
    x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
    x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
  },
};

export const rmspropCentered: Formula<'s' | 'a'> = {
  ...rmsprop,
  stateNames: { s: 'squareAvg', a: 'gradAvg' },
  update(x, { lr, alpha, eps }) {
    x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
    x.a = alpha * x.a + (1 - alpha) * x.g;
    x.w = x.w - (lr * x.g) / (Math.sqrt(Math.max(x.s - x.a ** 2, 0)) + eps);
  },
};

export const rmspropMomentum: Formula<'s' | 'b'> = {
  ...rmsprop,
  stateNames: { s: 'squareAvg', b: 'momentumBuffer' },
  update(x, { lr, alpha, eps, momentum: mu }) {
    x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
    x.b = mu * x.b + x.g / (Math.sqrt(x.s) + eps);
    x.w = x.w - lr * x.b;
  },
};

export const rmspropCenteredMomentum: Formula<'s' | 'a' | 'b'> = {
  ...rmsprop,
  stateNames: { s: 'squareAvg', a: 'gradAvg', b: 'momentumBuffer' },
  update(x, { lr, alpha, eps, momentum: mu }) {
    x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
    x.a = alpha * x.a + (1 - alpha) * x.g;
    x.b = mu * x.b + x.g / (Math.sqrt(Math.max(x.s - x.a ** 2, 0)) + eps);
    x.w = x.w - lr * x.b;
  },
};

// --- Adam, AdamW ----------------------------------------------------------------------------------------------------

export const adam: Formula<'m' | 's'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
  decay: 'L2',
  stateNames: { m: 'expAvg', s: 'expAvgSq' },
  update(x, { lr, beta1, beta2, eps }, t) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  },
};

export const adamUncorrected: Formula<'m' | 's'> = {
  ...adam,
  update(x, { lr, beta1, beta2, eps }) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * x.m) / (Math.sqrt(x.s) + eps);
  },
};

export const amsgrad: Formula<'m' | 's' | 'sMax'> = {
  ...adam,
  stateNames: { m: 'expAvg', s: 'expAvgSq', sMax: 'maxExpAvgSq' },
  update(x, { lr, beta1, beta2, eps }, t) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.sMax = Math.max(x.sMax, x.s);
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.sMax) / Math.sqrt(1 - beta2 ** t) + eps);
  },
};

export const amsgradUncorrected: Formula<'m' | 's' | 'sMax'> = {
  ...amsgrad,
  update(x, { lr, beta1, beta2, eps }) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.sMax = Math.max(x.sMax, x.s);
    x.w = x.w - (lr * x.m) / (Math.sqrt(x.sMax) + eps);
  },
};

const decoupled = { decay: 'decoupled', defaults: { ...adam.defaults, weightDecay: 1e-2 } } as const;
export const adamW: Formula<'m' | 's'> = { ...adam, ...decoupled };
export const adamWUncorrected: Formula<'m' | 's'> = { ...adamUncorrected, ...decoupled };
export const adamWAmsgrad: Formula<'m' | 's' | 'sMax'> = { ...amsgrad, ...decoupled };

// --- The family -----------------------------------------------------------------------------------------------------

export const adadelta: Formula<'s' | 'u'> = {
  defaults: { lr: 1, rho: 0.9, eps: 1e-6 },
  decay: 'L2',
  stateNames: { s: 'squareAvg', u: 'accDelta' },
  update(x, { lr, rho, eps }) {
    x.s = rho * x.s + (1 - rho) * x.g ** 2;
    const delta = (x.g * Math.sqrt(x.u + eps)) / Math.sqrt(x.s + eps);
    x.u = rho * x.u + (1 - rho) * delta ** 2;
    x.w = x.w - lr * delta;
  },
};

export const adamax: Formula<'m' | 'u'> = {
  defaults: { lr: 2e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
  decay: 'L2',
  stateNames: { m: 'expAvg', u: 'expInf' },
  update(x, { lr, beta1, beta2, eps }, t) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.u = Math.max(beta2 * x.u, Math.abs(x.g) + eps);
    x.w = x.w - ((lr / (1 - beta1 ** t)) * x.m) / x.u;
  },
};

// --- TensorFlow.js's, from the source of tfjs-core 4.22 --------------------------------------------------------------

export const tfAdagrad: Formula<'s'> = {
  defaults: { eps: 1e-7, initialAccumulatorValue: 0.1 },
  decay: 'L2',
  stateNames: { s: 'sum' },
  start: (h) => ({ s: h.initialAccumulatorValue }),
  update(x, { lr, eps }) {
    x.s = x.s + x.g ** 2;
    x.w = x.w - lr * (x.g / Math.sqrt(x.s + eps));
  },
};

export const tfAdadelta: Formula<'s' | 'u'> = {
  defaults: { lr: 1e-3, rho: 0.95, eps: 1e-7 },
  decay: 'L2',
  stateNames: { s: 'squareAvg', u: 'accDelta' },
  update(x, { lr, rho, eps }) {
    const delta = (x.g * Math.sqrt(x.u + eps)) / Math.sqrt(x.s + eps);
    x.s = rho * x.s + (1 - rho) * x.g ** 2;
    x.u = rho * x.u + (1 - rho) * delta ** 2;
    x.w = x.w - lr * delta;
  },
};

export const tfAdam: Formula<'m' | 's'> = { ...adam, defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-7 } };

export const tfAdamax: Formula<'m' | 'u'> = {
  defaults: { lr: 2e-3, beta1: 0.9, beta2: 0.999, eps: 1e-7, lrDecay: 0 },
  decay: 'L2',
  stateNames: { m: 'expAvg', u: 'expInf' },
  update(x, { lr, beta1, beta2, eps, lrDecay }, t) {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.u = Math.max(beta2 * x.u, Math.abs(x.g));
    x.w = x.w - (lr / (1 + (t - 1) * lrDecay) / (1 - beta1 ** t)) * (x.m / (x.u + eps));
  },
};

export const tfRmsprop: Formula<'s' | 'b'> = {
  defaults: { alpha: 0.9, eps: 1e-7, momentum: 0 },
  decay: 'L2',
  stateNames: { s: 'squareAvg', b: 'momentumBuffer' },
  update(x, { lr, alpha, eps, momentum: mu }) {
    x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
    x.b = mu * x.b + (lr * x.g) / Math.sqrt(x.s + eps);
    x.w = x.w - x.b;
  },
};

/** mu_t */
export function nadamMomentum({ beta1, momentumDecay }: Hyper, t: number): number {
  return beta1 * (1 - 0.96 ** (t * momentumDecay) / 2);
}

export const nadam: Formula<'m' | 's' | 'product'> = {
  defaults: { lr: 2e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, momentumDecay: 4e-3 },
  decay: 'L2',
  stateNames: { m: 'expAvg', s: 'expAvgSq', product: null },
  start: () => ({ product: 1 }),
  update(x, h, t) {
    const { lr, beta1, beta2, eps } = h;
    const [mu, next] = [nadamMomentum(h, t), nadamMomentum(h, t + 1)];
    x.product = x.product * mu;
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    const ahead = ((1 - mu) * x.g) / (1 - x.product) + (next * x.m) / (1 - x.product * next);
    x.w = x.w - (lr * ahead) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  },
};

export const nadamDecoupled: Formula<'m' | 's' | 'product'> = { ...nadam, decay: 'decoupled' };

/** rho_t; at t = Infinity what it tends to */
export function radamLength({ beta2 }: Hyper, t: number): number {
  const longest = 2 / (1 - beta2) - 1;
  return t === Number.POSITIVE_INFINITY ? longest : longest - (2 * t * beta2 ** t) / (1 - beta2 ** t);
}

/** r */
export function radamRectification(h: Hyper, t: number): number {
  const [rho, longest] = [radamLength(h, t), radamLength(h, Number.POSITIVE_INFINITY)];
  return Math.sqrt(((rho - 4) * (rho - 2) * longest) / ((longest - 4) * (longest - 2) * rho));
}

export const radam: Formula<'m' | 's'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
  decay: 'L2',
  stateNames: { m: 'expAvg', s: 'expAvgSq' },
  update(x, h, t) {
    const { lr, beta1, beta2, eps } = h;
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    const corrected = x.m / (1 - beta1 ** t);
    if (radamLength(h, t) > 5) {
      const adaptive = Math.sqrt(1 - beta2 ** t) / (Math.sqrt(x.s) + eps);
      x.w = x.w - lr * corrected * radamRectification(h, t) * adaptive;
    } else {
      x.w = x.w - lr * corrected;
    }
  },
};

export const radamDecoupled: Formula<'m' | 's'> = { ...radam, decay: 'decoupled' };

export const lion: Formula<'m'> = {
  defaults: { lr: 1e-4, beta1: 0.9, beta2: 0.99 },
  decay: 'decoupled',
  stateNames: { m: 'expAvg' },
  update(x, { lr, beta1, beta2 }) {
    x.w = x.w - lr * Math.sign(beta1 * x.m + (1 - beta1) * x.g);
    x.m = beta2 * x.m + (1 - beta2) * x.g;
  },
};

/** beta_3(t), as the paper writes it */
export function ademamixBeta3({ beta1, beta3, beta3Steps }: Hyper, t: number): number {
  if (beta3Steps === 0) return beta3;
  const [x, slow, fast] = [t / beta3Steps, Math.log(beta3), Math.log(beta1)];
  return Math.min(Math.exp((fast * slow) / ((1 - x) * slow + x * fast)), beta3);
}

/** alpha(t) */
export function ademamixAlpha({ alpha, alphaSteps }: Hyper, t: number): number {
  return alphaSteps === 0 ? alpha : Math.min((t * alpha) / alphaSteps, alpha);
}

export const ademamix: Formula<'m' | 'slow' | 's'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, beta3: 0.9999, alpha: 5, eps: 1e-8, alphaSteps: 0, beta3Steps: 0 },
  decay: 'in formula',
  stateNames: { m: 'expAvgFast', slow: 'expAvgSlow', s: 'expAvgSq' },
  update(x, h, t) {
    const { lr, beta1, beta2, eps, weightDecay } = h;
    const beta3 = ademamixBeta3(h, t);
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.slow = beta3 * x.slow + (1 - beta3) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    const mixed = x.m / (1 - beta1 ** t) + ademamixAlpha(h, t) * x.slow;
    x.w = x.w - lr * (mixed / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps) + weightDecay * x.w);
  },
};

export const rprop: Formula<'previous' | 'step'> = {
  defaults: { lr: 1e-2, etaMinus: 0.5, etaPlus: 1.2, minStep: 1e-6, maxStep: 50 },
  decay: 'none',
  stateNames: { previous: 'prev', step: 'stepSize' },
  start: ({ lr }) => ({ step: lr }),
  update(x, { etaMinus, etaPlus, minStep, maxStep }) {
    const agreement = Math.sign(x.g) * Math.sign(x.previous);
    if (agreement > 0) x.step = x.step * etaPlus;
    if (agreement < 0) x.step = x.step * etaMinus;
    x.step = Math.min(Math.max(x.step, minStep), maxStep);
    const g = agreement < 0 ? 0 : x.g;
    x.w = x.w - Math.sign(g) * x.step;
    x.previous = g;
  },
};

export const ftrl: Formula<'z' | 'n'> = {
  defaults: { lr: 0.05, beta: 1, initialAccumulatorValue: 0.1, l1: 0, l2: 0 },
  decay: 'none',
  stateNames: { z: 'z', n: 'n' },
  start: ({ lr, beta, initialAccumulatorValue: n, l1, l2 }, w) => ({
    n,
    z: -w * ((beta + Math.sqrt(n)) / lr + l2) - Math.sign(w) * l1,
  }),
  update(x, { lr, beta, l1, l2 }) {
    const n = x.n + x.g ** 2;
    const sigma = (Math.sqrt(n) - Math.sqrt(x.n)) / lr;
    x.z = x.z + x.g - sigma * x.w;
    x.n = n;
    x.w = Math.abs(x.z) <= l1 ? 0 : -(x.z - Math.sign(x.z) * l1) / ((beta + Math.sqrt(n)) / lr + l2);
  },
};

export const asgd: Formula<'ax' | 'eta' | 'mu'> = {
  defaults: { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6 },
  decay: 'L2',
  stateNames: { ax: 'ax', eta: null, mu: null },
  averaged: 'ax',
  start: ({ lr }) => ({ eta: lr, mu: 1 }),
  update(x, { lr, lambd, alpha, t0 }, t) {
    x.w = x.w * (1 - lambd * x.eta) - x.eta * x.g;
    x.ax = x.ax + x.mu * (x.w - x.ax);
    x.eta = lr / (1 + lambd * lr * t) ** alpha;
    x.mu = 1 / Math.max(1, t - t0);
  },
};

type Averaging = 'z' | 'x' | 'lrMax' | 'sum';

/** The lr of step t, in its warm-up */
export function warmed({ lr, warmupSteps }: Hyper, t: number): number {
  return t <= warmupSteps ? (lr * t) / warmupSteps : lr;
}

/** c, and what it needs of the steps before */
export function averagingWeight(x: Record<'lrMax' | 'sum', number>, h: Hyper, t: number): number {
  x.lrMax = Math.max(x.lrMax, warmed(h, t));
  const weight = t ** h.r * x.lrMax ** h.weightLrPower;
  x.sum = x.sum + weight;
  return weight / x.sum;
}

const averaging = {
  averaged: 'x' as const,
  defaults: { warmupSteps: 0, r: 0, weightLrPower: 2 },
  start: (_: Hyper, w: number): Record<Averaging, number> => ({ z: w, x: w, lrMax: 0, sum: 0 }),
};

/** Params hold y. */
export const scheduleFreeSgd: Formula<Averaging> = {
  ...averaging,
  defaults: { ...averaging.defaults, lr: 1, momentum: 0.9 },
  decay: 'L2',
  stateNames: { z: 'z', x: 'x', lrMax: null, sum: null },
  update(x, h, t) {
    x.z = x.z - warmed(h, t) * x.g;
    const c = averagingWeight(x, h, t);
    x.x = (1 - c) * x.x + c * x.z;
    x.w = (1 - h.momentum) * x.z + h.momentum * x.x;
  },
};

export const scheduleFreeAdamw: Formula<Averaging | 's'> = {
  ...averaging,
  defaults: { ...averaging.defaults, lr: 2.5e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
  decay: 'in formula',
  stateNames: { ...scheduleFreeSgd.stateNames, s: 'expAvgSq' },
  update(x, h, t) {
    const { beta1, beta2, eps, weightDecay } = h;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    const u = x.g / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps) + weightDecay * x.w;
    x.z = x.z - warmed(h, t) * u;
    const c = averagingWeight(x, h, t);
    x.x = (1 - c) * x.x + c * x.z;
    x.w = (1 - beta1) * x.z + beta1 * x.x;
  },
};

/** Norm over one param. */
export function paramNorm<State extends string>(param: readonly Cell<State>[], of: (x: Cell<State>) => number): number {
  return Math.sqrt(param.reduce((sum, x) => sum + of(x) ** 2, 0));
}

export const lars: Formula<'v' | 'ratio'> = {
  defaults: { momentum: 0.9, trustCoefficient: 1e-3 },
  decay: 'in formula',
  stateNames: { v: 'momentumBuffer', ratio: null },
  measure(param, { trustCoefficient, weightDecay }) {
    const [w, g] = [paramNorm(param, (x) => x.w), paramNorm(param, (x) => x.g)];
    for (const x of param) x.ratio = w === 0 || g === 0 ? 1 : (trustCoefficient * w) / (g + weightDecay * w);
  },
  update(x, { lr, momentum: mu, weightDecay }) {
    x.v = mu * x.v + lr * x.ratio * (x.g + weightDecay * x.w);
    x.w = x.w - x.v;
  },
};

export const lamb: Formula<'m' | 's' | 'u' | 'ratio'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-6, clamp: Number.POSITIVE_INFINITY },
  decay: 'in formula',
  stateNames: { m: 'expAvg', s: 'expAvgSq', u: null, ratio: null },
  measure(param, { beta1, beta2, eps, weightDecay, clamp }, t) {
    for (const x of param) {
      x.m = beta1 * x.m + (1 - beta1) * x.g;
      x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
      x.u = x.m / (1 - beta1 ** t) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps) + weightDecay * x.w;
    }
    const [w, u] = [paramNorm(param, (x) => x.w), paramNorm(param, (x) => x.u)];
    for (const x of param) x.ratio = w === 0 || u === 0 ? 1 : Math.min(w, clamp) / u;
  },
  update(x, { lr }) {
    x.w = x.w - lr * x.ratio * x.u;
  },
};

export const lambUncorrected: Formula<'m' | 's' | 'u' | 'ratio'> = {
  ...lamb,
  measure(param, { beta1, beta2, eps, weightDecay, clamp }) {
    for (const x of param) {
      x.m = beta1 * x.m + (1 - beta1) * x.g;
      x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
      x.u = x.m / (Math.sqrt(x.s) + eps) + weightDecay * x.w;
    }
    const [w, u] = [paramNorm(param, (x) => x.w), paramNorm(param, (x) => x.u)];
    for (const x of param) x.ratio = w === 0 || u === 0 ? 1 : Math.min(w, clamp) / u;
  },
};

type Adafactor = 'V' | 'u' | 'alpha';

/** ρ */
export function adafactorRho({ lr, warmupInit }: Hyper, t: number): number {
  return Number.isNaN(lr) ? Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) : lr;
}

/** β̂₂ */
export function adafactorBeta2({ decayRate }: Hyper, t: number): number {
  return 1 - t ** decayRate;
}

/** Root mean square over one param. */
export function rms<State extends string>(param: readonly Cell<State>[], of: (x: Cell<State>) => number): number {
  return paramNorm(param, of) / Math.sqrt(param.length);
}

/** From V: the clipped update and its rate. */
export function adafactorUpdate(param: readonly Cell<Adafactor>[], h: Hyper, t: number): void {
  const rho = adafactorRho(h, t);
  const alpha = h.scaleParameter
    ? rho *
      Math.max(
        h.eps2,
        rms(param, (x) => x.w),
      )
    : rho;
  for (const x of param) x.u = x.g / Math.sqrt(x.V);
  const excess = Math.max(1, rms(param, (x) => x.u) / h.clipThreshold);
  for (const x of param) Object.assign(x, { u: x.u / excess, alpha });
}

export const adafactor: Formula<Adafactor> = {
  defaults: { eps1: 1e-30, eps2: 1e-3, clipThreshold: 1, decayRate: -0.8 },
  decay: 'in formula',
  stateNames: { V: 'squareAvg', u: null, alpha: null },
  measure(param, h, t) {
    const beta2 = adafactorBeta2(h, t);
    for (const x of param) x.V = beta2 * x.V + (1 - beta2) * (x.g ** 2 + h.eps1);
    adafactorUpdate(param, h, t);
  },
  update(x, { weightDecay }) {
    x.w = x.w * (1 - x.alpha * weightDecay) - x.alpha * x.u;
  },
};

/** R and C of an element: those of its row and of its column. */
export function adafactorMeans(param: readonly Cell<Adafactor | 'R' | 'C'>[], h: Hyper, t: number): number {
  const [rows, columns] = shapeOf(param.length);
  const beta2 = adafactorBeta2(h, t);
  const mean = (isIn: (i: number) => boolean): number => {
    const some = param.filter((_, i) => isIn(i));
    return some.reduce((sum, x) => sum + x.g ** 2 + h.eps1, 0) / some.length;
  };
  const [row, column] = [(i: number) => Math.floor(i / columns), (i: number) => i % columns];
  const means = {
    rows: Array.from({ length: rows }, (_, r) => mean((i) => row(i) === r)),
    columns: Array.from({ length: columns }, (_, c) => mean((i) => column(i) === c)),
  };
  param.forEach((x, i) => {
    x.R = beta2 * x.R + (1 - beta2) * (means.rows[row(i)] ?? Number.NaN);
    x.C = beta2 * x.C + (1 - beta2) * (means.columns[column(i)] ?? Number.NaN);
  });
  return param.reduce((sum, x) => sum + x.R, 0) / param.length; // rows are of one length
}

export const adafactorFactored: Formula<Adafactor | 'R' | 'C'> = {
  ...adafactor,
  stateNames: { R: 'rowAvg', C: 'colAvg', V: null, u: null, alpha: null },
  elements: {
    R: (length) => Array.from({ length: shapeOf(length)[0] }, (_, row) => row * shapeOf(length)[1]),
    C: (length) => Array.from({ length: shapeOf(length)[1] }, (_, column) => column),
  },
  measure(param, h, t) {
    const mean = adafactorMeans(param, h, t);
    for (const x of param) x.V = (x.R * x.C) / mean;
    adafactorUpdate(param, h, t);
  },
};

function adafactorMomentum(x: Cell<Adafactor | 'm'>, { beta1, weightDecay }: Hyper): void {
  x.m = beta1 * x.m + (1 - beta1) * x.alpha * x.u;
  x.w = x.w * (1 - x.alpha * weightDecay) - x.m;
}

export const adafactorWithMomentum: Formula<Adafactor | 'm'> = {
  ...adafactor,
  stateNames: { ...adafactor.stateNames, m: 'expAvg' },
  update: adafactorMomentum,
};

export const adafactorFactoredWithMomentum: Formula<Adafactor | 'R' | 'C' | 'm'> = {
  ...adafactorFactored,
  stateNames: { ...adafactorFactored.stateNames, m: 'expAvg' },
  update: adafactorMomentum,
};

/** a of an average that needs no bias correction */
export function correctedRate(beta: number, t: number): number {
  return (beta * (1 - beta ** (t - 1))) / (1 - beta ** t);
}

export const stableAdamw: Formula<'m' | 's' | 'rate'> = {
  defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 1e-2 },
  decay: 'in formula',
  stateNames: { m: 'expAvg', s: 'expAvgSq', rate: null },
  measure(param, { lr, beta1, beta2, eps }, t) {
    const [a1, a2] = [correctedRate(beta1, t), correctedRate(beta2, t)];
    let sum = 0;
    for (const x of param) {
      x.m = a1 * x.m + (1 - a1) * x.g;
      x.s = a2 * x.s + (1 - a2) * x.g ** 2;
      sum += x.g ** 2 / Math.max(x.s, eps ** 2);
    }
    for (const x of param) x.rate = lr / Math.max(1, Math.sqrt(sum / param.length));
  },
  update(x, { eps, weightDecay }) {
    x.w = x.w * (1 - x.rate * weightDecay) - (x.rate * x.m) / (Math.sqrt(x.s) + eps);
  },
};

export const novograd: Formula<'m' | 'v'> = {
  defaults: { lr: 1e-2, beta1: 0.95, beta2: 0.98, eps: 1e-8 },
  decay: 'in formula',
  stateNames: { m: 'expAvg', v: null },
  measure(param, { beta2 }, t) {
    const square = paramNorm(param, (x) => x.g) ** 2;
    for (const x of param) x.v = t === 1 ? square : beta2 * x.v + (1 - beta2) * square;
  },
  update(x, { lr, beta1, eps, weightDecay, gradAveraging }) {
    const pull = x.g / (Math.sqrt(x.v) + eps) + weightDecay * x.w;
    x.m = beta1 * x.m + (gradAveraging ? 1 - beta1 : 1) * pull;
    x.w = x.w - lr * x.m;
  },
};

/** Of a cautious form: what the plain step adds to w, whether it is kept, and the factor. */
export type Cautious = 'kept' | 'scale';

/** The plain formula's step of w. */
export function stepOf<State extends string>(formula: Formula<State>, x: Cell<State>, h: Hyper, t: number): number {
  const copy = { ...x, w: 0 };
  formula.update(copy, h, t);
  return copy.w;
}

export function cautious<State extends string>(formula: Formula<State>): Formula<State | Cautious> {
  return {
    ...formula,
    stateNames: { ...formula.stateNames, kept: null, scale: null } as Formula<State | Cautious>['stateNames'],
    measure(param, h, t) {
      let sum = 0;
      for (const x of param) {
        x.kept = -stepOf<string>(formula as unknown as Formula, x as Cell<string>, h, t) * x.g > 0 ? 1 : 0;
        sum += x.kept;
      }
      for (const x of param) x.scale = 1 / Math.max(sum / param.length, 1e-3);
    },
    update(x, h, t) {
      const { w } = x;
      x.w = 0;
      formula.update(x, h, t);
      x.w = w + x.kept * x.scale * x.w;
    },
  } as Formula<State | Cautious>;
}

export const cautiousAdam = cautious(adam);
export const cautiousAdamW = cautious(adamW);
export const cautiousAmsgrad = cautious(amsgrad);
export const cautiousLion = cautious(lion);
export const cautiousNadam = cautious(nadam);
export const cautiousRadam = cautious(radam);
export const cautiousAdamax = cautious(adamax);
export const cautiousAdemamix = cautious(ademamix);
export const cautiousMomentum = cautious(momentum);
export const cautiousNesterov = cautious(nesterov);
export const cautiousBuffer = cautious(buffer);
export const cautiousBufferNesterov = cautious(bufferNesterov);

// --- Options of all optimizers -----------------------------------------------------------------------------------------

/** The hyper-parameters of a step: schedules are called with the step, 1, 2, ... */
export function hyperAt(step: number, options: Options, defaults: Partial<Hyper>): Hyper {
  const at = (value: Scalar | undefined, fallback: number | undefined): number =>
    typeof value === 'function' ? value(step) : (value ?? fallback ?? Number.NaN);
  return {
    lr: at(options.lr, defaults.lr),
    weightDecay: at(options.weightDecay, defaults.weightDecay ?? 0),
    clipValue: at(options.clipValue, Number.POSITIVE_INFINITY),
    momentum: at(options.momentum, defaults.momentum),
    previousMomentum: Number.NaN,
    dampening: at(options.dampening, defaults.dampening),
    lrDecay: at(options.lrDecay, defaults.lrDecay),
    initialAccumulatorValue: at(options.initialAccumulatorValue, defaults.initialAccumulatorValue),
    alpha: at(options.alpha, defaults.alpha),
    eps: at(options.eps, defaults.eps),
    beta1: at(options.betas?.[0] ?? options.beta1, defaults.beta1),
    beta2: at(options.betas?.[1], defaults.beta2),
    beta3: at(options.betas?.[2], defaults.beta3),
    rho: at(options.rho, defaults.rho),
    momentumDecay: at(options.momentumDecay, defaults.momentumDecay),
    alphaSteps: at(options.alphaSteps, defaults.alphaSteps),
    beta3Steps: at(options.beta3Steps, defaults.beta3Steps),
    etaMinus: at(options.etas?.[0], defaults.etaMinus),
    etaPlus: at(options.etas?.[1], defaults.etaPlus),
    minStep: at(options.stepSizes?.[0], defaults.minStep),
    maxStep: at(options.stepSizes?.[1], defaults.maxStep),
    beta: at(options.beta, defaults.beta),
    l1: at(options.l1, defaults.l1),
    l2: at(options.l2, defaults.l2),
    lambd: at(options.lambd, defaults.lambd),
    t0: at(options.t0, defaults.t0),
    warmupSteps: at(options.warmupSteps, defaults.warmupSteps),
    r: at(options.r, defaults.r),
    weightLrPower: at(options.weightLrPower, defaults.weightLrPower),
    trustCoefficient: at(options.trustCoefficient, defaults.trustCoefficient),
    clamp: at(options.clamp, defaults.clamp),
    eps1: at(options.eps1, defaults.eps1),
    eps2: at(options.eps2, defaults.eps2),
    clipThreshold: at(options.clipThreshold, defaults.clipThreshold),
    decayRate: at(options.decayRate, defaults.decayRate),
    scaleParameter: options.scaleParameter ?? true,
    warmupInit: options.warmupInit ?? false,
    gamma: at(options.gamma, defaults.gamma),
    gradAveraging: options.gradAveraging ?? false,
  };
}

export type Gradient = ArrayLike<number> | null;

/** One optimizer over several params, with the documented order of a step. Wrong orders override its methods. */
export class Reference {
  readonly params: Cell<string>[][];
  /** Norm of the last step: after gradScale, before clipping. */
  gradNorm = 0;
  protected stepCount = 0;
  protected readonly updates: number[];
  private readonly previousMomentum: number[];

  constructor(
    readonly formula: Formula,
    readonly options: Options,
    params: readonly ArrayLike<number>[],
  ) {
    const state = Object.fromEntries(Object.keys(formula.stateNames).map((name) => [name, 0]));
    this.params = params.map((param) => Array.from(param, (w) => ({ ...state, w, g: 0, ema: w })));
    this.updates = params.map(() => 0);
    this.previousMomentum = params.map(() => 0); // the first velocity is 0
  }

  step(grads: readonly Gradient[], gradScale = 1): void {
    this.stepCount += 1;
    const h = hyperAt(this.stepCount, this.options, this.formula.defaults);
    const coefficients = this.coefficients(grads, gradScale);
    grads.forEach((grad, p) => {
      if (grad === null) return; // param, state and t do not change
      const t = (this.updates[p] ?? 0) + 1;
      this.updates[p] = t;
      h.previousMomentum = this.previousMomentum[p] ?? 0;
      this.previousMomentum[p] = h.momentum;
      const param = this.params[p] ?? [];
      param.forEach((x, i) => {
        x.g = this.gradient(grad[i] ?? Number.NaN, x.w, gradScale, coefficients[p] ?? Number.NaN, h);
        if (t === 1) Object.assign(x, { ema: x.w, ...this.formula.start?.(h, x.w) });
      });
      this.measure(param, h, t);
      for (const x of param) this.update(x, h, t);
    });
  }

  protected measure(param: readonly Cell<string>[], h: Hyper, t: number): void {
    this.formula.measure?.(param, h, t);
  }

  /** Decay, formula, average. */
  protected update(x: Cell<string>, h: Hyper, t: number): void {
    if (this.formula.decay === 'decoupled') x.w = x.w * (1 - h.lr * h.weightDecay);
    this.formula.update(x, h, t);
    if (this.options.ema !== undefined) x.ema = x.ema + (1 - this.options.ema) * (x.w - x.ema);
  }

  /** gradScale -> clipNorm -> clipValue -> maximize -> L2. */
  protected gradient(raw: number, w: number, gradScale: number, coefficient: number, h: Hyper): number {
    let g = raw * gradScale;
    g = g * coefficient;
    g = Math.min(Math.max(g, -h.clipValue), h.clipValue);
    if (this.options.maximize) g = -g;
    if (this.formula.decay === 'L2') g = g + h.weightDecay * w;
    return g;
  }

  /** The clip coefficient of each param: the same for all, from the norm over all. */
  coefficients(grads: readonly Gradient[], gradScale: number): number[] {
    this.gradNorm = norm(grads, gradScale);
    const coefficient =
      this.options.clipNorm === undefined ? 1 : this.coefficient(this.gradNorm, this.options.clipNorm);
    return grads.map(() => coefficient);
  }

  protected coefficient(gradNorm: number, maxNorm: number): number {
    return Math.min(1, maxNorm / (gradNorm + 1e-6));
  }
}

/** L2 norm over all tensors of a step. */
export function norm(grads: readonly Gradient[], scale = 1): number {
  let sum = 0;
  for (const grad of grads) {
    if (grad === null) continue;
    for (let i = 0; i < grad.length; i += 1) sum += ((grad[i] ?? Number.NaN) * scale) ** 2;
  }
  return Math.sqrt(sum);
}
