/** The formulas of `block-truth.ts` again, one rounding an operation: see `error-bound.ts`. */

import { averager, type Ball, type Bound, NOT_GIVEN, rounded, scalar, ZERO } from './ball.js';
import * as truth from './block-truth.js';
import { shapeOf } from './data.js';
import type { Formula } from './reference.js';

/** The mean of the squares, summed in float64 and rounded once. */
function meanSquare(balls: readonly Ball[]): Ball {
  if (balls.every((ball) => ball.isZero)) return ZERO;
  const [length, exact] = [balls.length, balls.reduce((sum, ball) => sum + ball.exact ** 2, 0)];
  const radius = balls.reduce((sum, ball) => sum + 2 * Math.abs(ball.exact) * ball.radius + ball.radius ** 2, 0);
  return rounded(exact / length, (radius + (length + 2) * 2 ** -53 * exact) / length);
}

function adamMini(blockOf: truth.BlockOf): Bound {
  return (h, t, param) => {
    const [keep, add] = [scalar(h.beta2), scalar(1 - h.beta2)];
    const size = blockOf(param.length);
    for (let begin = 0; begin < param.length; begin += size) {
      const block = param.slice(begin, begin + size);
      const mean = meanSquare(block.map((x) => x.g));
      for (const x of block) x.s = x.s.times(keep).plus(mean.times(add));
    }
    const rate = scalar(h.lr / (1 - h.beta1 ** t));
    const root = scalar(1 / Math.sqrt(1 - h.beta2 ** t));
    const [eps, average] = [scalar(h.eps), averager(h.beta1)];
    return (x) => {
      x.m = average(x.m, x.g);
      x.w = x.w.minus(x.m.times(rate).over(x.s.sqrt().times(root).plus(eps)));
    };
  };
}

function sm3(isMatrix: boolean, hasMomentum: boolean): Bound {
  return (h, _, param) => {
    const [lr, eps, average] = [scalar(h.lr), scalar(h.eps), averager(h.momentum)];
    const [rows, columns] = shapeOf(param.length);
    if (isMatrix) {
      const [ofRows, ofColumns] = [rows, columns].map((length) => new Array<Ball>(length).fill(ZERO)) as [
        Ball[],
        Ball[],
      ];
      for (const [i, x] of param.entries()) {
        x.a = x.R.min(x.C).plus(x.g.times(x.g));
        const [row, column] = [Math.floor(i / columns), i % columns];
        ofRows[row] = x.a.max(ofRows[row] ?? ZERO);
        ofColumns[column] = x.a.max(ofColumns[column] ?? ZERO);
      }
      for (const [i, x] of param.entries()) {
        x.R = ofRows[Math.floor(i / columns)] ?? NOT_GIVEN;
        x.C = ofColumns[i % columns] ?? NOT_GIVEN;
      }
    } else for (const x of param) x.a = x.a.plus(x.g.times(x.g));
    return (x) => {
      const u = x.a.isZero ? ZERO : x.g.over(x.a.plus(eps).sqrt());
      if (hasMomentum) x.m = average(x.m, u);
      x.w = x.w.minus((hasMomentum ? x.m : u).times(lr));
    };
  };
}

export const blockBounds: readonly (readonly [Formula, Bound])[] = [
  [truth.adamMiniRows, adamMini(truth.rowsAsBlocks)],
  [truth.adamMiniTensor, adamMini(truth.wholeAsBlock)],
  [truth.adamMiniThrees, adamMini(truth.threes)],
  [truth.sm3, sm3(false, true)],
  [truth.sm3Plain, sm3(false, false)],
  [truth.sm3Matrix, sm3(true, true)],
  [truth.sm3MatrixPlain, sm3(true, false)],
];
