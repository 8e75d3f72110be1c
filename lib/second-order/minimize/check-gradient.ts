import { rangeError, show } from '../../check/errors.js';
import { checkInteger, checkOptions } from '../../check/options.js';
import { Budget } from '../evaluation.js';
import type { Vector } from '../linalg.js';
import { Random } from '../sfo/random.js';
import { finish } from '../task.js';
import { Evaluator } from './evaluator.js';
import { constructorOf, copyPoint, type Objective, type Terms, termsOf } from './objective.js';

const who = 'checkGradient';

/** Options of {@link checkGradient}. */
export interface CheckGradientOptions {
  /** Number of elements to check, chosen at random. An integer in [1, inf), default 100. All, if there are fewer. */
  readonly samples?: number | undefined;
  /** Seed of the choice. An integer in [0, 2^32), default 0. */
  readonly seed?: number | undefined;
}

/** Result of {@link checkGradient}: the element whose derivative is farthest from the difference quotient. */
export interface GradientReport {
  /**
   * The largest relative error. About 1e-9 for a correct gradient in float64, and 1e-4 in float32. NaN without
   * elements.
   */
  readonly maxRelativeError: number;
  /** The element that has it, or −1 without elements. */
  readonly index: number;
  /** What the function wrote there. */
  readonly analytic: number;
  /** The difference quotient. */
  readonly numeric: number;
}

/**
 * Compares the gradient that a function writes with central differences of its values. Run it once for a new function,
 * at a point that is not a minimum.
 *
 * Formula: n = (f(x + h·eᵢ) − f(x − h·eᵢ)) / ((xᵢ + h) − (xᵢ − h)) in float64, with h = ε^⅓·max(1, |xᵢ|). This h
 * balances the errors of truncation and of rounding. ε is 2⁻⁵² for a Float64Array. It is 2⁻²³ for a Float32Array,
 * because a function of float32 may round its value to float32. The relative error is |gᵢ − n| / max(|gᵢ|, |n|, c),
 * where c = |f(x + h·eᵢ) − 2·f(x) + f(x − h·eᵢ)| / h is the change of the derivative over the step. Near a minimum,
 * derivatives smaller than c cannot be told apart. A check in float64 is more precise. The rounding of the values adds
 * an error of about ε·|f|/h to n, so a large constant in the value hides small derivatives.
 *
 * @param fn as in {@link minimize}: (x, grad) => value, or `{ N, f }`, whose sum is checked. It gets arrays of the type
 *   of `x`, and is called twice for each element, and once more.
 * @param x the point: a Float32Array or a Float64Array of finite numbers. It does not change.
 * @param options `samples` (100, [1, ∞)), `seed` (0, [0, 2³²)): {@link CheckGradientOptions}
 * @returns the largest relative error, and the element that has it: {@link GradientReport}
 * @throws TypeError for a wrong type, an unknown option, or an element of the gradient that fn leaves unwritten;
 *   RangeError for a value out of range, or if a value or derivative is not finite; and whatever fn throws
 * @example
 * ```ts
 * import { checkGradient } from 'schuss';
 *
 * const report = checkGradient((x, grad) => {
 *   grad[0] = 2 * x[0];
 *   grad[1] = 3 * x[1]; // wrong: 3 * x[1] ** 2
 *   return x[0] ** 2 + x[1] ** 3;
 * }, Float64Array.of(1, 2));
 * console.log(report); // { maxRelativeError: 0.5, index: 1, analytic: 6, numeric: about 12 }
 * ```
 */
export function checkGradient<T extends Vector>(
  fn: Objective<T> | Terms<T>,
  x: T,
  options: CheckGradientOptions = {},
): GradientReport {
  const N = termsOf(who, fn);
  const point = copyPoint(who, 'x', x);
  checkOptions(who, options, ['samples', 'seed']);
  const samples = checkInteger(who, 'samples', options.samples ?? 100, '[1, inf)');
  const seed = checkInteger(who, 'seed', options.seed ?? 0, '[0, 4294967296)');
  const VectorType = constructorOf(point);
  const budget = new Budget({ maxEvaluations: Number.POSITIVE_INFINITY });
  const problem = { who, fn: fn as Objective | Terms, N, x0: point, VectorType };
  const evaluator = new Evaluator(problem, budget);

  const at = point.slice();
  const grad = new VectorType(point.length);
  const valueAt = (where: string): number => {
    const result = evaluator.all(at, grad);
    const value = typeof result === 'number' ? result : finish(result);
    if (!Number.isFinite(value)) throw rangeError(who, `fn at ${where}`, show(value), 'a finite value');
    return value;
  };
  const value = valueAt('x');
  const analytic = grad.slice();
  const bad = analytic.findIndex((derivative: number) => !Number.isFinite(derivative));
  if (bad >= 0) throw rangeError(who, `grad[${bad}]`, show(analytic[bad]), 'a finite derivative');

  const relativeStep = Math.cbrt(VectorType === Float32Array ? 2 ** -23 : 2 ** -52);
  let worst: GradientReport = { maxRelativeError: Number.NaN, index: -1, analytic: Number.NaN, numeric: Number.NaN };
  for (const i of new Random(seed, 'elements').sample(point.length, samples)) {
    const middle = point[i]!;
    const h = relativeStep * Math.max(1, Math.abs(middle));
    at[i] = middle + h;
    const above = { x: at[i]!, value: valueAt(`x[${i}] + ${h}`) };
    at[i] = middle - h;
    const below = { x: at[i]!, value: valueAt(`x[${i}] - ${h}`) };
    at[i] = middle;
    // The step as it was rounded to the type of x.
    const numeric = (above.value - below.value) / (above.x - below.x);
    const change = Math.abs((above.value - value - (value - below.value)) / h);
    const error = Math.abs(analytic[i]! - numeric);
    const relativeError = error === 0 ? 0 : error / Math.max(Math.abs(analytic[i]!), Math.abs(numeric), change);
    if (!(relativeError <= worst.maxRelativeError))
      worst = { maxRelativeError: relativeError, index: i, analytic: analytic[i]!, numeric };
  }
  return worst;
}
