import { rangeError, show, typeError } from '../../check/errors.js';
import { nearest } from '../../check/options.js';
import { optimizers } from '../../optimizers/index.js';
import type { Vector } from '../linalg.js';
import { bySteps, type StepsMethodOptions } from './first-order.js';
import { byLbfgs, type LBFGSMethodOptions } from './lbfgs.js';
import type { Method, MinimizeResult } from './method.js';
import { checkStart, constructorOf, isTerms, type Objective, type Terms } from './objective.js';
import { bySfo, type SFOMethodOptions } from './sfo.js';

const who = 'minimize';

/** The methods apart from the first-order classes. */
const methods: Readonly<Record<string, Method>> = { lbfgs: byLbfgs, sfo: bySfo };

type KnownNames<T> = keyof { [K in keyof T as string extends K ? never : K]: T[K] };

/** The first-order methods of {@link minimize}: `'sgd'`, `'adam'`, … */
export type StepsMethod = KnownNames<typeof optimizers>;

/** Options of {@link minimize}; those of the class, such as `lr`, too, with a first-order method. */
export type MinimizeOptions<T extends Vector = Vector> =
  | LBFGSMethodOptions<T>
  | SFOMethodOptions<T>
  | (StepsMethodOptions<T> & { readonly method: StepsMethod; readonly [option: string]: unknown });

function methodOf(method: unknown): Method {
  if (method === undefined) return byLbfgs;
  const names = [...Object.keys(methods), ...Object.keys(optimizers)];
  if (typeof method !== 'string') throw typeError(who, 'method', show(method), `one of ${names.join(', ')}`);
  if (Object.hasOwn(methods, method)) return methods[method] as Method;
  if (Object.hasOwn(optimizers, method)) return bySteps;
  const near = nearest(method, names);
  throw rangeError(who, 'method', show(method), near === undefined ? `one of ${names.join(', ')}` : `"${near}"`);
}

/**
 * Finds a minimum of a function, or of a sum of functions, by its gradient. Runs to its end before it returns.
 *
 * Methods: `'lbfgs'`, the line-search method of {@link LBFGS}, whose iterations never go uphill, on a function or on the
 * sum of the terms; `'sfo'`, that of {@link SFO}, on the terms, one at a time; or the name of a first-order class, in
 * float32 alone: one step for each term, in a random order that is a new one in each pass, or for the one function.
 *
 * Everything is float64 with a Float64Array; with a Float32Array points, gradients and curvature pairs are float32, sums and
 * directions float64. A value or gradient that is not finite is backed off from, and counted in `nonFinite`; reason
 * 'non-finite' if there is none but such along a line, or at x0. A run ends early, at the lowest point so far, when `signal`
 * is aborted or the callback returns true.
 *
 * @param fn (x, grad) => value: writes the gradient at x to `grad`, which comes as zeros, and must not change x; or
 *   `{ N, f }`, where f(i, x, grad) does the same for term i = 0 … N − 1
 * @param x0 where to begin: a Float32Array or a Float64Array of finite numbers. Not changed.
 * @param options `method`; `maxIterations`, `maxEvaluations`, `gradTol`, `callback`, `signal`; with terms `passes`,
 *   `onPass`; for 'lbfgs' `funTol`, `stepTol`, `historySize`: {@link LBFGSMethodOptions}; for 'sfo', in place of `gradTol`,
 *   `seed` and what need not be tuned: {@link SFOMethodOptions}; for first-order methods `seed`, with terms, and the
 *   options of the class: {@link StepsMethodOptions}
 * @returns the point, and how it was found: {@link MinimizeResult}. `reason` is a tolerance that was met ('gradient',
 *   'function', 'step': `converged`), a limit ('iterations', 'evaluations'), 'aborted', 'non-finite', or 'line-search':
 *   no lower point was found though the gradient says that there is one; it may be wrong. 'function' is also given where
 *   rounding hides whether there is one.
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range; TypeError if fn returns no
 *   number; and what fn and the callbacks throw
 * @see {@link LBFGS} and {@link SFO} for the formula and its literature
 * @example
 * ```ts
 * import { minimize } from 'schuss';
 *
 * const { x, value, reason, evaluations } = minimize((x, grad) => {
 *   const t = x[1] - x[0] ** 2; // Rosenbrock's function
 *   grad[0] = -400 * x[0] * t - 2 * (1 - x[0]);
 *   grad[1] = 200 * t;
 *   return 100 * t ** 2 + (1 - x[0]) ** 2;
 * }, Float64Array.of(-1.2, 1));
 * console.log(x, value, reason, evaluations); // [1, 1], about 0, 'gradient', about 45
 * ```
 * @example
 * ```ts
 * import { minimize } from 'schuss';
 *
 * const data = Float32Array.of(1, 2, 3, 6);
 * const squares = {
 *   N: data.length,
 *   f(i: number, x: Float32Array, grad: Float32Array) {
 *     grad[0] = x[0] - data[i];
 *     return (x[0] - data[i]) ** 2 / 2;
 *   },
 * };
 * minimize(squares, new Float32Array(1), { method: 'lbfgs' }).x; // [3]
 * minimize(squares, new Float32Array(1), { method: 'sfo' }).x; // [3]
 * minimize(squares, new Float32Array(1), { method: 'adam', lr: 0.1, passes: 100 }).x; // about [3]
 * ```
 */
export function minimize<T extends Vector>(
  fn: Objective<T> | Terms<T>,
  x0: T,
  options: MinimizeOptions<T> = {},
): MinimizeResult<T> {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw typeError(who, 'options', show(options), 'an object with method, maxIterations, …');
  const given = fn as Objective | Terms;
  const N = isTerms(who, given) ? given.N : undefined;
  const start = checkStart(who, x0);
  const run = methodOf(options.method);
  const problem = { fn: given, N, x0: start, make: constructorOf(start) };
  return run(problem, options as Readonly<Record<string, unknown>>) as MinimizeResult<T>;
}
