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

import {
  averager,
  Ball,
  type BallCell,
  type Bound,
  between,
  NOT_GIVEN,
  ONE,
  rounded,
  scalar,
  squareAverager,
  TINY,
  U,
  ZERO,
} from './ball.js';
import { blockBounds } from './block-bounds.js';
import { shapeOf } from './data.js';
import { elementBounds } from './element-bounds.js';
import { adamaxW } from './element-truth.js';
import * as truth from './reference.js';
import { type Formula, type Gradient, type Hyper, hyperAt, type Options, Reference } from './reference.js';

// --- The formulas again, one rounding an operation -------------------------------------------------------------------

const sgd: Bound = (h) => {
  const lr = scalar(h.lr);
  return (x) => {
    x.w = x.w.minus(x.g.times(lr));
  };
};

const momentum: Bound = (h) => {
  const [lr, mu] = [scalar(h.lr), scalar(h.momentum)];
  return (x) => {
    x.v = x.v.times(mu).minus(x.g.times(lr));
    x.w = x.w.plus(x.v);
  };
};

const nesterov: Bound = (h) => {
  const [lr, mu, onePlusMu] = [scalar(h.lr), scalar(h.momentum), scalar(1 + h.momentum)];
  return (x) => {
    const before = x.v;
    x.v = before.times(mu).minus(x.g.times(lr));
    const table = x.w.minus(before.times(mu)).plus(x.v.times(onePlusMu));
    const changing = x.w.plus(x.v.times(mu)).minus(x.g.times(lr));
    x.w = table.or(changing);
  };
};

const nesterovChanging: Bound = (h) => {
  const [lr, mu, previous] = [scalar(h.lr), scalar(h.momentum), scalar(h.previousMomentum)];
  return (x) => {
    x.v = x.v.times(previous).minus(x.g.times(lr));
    x.w = x.w.plus(x.v.times(mu)).minus(x.g.times(lr));
  };
};

/** The next buffer. A step with momentum 0 leaves it alone. */
function buffered(x: BallCell, mu: Ball, add: Ball): void {
  if (mu.isZero) return;
  x.b = x.has.isZero ? x.g : x.b.times(mu).plus(x.g.times(add));
  x.has = ONE;
}

const buffer: Bound = (h) => {
  const [lr, mu, add] = [scalar(h.lr), scalar(h.momentum), scalar(1 - h.dampening)];
  return (x) => {
    buffered(x, mu, add);
    x.w = x.w.minus((mu.isZero ? x.g : x.b).times(lr));
  };
};

const bufferNesterov: Bound = (h) => {
  const [lr, mu] = [scalar(h.lr), scalar(h.momentum)];
  return (x) => {
    buffered(x, mu, ONE);
    x.w = x.w.minus(x.g.plus(x.b.times(mu)).times(lr));
  };
};

const adagrad: Bound = (h, t) => {
  const [rate, eps] = [scalar(h.lr / (1 + (t - 1) * h.lrDecay)), scalar(h.eps)];
  return (x) => {
    x.s = x.s.plus(x.g.times(x.g));
    x.w = x.w.minus(x.g.times(rate).over(x.s.sqrt().plus(eps)));
  };
};

function rmsprop(centered: boolean, withMomentum: boolean): Bound {
  return (h) => {
    const [lr, mu, eps] = [scalar(h.lr), scalar(h.momentum), scalar(h.eps)];
    const [average, squareAverage] = [averager(h.alpha), squareAverager(h.alpha)];
    return (x) => {
      x.s = squareAverage(x.s, x.g);
      let square = x.s;
      if (centered) {
        x.a = average(x.a, x.g);
        square = x.s.minus(x.a.times(x.a)).max(ZERO);
      }
      const denominator = square.sqrt().plus(eps);
      if (withMomentum) {
        x.b = x.b.times(mu).plus(x.g.over(denominator));
        x.w = x.w.minus(x.b.times(lr));
      } else {
        x.w = x.w.minus(x.g.times(lr).over(denominator));
      }
    };
  };
}

function adam(amsgrad: boolean, biasCorrection: boolean): Bound {
  return (h, t) => {
    const rate = scalar(biasCorrection ? h.lr / (1 - h.beta1 ** t) : h.lr);
    const root = scalar(biasCorrection ? 1 / Math.sqrt(1 - h.beta2 ** t) : 1);
    const [eps, average, squareAverage] = [scalar(h.eps), averager(h.beta1), squareAverager(h.beta2)];
    return (x) => {
      x.m = average(x.m, x.g);
      x.s = squareAverage(x.s, x.g);
      if (amsgrad) x.sMax = x.sMax.max(x.s);
      const square = amsgrad ? x.sMax : x.s;
      x.w = x.w.minus(x.m.times(rate).over(square.sqrt().times(root).plus(eps)));
    };
  };
}

const adadelta: Bound = (h) => {
  const [lr, eps, average] = [scalar(h.lr), scalar(h.eps), squareAverager(h.rho)];
  return (x) => {
    x.s = average(x.s, x.g);
    const delta = x.u.plus(eps).sqrt().over(x.s.plus(eps).sqrt()).times(x.g);
    x.u = average(x.u, delta);
    x.w = x.w.minus(delta.times(lr));
  };
};

const adamax: Bound = (h, t) => {
  const [rate, beta2, eps, average] = [
    scalar(h.lr / (1 - h.beta1 ** t)),
    scalar(h.beta2),
    scalar(h.eps),
    averager(h.beta1),
  ];
  return (x) => {
    x.m = average(x.m, x.g);
    x.u = x.u.times(beta2).max(x.g.abs().plus(eps));
    x.w = x.w.minus(x.m.times(rate).over(x.u));
  };
};

const tfAdagrad: Bound = (h) => {
  const [lr, eps] = [scalar(h.lr), scalar(h.eps)];
  return (x) => {
    x.s = x.s.plus(x.g.times(x.g));
    x.w = x.w.minus(x.g.over(x.s.plus(eps).sqrt()).times(lr));
  };
};

const tfAdadelta: Bound = (h) => {
  const [lr, eps, average] = [scalar(h.lr), scalar(h.eps), averager(h.rho)];
  return (x) => {
    const delta = x.u.plus(eps).sqrt().over(x.s.plus(eps).sqrt()).times(x.g);
    x.s = average(x.s, x.g.times(x.g));
    x.u = average(x.u, delta.times(delta));
    x.w = x.w.minus(delta.times(lr));
  };
};

const tfAdamax: Bound = (h, t) => {
  const [rate, beta2, eps] = [
    scalar(h.lr / (1 + (t - 1) * h.lrDecay) / (1 - h.beta1 ** t)),
    scalar(h.beta2),
    scalar(h.eps),
  ];
  const average = averager(h.beta1);
  return (x) => {
    x.m = average(x.m, x.g);
    x.u = x.u.times(beta2).max(x.g.abs());
    x.w = x.w.minus(x.m.over(x.u.plus(eps)).times(rate));
  };
};

const tfRmsprop: Bound = (h) => {
  const [lr, mu, eps, average] = [scalar(h.lr), scalar(h.momentum), scalar(h.eps), averager(h.alpha)];
  return (x) => {
    x.s = average(x.s, x.g.times(x.g));
    x.b = x.b.times(mu).plus(x.g.times(lr).over(x.s.plus(eps).sqrt()));
    x.w = x.w.minus(x.b);
  };
};

const nadam: Bound = (h, t) => {
  const [mu, next] = [truth.nadamMomentum(h, t), truth.nadamMomentum(h, t + 1)];
  const root = scalar(1 / Math.sqrt(1 - h.beta2 ** t));
  const [eps, average, squareAverage] = [scalar(h.eps), averager(h.beta1), squareAverager(h.beta2)];
  return (x) => {
    x.product = new Ball(x.product.exact * mu, 0); // in float64
    const gradStep = scalar((h.lr * (1 - mu)) / (1 - x.product.exact));
    const momentStep = scalar((h.lr * next) / (1 - x.product.exact * next));
    x.m = average(x.m, x.g);
    x.s = squareAverage(x.s, x.g);
    const ahead = x.g.times(gradStep).plus(x.m.times(momentStep));
    x.w = x.w.minus(ahead.over(x.s.sqrt().times(root).plus(eps)));
  };
};

const radam: Bound = (h, t) => {
  const isRectified = truth.radamLength(h, t) > 5;
  const rectification = isRectified ? truth.radamRectification(h, t) * Math.sqrt(1 - h.beta2 ** t) : 1;
  const rate = scalar((h.lr / (1 - h.beta1 ** t)) * rectification);
  const [eps, average, squareAverage] = [scalar(h.eps), averager(h.beta1), squareAverager(h.beta2)];
  return (x) => {
    x.m = average(x.m, x.g);
    x.s = squareAverage(x.s, x.g);
    const update = x.m.times(rate);
    x.w = x.w.minus(isRectified ? update.over(x.s.sqrt().plus(eps)) : update);
  };
};

const lion: Bound = (h) => {
  const [lr, towards, average] = [scalar(h.lr), averager(h.beta1), averager(h.beta2)];
  return (x, doubt) => {
    x.w = x.w.minus(towards(x.m, x.g).sign(doubt).times(lr));
    x.m = average(x.m, x.g);
  };
};

const ademamix: Bound = (h, t) => {
  const [fast, slow] = [scalar(h.lr / (1 - h.beta1 ** t)), scalar(h.lr * truth.ademamixAlpha(h, t))];
  const [root, keep] = [scalar(1 / Math.sqrt(1 - h.beta2 ** t)), scalar(1 - h.lr * h.weightDecay)];
  const [average, squareAverage] = [averager(h.beta1), squareAverager(h.beta2)];
  const [slowAverage, eps] = [averager(truth.ademamixBeta3(h, t)), scalar(h.eps)];
  return (x) => {
    x.m = average(x.m, x.g);
    x.slow = slowAverage(x.slow, x.g);
    x.s = squareAverage(x.s, x.g);
    const mixed = x.m.times(fast).plus(x.slow.times(slow));
    x.w = x.w.times(keep).minus(mixed.over(x.s.sqrt().times(root).plus(eps)));
  };
};

const rprop: Bound = (h) => {
  const [minus, plus, min, max] = [h.etaMinus, h.etaPlus, h.minStep, h.maxStep].map(scalar) as [Ball, Ball, Ball, Ball];
  return (x, doubt) => {
    const agreement = x.g.sign(doubt).exact * x.previous.sign(doubt).exact;
    x.step = x.step
      .times(agreement > 0 ? plus : agreement < 0 ? minus : ONE)
      .max(min)
      .min(max);
    x.previous = agreement < 0 ? ZERO : x.g;
    x.w = x.w.minus(x.previous.sign(doubt).times(x.step));
  };
};

/** √(n + q) − √n. As operations on balls it would count the error of n twice, which is the same in both roots. */
function rootGrowth(n: Ball, q: Ball): Ball {
  const growth = (n: number, q: number): number => (q === 0 ? 0 : q / (Math.sqrt(n + q) + Math.sqrt(n)));
  const exact = growth(n.exact, q.exact);
  const most = growth(Math.max(n.exact - n.radius, 0), q.exact + q.radius);
  const least = growth(n.exact + n.radius, Math.max(q.exact - q.radius, 0));
  // What the sum and the two roots round, each at most of the larger.
  const sum = n.exact + n.radius + q.exact + q.radius;
  const roundings = Math.sqrt(sum * (1 + U) + TINY) - Math.sqrt(sum) + 2 * (U * Math.sqrt(sum) * (1 + U) + TINY);
  return rounded(exact, Math.max(most - exact, exact - least) + roundings);
}

const ftrl: Bound = (h) => {
  const [inverse, beta, l1, l2] = [1 / h.lr, h.beta, h.l1, h.l2].map(scalar) as [Ball, Ball, Ball, Ball];
  return (x) => {
    const square = x.g.times(x.g);
    const sigma = rootGrowth(x.n, square).times(inverse);
    x.n = x.n.plus(square);
    x.z = x.z.plus(x.g).minus(sigma.times(x.w));
    x.w = x.z.shrink(l1).negated().over(x.n.sqrt().plus(beta).times(inverse).plus(l2));
  };
};

const asgd: Bound = (h, t) => (x) => {
  const [keep, eta, mu] = [1 - h.lambd * x.eta.exact, x.eta.exact, x.mu.exact].map(scalar) as [Ball, Ball, Ball];
  x.w = x.w.times(keep).minus(x.g.times(eta));
  x.ax = mu === ONE ? x.w : x.ax.plus(x.w.minus(x.ax).times(mu));
  x.eta = new Ball(h.lr / (1 + h.lambd * h.lr * t) ** h.alpha, 0); // in float64
  x.mu = new Ball(1 / Math.max(1, t - h.t0), 0);
};

/** x and y after a step of z. */
function average(x: BallCell, h: Hyper, t: number, beta: number): void {
  const past = { lrMax: x.lrMax.exact, sum: x.sum.exact };
  const c = truth.averagingWeight(past, h, t);
  [x.lrMax, x.sum] = [new Ball(past.lrMax, 0), new Ball(past.sum, 0)]; // in float64
  x.x = between(x.x, x.z, c);
  x.w = between(x.z, x.x, beta);
}

const scheduleFreeSgd: Bound = (h, t) => {
  const lr = scalar(truth.warmed(h, t));
  return (x) => {
    x.z = x.z.minus(x.g.times(lr));
    average(x, h, t, h.momentum);
  };
};

const scheduleFreeAdamw: Bound = (h, t) => {
  const [lr, eps, decay] = [scalar(truth.warmed(h, t)), scalar(h.eps), scalar(h.weightDecay)];
  const [root, squareAverage] = [scalar(1 / Math.sqrt(1 - h.beta2 ** t)), squareAverager(h.beta2)];
  return (x) => {
    x.s = squareAverage(x.s, x.g);
    const direction = x.g.over(x.s.sqrt().times(root).plus(eps)).plus(x.w.times(decay));
    x.z = x.z.minus(direction.times(lr));
    average(x, h, t, h.beta1);
  };
};

/** A norm in float64: it moves by no more than the norm of the radii, and its sum rounds once an element at most. */
function norm(balls: readonly Ball[]): Ball {
  const of = (part: (ball: Ball) => number): number => Math.sqrt(balls.reduce((sum, ball) => sum + part(ball) ** 2, 0));
  const exact = of((ball) => ball.exact);
  return new Ball(exact, of((ball) => ball.radius) + (balls.length + 4) * 2 ** -53 * exact);
}

const lars: Bound = (h, _, param) => {
  const [lr, mu, decay, trust] = [h.lr, h.momentum, h.weightDecay, h.trustCoefficient].map(scalar) as [
    Ball,
    Ball,
    Ball,
    Ball,
  ];
  const [w, g] = [norm(param.map((x) => x.w)), norm(param.map((x) => x.g))];
  const ratio = w.isZero || g.isZero ? ONE : trust.times(w).over(g.plus(w.times(decay)));
  const rate = lr.times(ratio);
  return (x) => {
    x.ratio = ratio;
    x.v = x.v.times(mu).plus(x.g.plus(x.w.times(decay)).times(rate));
    x.w = x.w.minus(x.v);
  };
};

function lamb(biasCorrection: boolean): Bound {
  return (h, t, param) => {
    const unbiased = scalar(biasCorrection ? 1 / (1 - h.beta1 ** t) : 1);
    const root = scalar(biasCorrection ? 1 / Math.sqrt(1 - h.beta2 ** t) : 1);
    const [lr, eps, decay, clamp] = [scalar(h.lr), scalar(h.eps), scalar(h.weightDecay), h.clamp];
    const [average, squareAverage] = [averager(h.beta1), squareAverager(h.beta2)];
    for (const x of param) {
      x.m = average(x.m, x.g);
      x.s = squareAverage(x.s, x.g);
      x.u = x.m.times(unbiased).over(x.s.sqrt().times(root).plus(eps)).plus(x.w.times(decay));
    }
    const [w, u] = [norm(param.map((x) => x.w)), norm(param.map((x) => x.u))];
    const scaled = clamp === Number.POSITIVE_INFINITY ? w : w.min(scalar(clamp));
    const ratio = w.isZero || u.isZero ? ONE : scaled.over(u);
    const rate = lr.times(ratio);
    return (x) => {
      x.ratio = ratio;
      x.w = x.w.minus(x.u.times(rate));
    };
  };
}

/** A mean in float64. */
function mean(balls: readonly Ball[]): Ball {
  const of = (part: (ball: Ball) => number): number => balls.reduce((sum, ball) => sum + part(ball), 0) / balls.length;
  const exact = of((ball) => ball.exact);
  return new Ball(exact, of((ball) => ball.radius) + (balls.length + 2) * 2 ** -53 * Math.abs(exact));
}

/** The square of a float32 in float64. */
function square({ exact, radius }: Ball): Ball {
  return new Ball(exact ** 2, 2 * Math.abs(exact) * radius + radius ** 2);
}

/** Rounded into float32. */
function single({ exact, radius }: Ball): Ball {
  return exact === 0 && radius === 0 ? ZERO : rounded(exact, radius);
}

function adafactor(isFactored: boolean, hasMomentum: boolean): Bound {
  return (h, t, param) => {
    const [squareAverage, average] = [averager(truth.adafactorBeta2(h, t)), averager(h.beta1)];
    const [eps1, eps2, clip, decay] = [h.eps1, h.eps2, h.clipThreshold, h.weightDecay].map(scalar) as [
      Ball,
      Ball,
      Ball,
      Ball,
    ];
    if (isFactored) {
      const [rows, columns] = shapeOf(param.length);
      const meanOf = (isIn: (i: number) => boolean): Ball =>
        single(mean(param.filter((_, i) => isIn(i)).map((x) => square(x.g)))).plus(eps1);
      const [row, column] = [(i: number) => Math.floor(i / columns), (i: number) => i % columns];
      const ofRows = Array.from({ length: rows }, (_, r) => meanOf((i) => row(i) === r));
      const ofColumns = Array.from({ length: columns }, (_, c) => meanOf((i) => column(i) === c));
      param.forEach((x, i) => {
        x.R = squareAverage(x.R, ofRows[row(i)] ?? NOT_GIVEN);
        x.C = squareAverage(x.C, ofColumns[column(i)] ?? NOT_GIVEN);
      });
      const root = mean(param.map((x) => x.R)).sqrt();
      for (const x of param) x.u = x.g.over(x.C.sqrt()).times(root.over(x.R.sqrt()));
    } else {
      for (const x of param) {
        x.V = squareAverage(x.V, x.g.times(x.g).plus(eps1));
        x.u = x.g.over(x.V.sqrt());
      }
    }
    const length = new Ball(Math.sqrt(param.length), 0);
    const rho = scalar(truth.adafactorRho(h, t));
    const alpha = h.scaleParameter
      ? norm(param.map((x) => x.w))
          .over(length)
          .max(eps2)
          .times(rho)
      : rho;
    const excess = norm(param.map((x) => x.u))
      .over(length)
      .over(clip)
      .max(ONE);
    const rate = alpha.over(excess);
    const keep = ONE.minus(alpha.times(decay));
    return (x) => {
      x.alpha = alpha;
      const update = x.u.times(rate);
      if (hasMomentum) x.m = average(x.m, update);
      x.w = x.w.times(keep).minus(hasMomentum ? x.m : update);
    };
  };
}

const stableAdamw: Bound = (h, t, param) => {
  const [lr, eps, decay] = [h.lr, h.eps, h.weightDecay].map(scalar) as [Ball, Ball, Ball];
  const average = averager(truth.correctedRate(h.beta1, t));
  const squareAverage = squareAverager(truth.correctedRate(h.beta2, t));
  const ratios = param.map((x) => {
    x.m = average(x.m, x.g);
    x.s = squareAverage(x.s, x.g);
    return x.g.over(x.s.sqrt().max(eps));
  });
  const excess = norm(ratios)
    .over(new Ball(Math.sqrt(param.length), 0))
    .max(ONE);
  const rate = lr.over(excess);
  const keep = ONE.minus(rate.times(decay));
  return (x) => {
    x.rate = rate;
    x.w = x.w.times(keep).minus(x.m.times(rate).over(x.s.sqrt().plus(eps)));
  };
};

const novograd: Bound = (h, t, param) => {
  const [lr, beta1, decay] = [h.lr, h.beta1, h.weightDecay].map(scalar) as [Ball, Ball, Ball];
  const weight = scalar(h.gradAveraging ? 1 - h.beta1 : 1);
  const now = square(norm(param.map((x) => x.g)));
  const [keep, add] = t === 1 ? [0, 1] : [h.beta2, 1 - h.beta2];
  const before = param[0]?.v ?? ZERO;
  const v = new Ball(keep * before.exact + add * now.exact, keep * before.radius + add * now.radius); // in float64
  const inverse = ONE.over(v.sqrt().plus(scalar(h.eps)));
  return (x) => {
    x.v = v;
    x.m = x.m.times(beta1).plus(x.g.times(inverse).plus(x.w.times(decay)).times(weight));
    x.w = x.w.minus(x.m.times(lr));
  };
};

/** The cautious form of a formula. An element whose sign is not certain makes the share uncertain, too. */
function cautious(plain: Bound): Bound {
  return (h, t, param) => {
    const update = plain(h, t, param);
    let [most, least] = [0, 0];
    const uncertain = new Set<BallCell>();
    for (const x of param) {
      const doubt = (): void => void uncertain.add(x);
      const copy = { ...x, w: ZERO } as BallCell;
      update(copy, doubt);
      const isKept = copy.w.sign(doubt).exact * x.g.sign(doubt).exact < 0;
      x.kept = isKept ? ONE : ZERO;
      if (isKept || uncertain.has(x)) most += 1;
      if (isKept && !uncertain.has(x)) least += 1;
    }
    const of = (count: number): number => 1 / Math.max(count / param.length, 1e-3);
    const exact = of(param.reduce((sum, x) => sum + x.kept.exact, 0));
    const scale = rounded(exact, Math.max(exact - of(most), of(least) - exact));
    return (x, doubt) => {
      const { w } = x;
      x.w = ZERO;
      update(x, doubt);
      x.scale = scale;
      const step = x.w.times(scale);
      if (uncertain.has(x)) doubt();
      x.w = w.plus(x.kept.isZero ? ZERO : step);
      if (uncertain.has(x)) x.w = new Ball(x.w.exact, x.w.radius + Math.abs(step.exact) + step.radius);
    };
  };
}

const BOUNDS = new Map<Formula, Bound>([
  [truth.sgd, sgd],
  [truth.momentum, momentum],
  [truth.nesterov, nesterov],
  [truth.nesterovChanging, nesterovChanging],
  [truth.buffer, buffer],
  [truth.bufferNesterov, bufferNesterov],
  [truth.adagrad, adagrad],
  [truth.rmsprop, rmsprop(false, false)],
  [truth.rmspropCentered, rmsprop(true, false)],
  [truth.rmspropMomentum, rmsprop(false, true)],
  [truth.rmspropCenteredMomentum, rmsprop(true, true)],
  [truth.adam, adam(false, true)],
  [truth.adamUncorrected, adam(false, false)],
  [truth.amsgrad, adam(true, true)],
  [truth.amsgradUncorrected, adam(true, false)],
  [truth.adamW, adam(false, true)],
  [truth.adamWUncorrected, adam(false, false)],
  [truth.adamWAmsgrad, adam(true, true)],
  [truth.adadelta, adadelta],
  [truth.adamax, adamax],
  [adamaxW, adamax],
  [truth.tfAdagrad, tfAdagrad],
  [truth.tfAdadelta, tfAdadelta],
  [truth.tfAdam, adam(false, true)],
  [truth.tfAdamax, tfAdamax],
  [truth.tfRmsprop, tfRmsprop],
  [truth.nadam, nadam],
  [truth.nadamDecoupled, nadam],
  [truth.radam, radam],
  [truth.radamDecoupled, radam],
  [truth.lion, lion],
  [truth.ademamix, ademamix],
  [truth.rprop, rprop],
  [truth.ftrl, ftrl],
  [truth.asgd, asgd],
  [truth.scheduleFreeSgd, scheduleFreeSgd],
  [truth.scheduleFreeAdamw, scheduleFreeAdamw],
  [truth.adafactor, adafactor(false, false)],
  [truth.adafactorFactored, adafactor(true, false)],
  [truth.adafactorWithMomentum, adafactor(false, true)],
  [truth.adafactorFactoredWithMomentum, adafactor(true, true)],
  [truth.lars, lars],
  [truth.lamb, lamb(true)],
  [truth.lambUncorrected, lamb(false)],
  ...elementBounds,
  ...blockBounds,
  [truth.stableAdamw, stableAdamw],
  [truth.novograd, novograd],
  [truth.cautiousAdam, cautious(adam(false, true))],
  [truth.cautiousAdamW, cautious(adam(false, true))],
  [truth.cautiousAmsgrad, cautious(adam(true, true))],
  [truth.cautiousLion, cautious(lion)],
  [truth.cautiousNadam, cautious(nadam)],
  [truth.cautiousRadam, cautious(radam)],
  [truth.cautiousAdamax, cautious(adamax)],
  [truth.cautiousAdemamix, cautious(ademamix)],
  [truth.cautiousMomentum, cautious(momentum)],
  [truth.cautiousNesterov, cautious(nesterov)],
  [truth.cautiousBuffer, cautious(buffer)],
  [truth.cautiousBufferNesterov, cautious(bufferNesterov)],
]);

// --- The common prologue and epilogue --------------------------------------------------------------------------------

/** Follows a run of `Reference`, of the true formulas only. */
export class ErrorBound {
  readonly params: BallCell[][];
  gradNorm = 0;
  /** Of the last step's norm: float64 sums of squares, each of which rounds at most once an element. */
  gradNormError = 0;
  /**
   * Of each param, the elements with a sign that float32 may see otherwise: their bound holds, but is as wide as a
   * step.
   */
  readonly doubtful: Set<number>[];
  private readonly bound: Bound;
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
    const bound = BOUNDS.get(formula);
    if (bound === undefined) throw new TypeError('golden: a formula without its error bound');
    this.bound = bound;
    const state = Object.fromEntries(Object.keys(formula.stateNames).map((name) => [name, ZERO]));
    this.params = params.map((param) =>
      Array.from(param, (w) => ({ ...state, w: new Ball(w, 0), g: ZERO, ema: new Ball(w, 0) }) as BallCell),
    );
    this.clip = new Reference(formula, options, []);
    this.doubtful = params.map(() => new Set());
    this.updates = params.map(() => 0);
    this.previousMomentum = params.map(() => 0);
  }

  /**
   * State that does not start at 0 is computed in float64, from w and from constants that may be rounded, then rounded.
   */
  private start(x: BallCell, h: Hyper): void {
    for (const [letter, value = Number.NaN] of Object.entries(this.formula.start?.(h, x.w.exact) ?? {})) {
      const isKept = this.formula.stateNames[letter] !== null;
      x[letter] = isKept && value !== 0 ? rounded(value, U * Math.abs(value)) : new Ball(value, 0);
    }
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
      const param = this.params[p] ?? [];
      param.forEach((x, i) => {
        if (t === 1) this.start(x, h);
        x.g = new Ball(grad[i] ?? Number.NaN, 0);
        x.g = x.g.times(scale).times(coefficient);
        if (limit) x.g = x.g.clamp(limit);
        if (this.options.maximize) x.g = x.g.negated();
        x.g = x.g.plus(x.w.times(l2));
        if (t === 1) x.ema = x.w;
      });
      const update = this.bound(h, t, param);
      param.forEach((x, i) => {
        x.w = x.w.times(keep);
        update(x, () => this.doubtful[p]?.add(i));
        if (!towards.isZero) x.ema = x.ema.plus(x.w.minus(x.ema).times(towards));
      });
    });
  }
}
