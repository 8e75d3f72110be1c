/**
 * The float64 truth of the textbook optimizers, written from FORMULAS.md and API.md alone.
 * It must never import from lib/, nor be adjusted to what lib/ does: independence is its worth.
 */

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
  betas?: readonly [Scalar, Scalar];
  amsgrad?: boolean;
  biasCorrection?: boolean;
}

/** The numbers of one step; NaN where neither the options nor the defaults have one, so that a wrong use shows. */
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
}

/** One element: weight, gradient (after the common prologue), average of the weights, and the state by name. */
export type Cell<State extends string = never> = Record<'w' | 'g' | 'ema', number> & Record<State, number>;

export interface Formula<State extends string = string> {
  defaults: Partial<Hyper>;
  decay: 'L2' | 'decoupled';
  /** State in the formula's letters -> its name in stateDict. */
  stateNames: Readonly<Record<State, string>>;
  start?(h: Hyper): number;
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

/** The table's line; for a constant momentum. */
export const nesterov: Formula<'v'> = {
  ...momentum,
  update(x, { lr, momentum: mu }) {
    const next = mu * x.v - lr * x.g;
    x.w = x.w - mu * x.v + (1 + mu) * next;
    x.v = next;
  },
};

/** "Momentum that changes": the velocity decays by the old momentum, the look-ahead goes by the new one. */
export const nesterovChanging: Formula<'v'> = {
  ...momentum,
  update(x, { lr, momentum: mu, previousMomentum }) {
    x.v = previousMomentum * x.v - lr * x.g;
    x.w = x.w + mu * x.v - lr * x.g;
  },
};

/** PyTorch's momentum: lr outside; the first gradient enters undamped. */
export const buffer: Formula<'b'> = {
  defaults: { dampening: 0 },
  decay: 'L2',
  stateNames: { b: 'momentumBuffer' },
  update(x, { lr, momentum: mu, dampening }, t) {
    x.b = t === 1 ? x.g : mu * x.b + (1 - dampening) * x.g;
    x.w = x.w - lr * x.b;
  },
};

export const bufferNesterov: Formula<'b'> = {
  ...buffer,
  update(x, { lr, momentum: mu }, t) {
    x.b = t === 1 ? x.g : mu * x.b + x.g;
    x.w = x.w - lr * (x.g + mu * x.b);
  },
};

// --- Adagrad --------------------------------------------------------------------------------------------------------

export const adagrad: Formula<'s'> = {
  defaults: { lr: 1e-2, eps: 1e-10, lrDecay: 0, initialAccumulatorValue: 0 },
  decay: 'L2',
  stateNames: { s: 'sum' },
  start: (h) => h.initialAccumulatorValue,
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

// --- What all of them share -----------------------------------------------------------------------------------------

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
    beta1: at(options.betas?.[0], defaults.beta1),
    beta2: at(options.betas?.[1], defaults.beta2),
  };
}

export type Gradient = ArrayLike<number> | null;

/** One optimizer over several params, with API.md's "order in a step". Wrong orders override its methods. */
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
    const start = formula.start?.(hyperAt(1, options, formula.defaults)) ?? 0;
    const state = Object.fromEntries(Object.keys(formula.stateNames).map((name) => [name, start]));
    this.params = params.map((param) => Array.from(param, (w) => ({ ...state, w, g: 0, ema: w })));
    this.updates = params.map(() => 0);
    this.previousMomentum = params.map(() => 0); // the first one meets a velocity of 0
  }

  step(grads: readonly Gradient[], gradScale = 1): void {
    this.stepCount += 1;
    const h = hyperAt(this.stepCount, this.options, this.formula.defaults);
    const coefficients = this.coefficients(grads, gradScale);
    grads.forEach((grad, p) => {
      if (grad === null) return; // param, state and t stay
      const t = (this.updates[p] ?? 0) + 1;
      this.updates[p] = t;
      h.previousMomentum = this.previousMomentum[p] ?? 0;
      this.previousMomentum[p] = h.momentum;
      this.params[p]?.forEach((x, i) => {
        x.g = this.gradient(grad[i] ?? Number.NaN, x.w, gradScale, coefficients[p] ?? Number.NaN, h);
        if (t === 1) x.ema = x.w;
        this.update(x, h, t);
      });
    });
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

  /** What clipNorm multiplies each param's gradient by: the same for all, from the norm over all. */
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
