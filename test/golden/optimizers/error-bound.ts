/**
 * How far a correct float32 implementation may be from the float64 truth: the tolerance of every golden test.
 *
 * It is a bound, not a guess. Each quantity is a ball, the exact value with a radius, and every float32 operation
 * widens the radius by its one rounding (running error analysis: Higham, Accuracy and Stability, 3.3):
 *
 *     |fl(x) - x| <= u*|x| + 2^-149,   u = 2^-24   (to nearest; the constant covers gradual underflow)
 *
 * and carries the radii of its operands on, to the end of the run. So the tolerance
 *  - is relative to what was really added: |w|, |update| and, in an average, |g|, not to their sum, which may cancel.
 *    A step adds u*|w| + k*u*|update| to a weight's error; the average of gradients holds about 4u/(1-beta1) of the
 *    average |g|; the average of squares gains about 5u a step, as beta2^t forgets slowly. In sum, over T steps, one to
 *    four u*T*(|w| + Σ|update|) for most elements; never over 16 of them, which every run asserts;
 *  - is 0 where the arithmetic is exact: without gradient and decay a weight must not move at all;
 *  - needs no factor of luck: it holds for every float32 evaluation of the formula as it is written here, whatever the
 *    signs of its roundings (real errors reach a tenth to a half of it). Folding scalars in float64, as
 *    lr/(1-beta1^t) or gradScale * clip coefficient, or fusing a multiply with an add only removes roundings. Where
 *    another order could add some, Nesterov's look-ahead, both orders are bounded.
 * A rounding that is avoidable, such as 1-beta2 from a beta2 already in float32, is no part of it and fails.
 */

import { type Formula, type Gradient, type Hyper, hyperAt, type Options, Reference } from './reference.js';
import * as truth from './reference.js';

const U = 2 ** -24;
const TINY = 2 ** -149;
const LARGEST = 3.4028234663852886e38;

/** What float32 holds of a quantity: some number within `radius` of `exact`. */
class Ball {
  constructor(
    readonly exact: number,
    readonly radius: number,
  ) {}

  get isZero(): boolean {
    return this.exact === 0 && this.radius === 0;
  }

  plus(b: Ball): Ball {
    if (b.isZero) return this;
    if (this.isZero) return b;
    return rounded(this.exact + b.exact, this.radius + b.radius);
  }

  minus(b: Ball): Ball {
    return this.plus(b.negated());
  }

  negated(): Ball {
    return new Ball(-this.exact, this.radius);
  }

  times(b: Ball): Ball {
    if (this.isZero || b.isZero) return ZERO;
    const radius = Math.abs(this.exact) * b.radius + Math.abs(b.exact) * this.radius + this.radius * b.radius;
    return rounded(this.exact * b.exact, radius);
  }

  over(b: Ball): Ball {
    if (this.isZero) return ZERO;
    const exact = this.exact / b.exact;
    const least = Math.abs(b.exact) - b.radius;
    if (least <= 0) throw new RangeError('golden: a divisor that float32 cannot tell from 0');
    return rounded(exact, (this.radius + Math.abs(exact) * b.radius) / least);
  }

  sqrt(): Ball {
    if (this.isZero) return ZERO;
    const exact = Math.sqrt(this.exact);
    const up = Math.sqrt(this.exact + this.radius) - exact;
    const down = exact - Math.sqrt(Math.max(this.exact - this.radius, 0));
    return rounded(exact, Math.max(up, down));
  }

  /** Not rounded; moves by no more than its operands do. */
  max(b: Ball): Ball {
    return new Ball(Math.max(this.exact, b.exact), Math.max(this.radius, b.radius));
  }

  clamp(limit: Ball): Ball {
    if (Math.abs(this.exact) + this.radius < limit.exact - limit.radius) return this;
    const exact = Math.min(Math.max(this.exact, -limit.exact), limit.exact);
    return new Ball(exact, Math.max(this.radius, limit.radius));
  }

  /** The same quantity in another order of operations; an implementation may choose. */
  or(b: Ball): Ball {
    return new Ball(this.exact, Math.max(this.radius, b.radius + Math.abs(this.exact - b.exact)));
  }
}

const ZERO = new Ball(0, 0);

function rounded(exact: number, radius: number): Ball {
  const largest = Math.abs(exact) + radius;
  if (!(largest <= LARGEST)) throw new RangeError('golden: this run leaves the range of float32');
  return new Ball(exact, radius + U * largest + TINY);
}

/** A number of float64, rounded once into a kernel's constant; 0 and 1 are exact. */
function scalar(exact: number): Ball {
  return exact === 0 || exact === 1 ? new Ball(exact, 0) : rounded(exact, 0);
}

/** A formula touches the state of its own `stateNames` alone. */
type BallCell = Record<'w' | 'g' | 'ema' | 'v' | 'b' | 's' | 'a' | 'm' | 'sMax', Ball> & Record<string, Ball>;
type Update = (x: BallCell, h: Hyper, t: number) => void;

// --- The formulas again, one rounding an operation -------------------------------------------------------------------

function squareAverage(s: Ball, g: Ball, beta: number): Ball {
  return s.times(scalar(beta)).plus(g.times(g).times(scalar(1 - beta)));
}

function average(m: Ball, g: Ball, beta: number): Ball {
  return m.times(scalar(beta)).plus(g.times(scalar(1 - beta)));
}

const BOUNDS = new Map<Formula, Update>([
  [
    truth.sgd,
    (x, h) => {
      x.w = x.w.minus(x.g.times(scalar(h.lr)));
    },
  ],
  [
    truth.momentum,
    (x, h) => {
      x.v = x.v.times(scalar(h.momentum)).minus(x.g.times(scalar(h.lr)));
      x.w = x.w.plus(x.v);
    },
  ],
  [
    truth.nesterov,
    (x, h) => {
      const before = x.v;
      x.v = x.v.times(scalar(h.momentum)).minus(x.g.times(scalar(h.lr)));
      const ahead = x.v.times(scalar(1 + h.momentum));
      const table = x.w.minus(before.times(scalar(h.momentum))).plus(ahead);
      const changing = x.w.plus(x.v.times(scalar(h.momentum))).minus(x.g.times(scalar(h.lr)));
      x.w = table.or(changing);
    },
  ],
  [
    truth.nesterovChanging,
    (x, h) => {
      x.v = x.v.times(scalar(h.previousMomentum)).minus(x.g.times(scalar(h.lr)));
      x.w = x.w.plus(x.v.times(scalar(h.momentum))).minus(x.g.times(scalar(h.lr)));
    },
  ],
  [
    truth.buffer,
    (x, h, t) => {
      x.b = t === 1 ? x.g : x.b.times(scalar(h.momentum)).plus(x.g.times(scalar(1 - h.dampening)));
      x.w = x.w.minus(x.b.times(scalar(h.lr)));
    },
  ],
  [
    truth.bufferNesterov,
    (x, h, t) => {
      x.b = t === 1 ? x.g : x.b.times(scalar(h.momentum)).plus(x.g);
      x.w = x.w.minus(x.g.plus(x.b.times(scalar(h.momentum))).times(scalar(h.lr)));
    },
  ],
  [
    truth.adagrad,
    (x, h, t) => {
      x.s = x.s.plus(x.g.times(x.g));
      const rate = scalar(h.lr / (1 + (t - 1) * h.lrDecay));
      x.w = x.w.minus(x.g.times(rate).over(x.s.sqrt().plus(scalar(h.eps))));
    },
  ],
  [
    truth.rmsprop,
    (x, h) => {
      x.s = squareAverage(x.s, x.g, h.alpha);
      x.w = x.w.minus(x.g.times(scalar(h.lr)).over(x.s.sqrt().plus(scalar(h.eps))));
    },
  ],
  [
    truth.rmspropCentered,
    (x, h) => {
      x.w = x.w.minus(x.g.times(scalar(h.lr)).over(centeredDenominator(x, h)));
    },
  ],
  [
    truth.rmspropMomentum,
    (x, h) => {
      x.s = squareAverage(x.s, x.g, h.alpha);
      x.b = x.b.times(scalar(h.momentum)).plus(x.g.over(x.s.sqrt().plus(scalar(h.eps))));
      x.w = x.w.minus(x.b.times(scalar(h.lr)));
    },
  ],
  [
    truth.rmspropCenteredMomentum,
    (x, h) => {
      x.b = x.b.times(scalar(h.momentum)).plus(x.g.over(centeredDenominator(x, h)));
      x.w = x.w.minus(x.b.times(scalar(h.lr)));
    },
  ],
  [truth.adam, adamBound],
  [truth.adamUncorrected, adamBoundUncorrected],
  [truth.amsgrad, amsgradBound],
  [truth.amsgradUncorrected, amsgradBoundUncorrected],
  [truth.adamW, adamBound],
  [truth.adamWUncorrected, adamBoundUncorrected],
  [truth.adamWAmsgrad, amsgradBound],
]);

function centeredDenominator(x: BallCell, h: Hyper): Ball {
  x.s = squareAverage(x.s, x.g, h.alpha);
  x.a = average(x.a, x.g, h.alpha);
  return x.s.minus(x.a.times(x.a)).max(ZERO).sqrt().plus(scalar(h.eps));
}

function adamBound(x: BallCell, h: Hyper, t: number): void {
  x.m = average(x.m, x.g, h.beta1);
  x.s = squareAverage(x.s, x.g, h.beta2);
  const root = x.s.sqrt().times(scalar(1 / Math.sqrt(1 - h.beta2 ** t)));
  x.w = x.w.minus(x.m.times(scalar(h.lr / (1 - h.beta1 ** t))).over(root.plus(scalar(h.eps))));
}

function adamBoundUncorrected(x: BallCell, h: Hyper): void {
  x.m = average(x.m, x.g, h.beta1);
  x.s = squareAverage(x.s, x.g, h.beta2);
  x.w = x.w.minus(x.m.times(scalar(h.lr)).over(x.s.sqrt().plus(scalar(h.eps))));
}

function amsgradBound(x: BallCell, h: Hyper, t: number): void {
  x.m = average(x.m, x.g, h.beta1);
  x.s = squareAverage(x.s, x.g, h.beta2);
  x.sMax = x.sMax.max(x.s);
  const root = x.sMax.sqrt().times(scalar(1 / Math.sqrt(1 - h.beta2 ** t)));
  x.w = x.w.minus(x.m.times(scalar(h.lr / (1 - h.beta1 ** t))).over(root.plus(scalar(h.eps))));
}

function amsgradBoundUncorrected(x: BallCell, h: Hyper): void {
  x.m = average(x.m, x.g, h.beta1);
  x.s = squareAverage(x.s, x.g, h.beta2);
  x.sMax = x.sMax.max(x.s);
  x.w = x.w.minus(x.m.times(scalar(h.lr)).over(x.sMax.sqrt().plus(scalar(h.eps))));
}

// --- The common prologue and epilogue --------------------------------------------------------------------------------

/** Follows a run of `Reference`, of the true formulas only. */
export class ErrorBound {
  readonly params: BallCell[][];
  gradNorm = 0;
  /** Of the last step's norm: float64 sums of squares, each of which rounds at most once an element. */
  gradNormError = 0;
  private readonly update: Update;
  /** Only for its clip coefficient: the norm is summed in float64 and rounds nothing worth counting. */
  private readonly clip: Reference;
  private stepCount = 0;
  private readonly updates: number[];
  private readonly previousMomentum: number[];

  constructor(
    private readonly formula: Formula,
    private readonly options: Options,
    params: readonly Float32Array[],
  ) {
    const update = BOUNDS.get(formula);
    if (update === undefined) throw new TypeError('golden: a formula without its error bound');
    this.update = update;
    const start = scalar(formula.start?.(hyperAt(1, options, formula.defaults)) ?? 0);
    const state = Object.fromEntries(Object.keys(formula.stateNames).map((name) => [name, start]));
    this.params = params.map((param) =>
      Array.from(param, (w) => ({ ...state, w: new Ball(w, 0), g: ZERO, ema: new Ball(w, 0) }) as BallCell),
    );
    this.clip = new Reference(formula, options, []);
    this.updates = params.map(() => 0);
    this.previousMomentum = params.map(() => 0);
  }

  step(grads: readonly Gradient[], gradScale = 1): void {
    this.stepCount += 1;
    const h = hyperAt(this.stepCount, this.options, this.formula.defaults);
    const coefficients = this.clip.coefficients(grads, gradScale);
    const count = grads.reduce((sum, grad) => sum + (grad?.length ?? 0), 0);
    this.gradNorm = this.clip.gradNorm;
    this.gradNormError = (count + 4) * 2 ** -53 * this.gradNorm;
    const limit = h.clipValue === Number.POSITIVE_INFINITY ? undefined : scalar(h.clipValue);
    const l2 = scalar(this.formula.decay === 'L2' ? h.weightDecay : 0);
    const keep = scalar(this.formula.decay === 'decoupled' ? 1 - h.lr * h.weightDecay : 1);
    const towards = scalar(1 - (this.options.ema ?? 1));
    grads.forEach((grad, p) => {
      if (grad === null) return;
      const t = (this.updates[p] ?? 0) + 1;
      this.updates[p] = t;
      h.previousMomentum = this.previousMomentum[p] ?? 0;
      this.previousMomentum[p] = h.momentum;
      const scale = scalar(gradScale);
      const coefficient = scalar(coefficients[p] ?? Number.NaN);
      this.params[p]?.forEach((x, i) => {
        x.g = new Ball(grad[i] ?? Number.NaN, 0);
        if (gradScale !== 1) x.g = x.g.times(scale);
        if (coefficient.exact !== 1) x.g = x.g.times(coefficient);
        if (limit) x.g = x.g.clamp(limit);
        if (this.options.maximize) x.g = x.g.negated();
        x.g = x.g.plus(x.w.times(l2));
        if (t === 1) x.ema = x.w;
        if (keep.exact !== 1) x.w = x.w.times(keep);
        this.update(x, h, t);
        if (!towards.isZero) x.ema = x.ema.plus(x.w.minus(x.ema).times(towards));
      });
    });
  }
}
