// Where to look next along a line: the cases of Moré & Thuente, Line Search Algorithms with Guaranteed Sufficient
// Decrease, ACM TOMS 20 (1994), section 4.

/** A point on the line: how far, and the value and the slope there. */
export interface LinePoint {
  readonly step: number;
  readonly value: number;
  readonly slope: number;
}

/** The minimiser of the cubic with the values and slopes at two points, as a part of the way from `a` to `b`. */
function cubic(a: LinePoint, b: LinePoint): { readonly at: number; readonly root: number } {
  const theta = (3 * (a.value - b.value)) / (b.step - a.step) + a.slope + b.slope;
  // Scaled, so that no square overflows.
  const size = Math.max(Math.abs(theta), Math.abs(a.slope), Math.abs(b.slope));
  const square = (theta / size) ** 2 - (a.slope / size) * (b.slope / size);
  const root = size * Math.sqrt(Math.max(0, square)) * (b.step < a.step ? -1 : 1);
  return { at: (root - a.slope + theta) / (root - a.slope + root + b.slope), root };
}

/** The minimiser of the parabola with both slopes, as a part of the way from `a` to `b`. */
function secant(a: LinePoint, b: LinePoint): number {
  return a.slope / (a.slope - b.slope);
}

/** The minimiser of the parabola with a's value and slope and b's value, as a part of the way from `a` to `b`. */
function parabola(a: LinePoint, b: LinePoint): number {
  return a.slope / ((a.value - b.value) / (b.step - a.step) + a.slope) / 2;
}

function nearer(to: number, a: number, b: number): number {
  return Math.abs(a - to) < Math.abs(b - to) ? a : b;
}

function farther(from: number, a: number, b: number): number {
  return nearer(from, a, b) === a ? b : a;
}

/**
 * The next step, from the best point so far and the latest trial.
 *
 * @param best has the lowest value so far, and its slope points to the minimum
 * @param trial the latest
 * @param other the end of the bracket opposite to `best`, if the minimum is between them
 * @param min, max where the next step may lie while there is no bracket
 */
export function nextStep(
  best: LinePoint,
  trial: LinePoint,
  other: LinePoint | undefined,
  min: number,
  max: number,
): number {
  const between = (a: LinePoint, b: LinePoint, part: number): number => a.step + part * (b.step - a.step);
  const ahead = trial.step > best.step;

  // Higher: the minimum is between them. The cubic's, or half-way to the parabola's if that is farther from the best.
  if (trial.value > best.value) {
    const c = between(best, trial, cubic(best, trial).at);
    const q = between(best, trial, parabola(best, trial));
    return Math.abs(c - best.step) <= Math.abs(q - best.step) ? c : c + (q - c) / 2;
  }
  // Lower, with a slope of the other sign: between them, too. The one closer to the best, which is farther from the trial.
  if (trial.slope * Math.sign(best.slope) < 0) {
    return farther(trial.step, between(trial, best, cubic(trial, best).at), between(trial, best, secant(trial, best)));
  }
  // Lower, with a smaller slope of the same sign: beyond the trial.
  if (Math.abs(trial.slope) < Math.abs(best.slope)) {
    const { at, root } = cubic(trial, best);
    // The cubic may fall for ever, or have its minimum on the wrong side.
    const c = at < 0 && root !== 0 ? between(trial, best, at) : ahead ? max : min;
    const q = between(trial, best, secant(trial, best));
    if (other === undefined) return Math.max(min, Math.min(max, farther(trial.step, c, q)));
    const limit = trial.step + 0.66 * (other.step - trial.step);
    const next = nearer(trial.step, c, q);
    return ahead ? Math.min(limit, next) : Math.max(limit, next);
  }
  // Lower, and as steep: far beyond.
  if (other === undefined) return ahead ? max : min;
  return between(trial, other, cubic(trial, other).at);
}
