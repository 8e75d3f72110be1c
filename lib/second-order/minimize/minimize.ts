import { rangeError, show, typeError } from '../../check/errors.js';
import { nearest } from '../../check/options.js';
import { type OptimizerName, type OptionsByName, optimizers } from '../../optimizers/index.js';
import type { Vector } from '../linalg.js';
import { finish, type Task } from '../task.js';
import { Waits } from '../waits.js';
import { minimizeFirstOrder, type StepsMethodOptions } from './first-order.js';
import { type HessianFreeMethodOptions, minimizeHessianFree } from './hessian-free.js';
import { type LBFGSMethodOptions, minimizeLbfgs } from './lbfgs.js';
import type { Answer, Method, MinimizeResult } from './method.js';
import {
  type AsyncObjective,
  type AsyncTerms,
  constructorOf,
  copyPoint,
  type Objective,
  type Terms,
  termsOf,
} from './objective.js';
import { minimizeSfo, type SFOMethodOptions } from './sfo.js';

/** All methods except the first-order classes. */
const methods: Readonly<Record<string, Method>> = {
  lbfgs: minimizeLbfgs,
  sfo: minimizeSfo,
  'hessian-free': minimizeHessianFree,
};

/** Methods of SciPy's minimize, in lower case and without `-` and `_`, and ours that stands nearest. */
const scipyMethods: Readonly<Record<string, string>> = {
  lbfgsb: 'lbfgs',
  bfgs: 'lbfgs',
  cg: 'lbfgs',
  newtoncg: 'hessian-free',
  tnc: 'hessian-free',
  trustncg: 'hessian-free',
  trustkrylov: 'hessian-free',
  hessianfree: 'hessian-free',
  hf: 'hessian-free',
};

/** The first-order methods of {@link minimize}: `'sgd'`, `'adam'`, … */
export type StepsMethod = OptimizerName;

/**
 * Options of {@link minimize}. With a first-order method, the options of its class, such as `lr`, are also allowed.
 * Those of 'hessian-free' are {@link HessianFreeMethodOptions}.
 */
export type MinimizeOptions<T extends Vector = Vector, A = Answer, P = void> =
  | LBFGSMethodOptions<T, A, P>
  | SFOMethodOptions<T, A, P>
  | FirstOrderOptions<T, A, P>;

/** The options of `minimize` and of the class, by method. */
type FirstOrderOptions<T extends Vector, A, P> = {
  [M in StepsMethod]: StepsMethodOptions<T, A, P> & OptionsByName<M> & { readonly method: M };
}[StepsMethod];

/** The options for one function, which has no terms and no passes. */
type WithoutTerms<O> = O extends { readonly method: 'sfo' } ? never : Omit<O, 'passes' | 'onPass' | 'seed'>;

/** Options of {@link minimizeAsync}: those of {@link minimize}, whose callbacks may return promises. */
export type MinimizeAsyncOptions<T extends Vector = Vector> = MinimizeOptions<
  T,
  Answer | PromiseLike<Answer>,
  void | PromiseLike<void>
>;

/** Options of {@link minimizeAsync} with method 'hessian-free': its functions and callbacks may return promises. */
export type HessianFreeAsyncOptions<T extends Vector = Vector> = HessianFreeMethodOptions<
  T,
  Answer | PromiseLike<Answer>,
  void | PromiseLike<void>
>;

function methodOf(who: string, method: unknown): Method {
  if (method === undefined) return minimizeLbfgs;
  const names = [...Object.keys(methods), ...Object.keys(optimizers)];
  if (typeof method !== 'string') throw typeError(who, 'method', show(method), `one of ${names.join(', ')}`);
  if (Object.hasOwn(methods, method)) return methods[method] as Method;
  if (Object.hasOwn(optimizers, method)) return minimizeFirstOrder;
  const plain = method.toLowerCase().replaceAll(/[_-]/g, '');
  const near = Object.hasOwn(scipyMethods, plain) ? scipyMethods[plain] : nearest(method, names);
  throw rangeError(who, 'method', show(method), near === undefined ? `one of ${names.join(', ')}` : `"${near}"`);
}

/** Checks the arguments. Returns the run, which has not begun. @throws TypeError, RangeError */
function taskOf(who: string, fn: unknown, x0: unknown, options: unknown, waits?: Waits): Task<MinimizeResult> {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw typeError(who, 'options', show(options), 'an object with method, maxIterations, …');
  const N = termsOf(who, fn);
  const start = copyPoint(who, 'x0', x0);
  const run = methodOf(who, (options as { method?: unknown }).method);
  const problem = { who, fn: fn as Objective | Terms, N, x0: start, VectorType: constructorOf(start), waits };
  return run(problem, options as Readonly<Record<string, unknown>>);
}

/**
 * Finds a minimum of a function, or of a sum of functions, from its gradient. Synchronous: returns when the run has
 * ended.
 *
 * Methods:
 * - `'lbfgs'` (default): the line-search method of {@link LBFGS}, on a function or on the sum of the terms. Its
 *   iterations never go uphill.
 * - `'sfo'`: the method of {@link SFO}, on the terms, one at a time.
 * - `'hessian-free'`: the method of {@link HessianFree}, on a function or on the sum of the terms, with products that
 *   `gaussNewton` computes. Its iterations never go uphill.
 * - the name of a first-order class (`'adam'`, …), in float32 only. It takes one step per term, in a new random order
 *   in each pass, or one step per evaluation of the function.
 *
 * With a Float64Array, everything is float64. With a Float32Array, points, gradients and curvature pairs are float32;
 * sums and search directions are float64.
 *
 * With 'lbfgs', 'sfo' and 'hessian-free', a value or gradient that is not finite makes the method back off; `nonFinite`
 * counts such evaluations. The run ends with reason 'non-finite' if x0, or every point along a line, is not finite, or
 * if ‖∇f‖² overflows (‖∇f‖ above 1.3e154). A first-order method ends with that reason at the first evaluation that is
 * not finite.
 *
 * The run ends early after `maxTime`, if `signal` is aborted, or if the callback returns true. 'lbfgs' and
 * 'hessian-free' then return the lowest point so far.
 *
 * @param fn (x, grad) => value: returns the value at x and writes the gradient to `grad`, every element of it; it must
 *   not change x. Or `{ N, f }`, where f(i, x, grad) does the same for term i = 0 … N − 1. A function may add to `grad`
 *   (`grad[i] += …`); the library then fills `grad` with zeros first. See {@link checkGradient}.
 * @param x0 the starting point: a Float32Array or a Float64Array of finite numbers. It does not change.
 * @param options `method`; `maxIterations`, `maxEvaluations`, `maxTime`, `callback`, `signal`; with terms also
 *   `passes`, `onPass`. For 'lbfgs' `gradTol`, `funTol`, `stepTol`, `historySize`: {@link LBFGSMethodOptions}. For
 *   'sfo' `seed` and hyper-parameters that need no tuning: {@link SFOMethodOptions}. For 'hessian-free' `gaussNewton`,
 *   `squaredGradients`, `damping`, `cgDecay`, `cgTol`, `maxCgIterations` and the tolerances of 'lbfgs':
 *   {@link HessianFreeMethodOptions}. For first-order methods `gradTol`, `seed` (with terms) and the options of the
 *   class: {@link StepsMethodOptions}.
 * @returns the point, its value, and how it was found: {@link MinimizeResult}. `reason` is a tolerance that was met
 *   ('gradient', 'function', 'step'; then `converged` is true), a limit ('iterations', 'evaluations', 'time'),
 *   'aborted', 'non-finite', or 'line-search'. 'line-search': no lower point was found although the gradient indicates
 *   one, so the gradient may be wrong. 'function' is also given if rounding hides whether there is a lower point: the
 *   next step rounds to nothing, or leads downhill to the same value.
 * @throws TypeError for a wrong type, an unknown option, if fn does not return a number, or if its first call leaves an
 *   element of the gradient unwritten while the value is finite; RangeError for a value out of range; and whatever fn
 *   and the callbacks throw
 * @see {@link LBFGS}, {@link SFO} and {@link HessianFree} for formulas and sources
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
// The options of 'hessian-free' stand alone: in a union with the others, TypeScript could not tell what their callbacks get.
export function minimize<T extends Vector>(
  fn: Objective<T>,
  x0: T,
  options: WithoutTerms<HessianFreeMethodOptions<T>>,
): MinimizeResult<T>;
export function minimize<T extends Vector>(
  fn: Terms<T>,
  x0: T,
  options: HessianFreeMethodOptions<T>,
): MinimizeResult<T>;
export function minimize<T extends Vector>(
  fn: Objective<T>,
  x0: T,
  options?: WithoutTerms<MinimizeOptions<T>>,
): MinimizeResult<T>;
export function minimize<T extends Vector>(fn: Terms<T>, x0: T, options?: MinimizeOptions<T>): MinimizeResult<T>;
export function minimize<T extends Vector>(
  fn: Objective<T> | Terms<T>,
  x0: T,
  options: object = {},
): MinimizeResult<T> {
  return finish(taskOf('minimize', fn, x0, options)) as MinimizeResult<T>;
}

/**
 * {@link minimize} without blocking the event loop. Methods, options and result are the same, bit for bit. It gives the
 * event loop a turn between evaluations, at least every 10 ms or after each evaluation that takes longer. So servers
 * keep answering, and a timer or a key press can stop the run.
 *
 * `fn`, `f`, `callback` and `onPass` may return promises. A promise that is pending when `signal` is aborted or
 * `maxTime` is over is no longer awaited, and what it does afterwards has no effect.
 *
 * @param fn as in {@link minimize}; may return a promise of the value, and write the gradient until it is fulfilled
 * @param x0 as in {@link minimize}; it is copied at the call
 * @param options those of {@link minimize}. An aborted `signal` rejects the promise with its reason. A limit
 *   (`maxTime`, `maxEvaluations`, `maxIterations`) and a `callback` that returns true fulfil it with the point.
 * @returns a promise of what {@link minimize} returns. The call itself never throws: a wrong argument rejects the
 *   promise. `value` is NaN if `maxTime` was over before the first promise was fulfilled.
 * @throws as {@link minimize}, by rejecting the promise
 * @example
 * ```ts
 * import { minimizeAsync } from 'schuss';
 *
 * const { x, reason } = await minimizeAsync(
 *   async (x, grad) => {
 *     grad[0] = 2 * (x[0] - 3); // or from a worker, a GPU, a server
 *     return (x[0] - 3) ** 2;
 *   },
 *   Float64Array.of(0),
 *   { maxTime: 1000, signal: AbortSignal.timeout(5000) },
 * );
 * console.log(x, reason); // [3], 'gradient'
 * ```
 */
export function minimizeAsync<T extends Vector>(
  fn: AsyncObjective<T>,
  x0: T,
  options: WithoutTerms<HessianFreeAsyncOptions<T>>,
): Promise<MinimizeResult<T>>;
export function minimizeAsync<T extends Vector>(
  fn: AsyncTerms<T>,
  x0: T,
  options: HessianFreeAsyncOptions<T>,
): Promise<MinimizeResult<T>>;
export function minimizeAsync<T extends Vector>(
  fn: AsyncObjective<T>,
  x0: T,
  options?: WithoutTerms<MinimizeAsyncOptions<T>>,
): Promise<MinimizeResult<T>>;
export function minimizeAsync<T extends Vector>(
  fn: AsyncTerms<T>,
  x0: T,
  options?: MinimizeAsyncOptions<T>,
): Promise<MinimizeResult<T>>;
export async function minimizeAsync<T extends Vector>(
  fn: AsyncObjective<T> | AsyncTerms<T>,
  x0: T,
  options: object = {},
): Promise<MinimizeResult<T>> {
  const waits = new Waits();
  return (await waits.run(taskOf('minimizeAsync', fn, x0, options, waits))) as MinimizeResult<T>;
}
