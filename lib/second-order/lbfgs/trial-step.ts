// The next trial step of the line search: Moré & Thuente, Line Search Algorithms with Guaranteed Sufficient Decrease,
// ACM TOMS 20 (1994), section 4.

/** A point on the search line: the step, and the value and the slope there. */
export interface LinePoint {
  readonly step: number;
  readonly value: number;
  readonly slope: number;
}

/** Minimiser of the cubic through the values and slopes of both points, as a fraction of the way from `a` to `b`. */
function cubicMinimiser(a: LinePoint, b: LinePoint): { readonly fraction: number; readonly root: number } {
  const theta = (3 * (a.value - b.value)) / (b.step - a.step) + a.slope + b.slope;
  // Divided by the largest term, so that no square overflows.
  const size = Math.max(Math.abs(theta), Math.abs(a.slope), Math.abs(b.slope));
  const discriminant = (theta / size) ** 2 - (a.slope / size) * (b.slope / size);
  const root = size * Math.sqrt(Math.max(0, discriminant)) * (b.step < a.step ? -1 : 1);
  return { fraction: (root - a.slope + theta) / (root - a.slope + root + b.slope), root };
}

/** Minimiser of the parabola through both slopes, as a fraction of the way from `a` to `b`. */
function secantMinimiser(a: LinePoint, b: LinePoint): number {
  return a.slope / (a.slope - b.slope);
}

/**
 * Minimiser of the parabola through the value and slope of `a` and the value of `b`, as a fraction of the way to `b`.
 */
function quadraticMinimiser(a: LinePoint, b: LinePoint): number {
  return a.slope / ((a.value - b.value) / (b.step - a.step) + a.slope) / 2;
}

/** The step at a fraction of the way from `a` to `b`. */
function between(a: LinePoint, b: LinePoint, fraction: number): number {
  return a.step + fraction * (b.step - a.step);
}

function nearer(to: number, a: number, b: number): number {
  return Math.abs(a - to) < Math.abs(b - to) ? a : b;
}

function farther(from: number, a: number, b: number): number {
  return nearer(from, a, b) === a ? b : a;
}

/**
 * The next step to try, from the best point and the latest trial.
 *
 * @param best has the lowest value so far. Its slope points towards the minimum.
 * @param trial the latest point
 * @param other the other end of the bracket, or undefined while the minimum is not bracketed
 * @param min, max bounds of the next step while the minimum is not bracketed
 */
export function nextStep(
  best: LinePoint,
  trial: LinePoint,
  other: LinePoint | undefined,
  min: number,
  max: number,
): number {
  const isForward = trial.step > best.step;

  // Case 1: a higher value, so the two points bracket a minimum. Takes the cubic step if it is nearer to the best point
  // than the quadratic step, else the midpoint of both.
  if (trial.value > best.value) {
    const cubic = between(best, trial, cubicMinimiser(best, trial).fraction);
    const quadratic = between(best, trial, quadraticMinimiser(best, trial));
    return Math.abs(cubic - best.step) <= Math.abs(quadratic - best.step) ? cubic : cubic + (quadratic - cubic) / 2;
  }
  // Case 2: a lower value and a slope of the opposite sign, so the two points bracket a minimum. Takes the cubic or the
  // secant step, whichever is farther from the trial.
  if (trial.slope * Math.sign(best.slope) < 0) {
    const cubic = between(trial, best, cubicMinimiser(trial, best).fraction);
    return farther(trial.step, cubic, between(trial, best, secantMinimiser(trial, best)));
  }
  // Case 3: a lower value and a flatter slope of the same sign. The minimum is beyond the trial.
  if (Math.abs(trial.slope) < Math.abs(best.slope)) {
    const { fraction, root } = cubicMinimiser(trial, best);
    // The cubic may have no minimum, or one on the wrong side. Then the bound takes its place.
    const cubic = fraction < 0 && root !== 0 ? between(trial, best, fraction) : isForward ? max : min;
    const secant = between(trial, best, secantMinimiser(trial, best));
    if (other === undefined) return Math.max(min, Math.min(max, farther(trial.step, cubic, secant)));
    const limit = trial.step + 0.66 * (other.step - trial.step);
    const next = nearer(trial.step, cubic, secant);
    return isForward ? Math.min(limit, next) : Math.max(limit, next);
  }
  // Case 4: a lower value and a slope that is as steep. The minimum is far beyond the trial.
  if (other === undefined) return isForward ? max : min;
  return between(trial, other, cubicMinimiser(trial, other).fraction);
}
