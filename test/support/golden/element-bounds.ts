/** The error bounds of the formulas in element-truth.ts: each once more, one rounding an operation. See error-bound.ts. */

import { averager, Ball, type Bound, between, ONE, rounded, scalar, squareAverager, TINY, U, ZERO } from './ball.js';
import * as truth from './element-truth.js';
import { type Formula, type Hyper, radamLength, radamRectification } from './reference.js';

/** s + (1−β₂)·(g − m)² + ε, with the new m */
function variance(h: Hyper): (s: Ball, surprise: Ball) => Ball {
  const [squareAverage, eps] = [squareAverager(h.beta2), scalar(h.eps)];
  return (s, surprise) => squareAverage(s, surprise).plus(eps);
}

const adabelief: Bound = (h, t) => {
  const [rate, root] = [scalar(h.lr / (1 - h.beta1 ** t)), scalar(1 / Math.sqrt(1 - h.beta2 ** t))];
  const [average, spread, eps] = [averager(h.beta1), variance(h), scalar(h.eps)];
  return (x) => {
    x.m = average(x.m, x.g);
    x.s = spread(x.s, x.g.minus(x.m));
    x.w = x.w.minus(x.m.times(rate).over(x.s.sqrt().times(root).plus(eps)));
  };
};

const adabeliefRectified: Bound = (h, t) => {
  const isPlain = radamLength(h, t) < 5;
  const factor = isPlain ? 1 : radamRectification(h, t) * Math.sqrt(1 - h.beta2 ** t);
  const rate = scalar((h.lr * factor) / (1 - h.beta1 ** t));
  const [average, spread, eps] = [averager(h.beta1), variance(h), scalar(h.eps)];
  return (x) => {
    x.m = average(x.m, x.g);
    x.s = spread(x.s, x.g.minus(x.m));
    const update = x.m.times(rate);
    x.w = x.w.minus(isPlain ? update : update.over(x.s.sqrt().plus(eps)));
  };
};

/** s − g², whose sign alone counts: the square may leave float32. */
function excess(s: Ball, g: Ball): Ball {
  const square = g.exact ** 2;
  const radius = 2 * Math.abs(g.exact) * g.radius + g.radius ** 2 + U * square + TINY;
  return new Ball(s.exact - square, s.radius + radius);
}

const yogi: Bound = (h, t) => {
  const [rate, root] = [scalar(h.lr / (1 - h.beta1 ** t)), scalar(1 / Math.sqrt(1 - h.beta2 ** t))];
  const [average, share, eps] = [averager(h.beta1), scalar(1 - h.beta2), scalar(h.eps)];
  return (x, doubt) => {
    x.m = average(x.m, x.g);
    if (!x.g.isZero) x.s = x.s.minus(excess(x.s, x.g).sign(doubt).times(x.g.times(share).times(x.g)));
    x.w = x.w.minus(x.m.times(rate).over(x.s.sqrt().times(root).plus(eps)));
  };
};

function adopt(clips: boolean, decays: boolean): Bound {
  return (h, t) => {
    const [average, squareAverage] = [averager(h.beta1), squareAverager(h.beta2)];
    const [lr, eps, limit] = [scalar(h.lr), scalar(h.eps), scalar(Math.sqrt(Math.sqrt(t - 1)))];
    const keep = scalar(decays ? 1 - h.lr * h.weightDecay : 1);
    return (x) => {
      if (t === 1) {
        x.s = x.g.times(x.g);
        return;
      }
      const quotient = x.g.over(x.s.sqrt().max(eps));
      x.m = average(x.m, clips ? quotient.clamp(limit) : quotient);
      x.w = x.w.times(keep).minus(x.m.times(lr));
      x.s = squareAverage(x.s, x.g);
    };
  };
}

function adan(noProx: boolean): Bound {
  return (h, t) => {
    const [average, diffAverage, squareAverage] = [averager(h.beta1), averager(h.beta2), squareAverager(h.beta3)];
    const [moment, diff] = [scalar(h.lr / (1 - h.beta1 ** t)), scalar((h.lr * h.beta2) / (1 - h.beta2 ** t))];
    const [root, eps, beta2] = [scalar(1 / Math.sqrt(1 - h.beta3 ** t)), scalar(h.eps), scalar(h.beta2)];
    const keep = scalar(noProx ? 1 - h.lr * h.weightDecay : 1);
    const divisor = scalar(noProx ? 1 : 1 + h.lr * h.weightDecay);
    return (x) => {
      const y = t === 1 ? ZERO : x.g.minus(x['last'] ?? ZERO);
      x.m = average(x.m, x.g);
      x.v = diffAverage(x.v, y);
      x.s = squareAverage(x.s, x.g.plus(y.times(beta2)));
      x['last'] = x.g;
      const u = x.m.times(moment).plus(x.v.times(diff)).over(x.s.sqrt().times(root).plus(eps));
      const after = x.w.times(keep).minus(u);
      x.w = divisor === ONE ? after : after.over(divisor);
    };
  };
}

const signSgd: Bound = (h) => {
  const lr = scalar(h.lr);
  return (x, doubt) => {
    x.w = x.w.minus(x.g.sign(doubt).times(lr));
  };
};

const signum: Bound = (h) => {
  const [lr, average] = [scalar(h.lr), averager(h.momentum)];
  return (x, doubt) => {
    x.m = average(x.m, x.g);
    x.w = x.w.minus(x.m.sign(doubt).times(lr));
  };
};

/** a/H, which is 0 where H is 0. */
const over = (a: Ball, H: Ball): Ball => (H.isZero ? ZERO : a.over(H));

const proximalAdagrad: Bound = (h) => {
  const [lr, threshold, eps] = [scalar(h.lr), scalar(h.lr * h.l1), scalar(h.eps)];
  return (x) => {
    x.s = x.s.plus(x.g.times(x.g));
    const H = x.s.sqrt().plus(eps);
    const z = x.w.minus(over(x.g.times(lr), H));
    x.w = threshold.isZero ? z : H.isZero ? ZERO : z.shrink(threshold.over(H));
  };
};

const adagradDa: Bound = (h, t) => {
  const [lr, threshold, eps] = [scalar(h.lr), scalar(t * h.l1), scalar(h.eps)];
  return (x) => {
    x.s = x.s.plus(x.g.times(x.g));
    x['a'] = (x['a'] ?? ZERO).plus(x.g);
    x.w = over(x['a'].shrink(threshold), x.s.sqrt().plus(eps)).times(lr).negated();
  };
};

const optimisticGradientDescent: Bound = (h, t) => {
  const [gradStep, lastStep] = [scalar(h.lr * (h.alpha + h.beta)), scalar(h.lr * h.beta)];
  return (x) => {
    const last = t === 1 ? x.g : (x['last'] ?? ZERO);
    x.w = x.w.minus(x.g.times(gradStep).minus(last.times(lastStep)));
    x['last'] = x.g;
  };
};

function optimisticAdam(nesterov: boolean): Bound {
  return (h, t) => {
    const unbiased = 1 / (1 - h.beta1 ** t);
    const moment = scalar(nesterov ? h.beta1 / (1 - h.beta1 ** (t + 1)) : unbiased);
    const ahead = scalar(nesterov ? (1 - h.beta1) * unbiased : 0);
    const [root, eps] = [scalar(1 / Math.sqrt(1 - h.beta2 ** t)), scalar(h.eps)];
    const [step, lastStep] = [scalar(h.lr * (h.alpha + h.beta)), scalar(h.lr * h.beta)];
    const [average, squareAverage] = [averager(h.beta1), squareAverager(h.beta2)];
    return (x) => {
      x.m = average(x.m, x.g);
      x.s = squareAverage(x.s, x.g);
      const u = x.m.times(moment).plus(x.g.times(ahead)).over(x.s.sqrt().times(root).plus(eps));
      const last = t === 1 ? u : (x['last'] ?? ZERO);
      x.w = x.w.minus(u.times(step).minus(last.times(lastStep)));
      x['last'] = u;
    };
  };
}

const simplifiedAdemamix: Bound = (h, t) => {
  const [beta1, lr, gradStep] = [scalar(h.beta1), scalar(h.lr), scalar(h.lr * h.alpha)];
  const [root, eps] = [scalar(1 / Math.sqrt(1 - h.beta2 ** t)), scalar(h.eps)];
  const squareAverage = squareAverager(h.beta2);
  return (x) => {
    x.m = x.m.times(beta1).plus(x.g);
    x.s = squareAverage(x.s, x.g);
    const mixed = x.m.times(lr).plus(x.g.times(gradStep));
    x.w = x.w.minus(mixed.over(x.s.sqrt().times(root).plus(eps)));
  };
};

function sophia(estimates: boolean): Bound {
  return (h, t) => {
    const [lr, gamma, eps, average] = [scalar(h.lr), scalar(h.gamma), scalar(h.eps), averager(h.beta1)];
    return (x) => {
      const H = x['H'] ?? ZERO;
      x['H'] = estimates && t % 3 === 1 ? between(H, x.g.abs(), 1 - h.beta2) : H;
      x.m = average(x.m, x.g);
      x.w = x.w.minus(x.m.over(x['H'].times(gamma).max(eps)).clamp(ONE).times(lr));
    };
  };
}

const cocob: Bound = (h) => {
  const [lr, alpha] = [scalar(h.lr), scalar(h.alpha)];
  return (x) => {
    const [g, w0] = [x.g.times(lr), x['w0'] ?? ZERO];
    const L = (x['L'] ?? ZERO).max(g.abs());
    const G = (x['G'] ?? ZERO).plus(g.abs());
    x.R = x.R.minus(g.times(x.w.minus(w0))).max(ZERO);
    const theta = (x['theta'] ?? ZERO).minus(g);
    const share = L.plus(x.R).over(G.plus(L).max(L.times(alpha)));
    x.w = w0.plus(theta.over(L).times(share));
    Object.assign(x, { L, G, theta });
  };
};

/** Rounded once, from a recipe in float64 whose own error is far below. */
function cubeRoot(a: Ball): Ball {
  if (a.isZero) return ZERO;
  const exact = Math.cbrt(a.exact);
  const up = Math.cbrt(a.exact + a.radius) - exact;
  const down = exact - Math.cbrt(Math.max(a.exact - a.radius, 0));
  return rounded(exact, Math.max(up, down) + 2 ** -50 * exact);
}

function madgrad(decays: boolean): Bound {
  return (h, t) => {
    const rate = h.lr === 0 ? 0 : h.lr + h.eps;
    const [lambda, eps] = [scalar(rate * Math.sqrt(t)), scalar(h.eps)];
    const decay = scalar(decays ? rate * h.weightDecay : 0);
    return (x) => {
      const G = (x['G'] ?? ZERO).plus(x.g.times(lambda).times(x.g));
      x.z = x.z.plus(x.g.times(lambda));
      const point = (x['w0'] ?? ZERO).minus(over(x.z, cubeRoot(G).plus(eps)));
      x.w = between(point, x.w, h.momentum).minus(x.w.times(decay));
      x['G'] = G;
    };
  };
}

export const elementBounds: readonly (readonly [Formula, Bound])[] = [
  [truth.adabelief, adabelief],
  [truth.adabeliefRectified, adabeliefRectified],
  [truth.yogi, yogi],
  [truth.adopt, adopt(true, false)],
  [truth.adoptUnclipped, adopt(false, false)],
  [truth.adoptDecoupled, adopt(true, true)],
  [truth.adan, adan(false)],
  [truth.adanNoProx, adan(true)],
  [truth.signSgd, signSgd],
  [truth.signum, signum],
  [truth.proximalAdagrad, proximalAdagrad],
  [truth.adagradDa, adagradDa],
  [truth.optimisticGradientDescent, optimisticGradientDescent],
  [truth.optimisticAdam, optimisticAdam(false)],
  [truth.optimisticAdamNesterov, optimisticAdam(true)],
  [truth.simplifiedAdemamix, simplifiedAdemamix],
  [truth.sophia, sophia(true)],
  [truth.sophiaWithoutEstimates, sophia(false)],
  [truth.cocob, cocob],
  [truth.madgrad, madgrad(false)],
  [truth.madgradDecoupled, madgrad(true)],
];
