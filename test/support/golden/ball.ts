/** Quantities with the error of float32, for the error bounds of golden tests: see error-bound.ts. */

import type { Hyper } from './reference.js';

export const U = 2 ** -24;
export const TINY = 2 ** -149;
const LARGEST = 3.4028234663852886e38;

/** What float32 holds of a quantity: some number within `radius` of `exact`. */
export class Ball {
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
    if (b.isZero) return this;
    if (this.isZero) return b.negated();
    return rounded(this.exact - b.exact, this.radius + b.radius);
  }

  negated(): Ball {
    return new Ball(-this.exact, this.radius);
  }

  times(b: Ball): Ball {
    if (this.isZero || b.isZero) return ZERO;
    if (b === ONE) return this;
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

  abs(): Ball {
    return new Ball(Math.abs(this.exact), this.radius);
  }

  /** Exact: the result errs by at most as much as its operands. */
  max(b: Ball): Ball {
    if (this.exact - this.radius >= b.exact + b.radius) return this;
    if (b.exact - b.radius >= this.exact + this.radius) return b;
    return new Ball(Math.max(this.exact, b.exact), Math.max(this.radius, b.radius));
  }

  min(b: Ball): Ball {
    return this.negated().max(b.negated()).negated();
  }

  /** If float32 may see another sign than float64, any sign is allowed from here on, and `doubt` is called. */
  sign(doubt: () => void): Ball {
    const exact = Math.sign(this.exact);
    if (Math.abs(this.exact) > this.radius || this.isZero) return new Ball(exact, 0);
    doubt();
    return new Ball(exact, 1 + Math.abs(exact));
  }

  /**
   * |x| ≤ limit ? 0 : x − sign(x)·limit: no jump at the limit, so that a comparison that goes the other way costs
   * nothing.
   */
  shrink(limit: Ball): Ball {
    if (Math.abs(this.exact) + this.radius <= limit.exact - limit.radius) return ZERO;
    if (limit.isZero) return this;
    const exact = Math.sign(this.exact) * Math.max(Math.abs(this.exact) - limit.exact, 0);
    return rounded(exact, this.radius + limit.radius);
  }

  clamp(limit: Ball): Ball {
    if (Math.abs(this.exact) + this.radius < limit.exact - limit.radius) return this;
    const exact = Math.min(Math.max(this.exact, -limit.exact), limit.exact);
    const isBeyond = Math.abs(this.exact) - this.radius > limit.exact + limit.radius;
    return new Ball(exact, isBeyond ? limit.radius : Math.max(this.radius, limit.radius));
  }

  /** The same quantity in another order of operations. An implementation may use either. */
  or(b: Ball): Ball {
    return new Ball(this.exact, Math.max(this.radius, b.radius + Math.abs(this.exact - b.exact)));
  }
}

export const ZERO = new Ball(0, 0);
export const ONE = new Ball(1, 0);
/** A missing hyper-parameter. Using it is a RangeError of `rounded`. */
export const NOT_GIVEN = new Ball(Number.NaN, 0);

export function rounded(exact: number, radius: number): Ball {
  const largest = Math.abs(exact) + radius;
  if (!(largest <= LARGEST)) throw new RangeError('golden: this run leaves the range of float32');
  return new Ball(exact, radius + U * largest + TINY);
}

/** A float64 number that is rounded once to a kernel's constant. 0 and 1 are exact. */
export function scalar(exact: number): Ball {
  if (exact === 0) return ZERO;
  if (exact === 1) return ONE;
  return Number.isNaN(exact) ? NOT_GIVEN : rounded(exact, 0);
}

/** A formula changes only the state that its `stateNames` names. */
type Letter =
  | ('w' | 'g' | 'ema' | 'v' | 'b' | 's' | 'a' | 'm' | 'sMax' | 'u' | 'slow' | 'z' | 'n')
  | ('previous' | 'step' | 'product' | 'ax' | 'eta' | 'mu' | 'x' | 'lrMax' | 'sum')
  | ('ratio' | 'R' | 'C' | 'V' | 'alpha' | 'has' | 'rate' | 'kept' | 'scale');
export type BallCell = Record<Letter, Ball> & Record<string, Ball>;
/**
 * The constants of a step and the measures of the whole param, then the update of every element. `doubt` is called
 * where a sign is not certain.
 */
export type Bound = (h: Hyper, t: number, param: readonly BallCell[]) => (x: BallCell, doubt: () => void) => void;

/** beta*m + (1-beta)*g */
export function averager(beta: number): (m: Ball, g: Ball) => Ball {
  const [keep, add] = [scalar(beta), scalar(1 - beta)];
  return (m, g) => m.times(keep).plus(g.times(add));
}

/** beta*s + ((1-beta)*g)*g: in this order, the square of a larger g is finite */
export function squareAverager(beta: number): (s: Ball, g: Ball) => Ball {
  const [keep, add] = [scalar(beta), scalar(1 - beta)];
  return (s, g) => s.times(keep).plus(g.times(add).times(g));
}

/**
 * (1-share)*from + share*to, computed as from + share*(to - from). The difference, the constant and the product round, and
 * then the sum. The errors of both ends count by their weights.
 */
export function between(from: Ball, to: Ball, share: number): Ball {
  if (share === 0 || (from.isZero && to.isZero)) return from;
  const distance = Math.abs(to.exact - from.exact) + to.radius + from.radius;
  const radius = (1 - share) * from.radius + share * to.radius + share * 3 * U * (1 + 4 * U) * distance + TINY;
  return rounded((1 - share) * from.exact + share * to.exact, radius);
}
