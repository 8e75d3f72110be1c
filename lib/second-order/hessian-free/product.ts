import { show, typeError } from '../../check/errors.js';
import { checkFunction, checkInteger, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import { isThenable, type MaybeTask, type Task } from '../task.js';
import { GradientCheck, writeInto } from '../unwritten.js';

const name = 'gaussNewtonProduct';

/**
 * The functions from which {@link gaussNewtonProduct} computes its product. z are the outputs of the model for all
 * examples of the curvature batch. J is the Jacobian of z with respect to the params.
 *
 * @typeParam X the params @typeParam V a vector like the params @typeParam R what the functions return: nothing, or a
 *   promise for `minimizeAsync`
 */
export interface GaussNewtonParts<X, V, R = void> {
  /** Number of outputs z: number of examples · outputs per example. An integer in [1, inf). */
  readonly outputs: number;
  /**
   * Writes J·v at `x` to `jv`: how fast the outputs change if the params move along `v`. The forward mode of
   * differentiation, also known as the R-operator.
   */
  readonly jvp: (x: X, v: V, jv: Float64Array) => R;
  /** Writes Jᵀ·u at `x` to `out`: the backward pass, with `u` in the place of the loss's gradient for the outputs. */
  readonly vjp: (x: X, u: Float64Array, out: V) => R;
  /**
   * Multiplies `u` in place by the Hessian of the loss with respect to the outputs. It needs no derivative of the
   * model. Default: leaves `u` as it is, for half the sum of squared errors. For the mean cross-entropy of softmax over
   * n examples, with probabilities p of an example: uᵢ ← pᵢ·(uᵢ − Σⱼ pⱼuⱼ) / n.
   */
  readonly lossHessian?: ((x: X, u: Float64Array) => R) | undefined;
}

/**
 * Makes the option `gaussNewton` of {@link HessianFree}, and of {@link minimize} with method 'hessian-free'. It builds
 * products with the Gauss-Newton matrix from products with the Jacobian.
 *
 * Formula: G·v = Jᵀ·(H·(J·v)), where J = ∂z/∂x is the Jacobian of the outputs z, and H the Hessian of the loss with
 * respect to z. G is the Hessian without the curvature of the model itself. It has no negative eigenvalue if H has
 * none, as for squared errors and cross-entropy.
 *
 * @param parts `outputs`, `jvp`, `vjp`, `lossHessian`: {@link GaussNewtonParts}
 * @returns (x, v, out) => void, which writes G·v at x to `out`; or a promise if one of the functions returns one
 * @throws TypeError for a wrong type or an unknown option; RangeError for a value out of range. The product throws a
 *   TypeError if `jvp` leaves an element of its first result unwritten.
 * @see Schraudolph 2002, https://doi.org/10.1162/08997660260028683
 * @example
 * ```ts
 * import { gaussNewtonProduct, minimize } from 'schuss';
 *
 * // Rosenbrock's function as half a sum of squares: z = (√200·(x₁ − x₀²), √2·(1 − x₀)).
 * const [a, b] = [Math.sqrt(200), Math.sqrt(2)];
 * const gaussNewton = gaussNewtonProduct({
 *   outputs: 2,
 *   jvp(x: Float64Array, v: Float64Array, jv) {
 *     jv[0] = a * (v[1] - 2 * x[0] * v[0]);
 *     jv[1] = -b * v[0];
 *   },
 *   vjp(x, u, out) {
 *     out[0] = -2 * a * x[0] * u[0] - b * u[1];
 *     out[1] = a * u[0];
 *   },
 * });
 * const { x, reason } = minimize(
 *   (x, grad) => {
 *     const t = x[1] - x[0] ** 2;
 *     grad[0] = -400 * x[0] * t - 2 * (1 - x[0]);
 *     grad[1] = 200 * t;
 *     return 100 * t ** 2 + (1 - x[0]) ** 2;
 *   },
 *   Float64Array.of(-1.2, 1),
 *   { method: 'hessian-free', gaussNewton },
 * );
 * console.log(x, reason); // [1, 1], 'gradient'
 * ```
 */
export function gaussNewtonProduct<X, V, R extends void | PromiseLike<void> = void>(
  parts: GaussNewtonParts<X, V, R>,
): (x: X, v: V, out: V) => R {
  checkOptions(name, parts, ['outputs', 'jvp', 'vjp', 'lossHessian']);
  const { outputs, jvp, vjp, lossHessian } = parts as GaussNewtonParts<X, V, R>;
  checkInteger(name, 'outputs', outputs, '[1, inf)');
  checkFunction(name, 'jvp', jvp, 'a function, (x, v, jv) => void');
  checkFunction(name, 'vjp', vjp, 'a function, (x, u, out) => void');
  if (lossHessian !== undefined) checkFunction(name, 'lossHessian', lossHessian, 'a function, (x, u) => void');
  const check = new GradientCheck(1);

  function* product(x: X, v: V, out: V): Task<void> {
    // A new array each time, because a run that was interrupted may still be waiting with the last one.
    const jv = new Float64Array(outputs);
    yield* writeInto(
      check,
      jv,
      () => later(jvp(x, v, jv)),
      (index) =>
        typeError(name, `jv[${index}] of jvp`, 'not written', 'a number', 'jvp must write every element of jv'),
    ) ?? [];
    for (const call of [lossHessian && (() => lossHessian(x, jv)), () => vjp(x, jv, out)]) {
      if (lengthOf(jv as unknown as Float32Array) !== outputs)
        throw typeError(name, 'jv', 'a detached array', show(outputs));
      yield* later(call?.()) ?? [];
    }
  }
  return (x, v, out) => start(product(x, v, out)) as R;
}

/** The task that waits for a promise; undefined for anything else. */
function later(result: unknown): MaybeTask<void> {
  return isThenable(result) ? wait(result) : undefined;
}

function* wait(promise: PromiseLike<unknown>): Task<void> {
  yield promise;
}

/** Runs a task at once as far as it need not wait. Returns a promise of the rest, if there is one. */
function start(task: Task<void>): void | Promise<void> {
  const step = task.next();
  if (step.done !== true) return finishLater(task, step.value);
}

async function finishLater(task: Task<void>, first: unknown): Promise<void> {
  for (let awaited = first; ; ) {
    let step: IteratorResult<unknown, void>;
    try {
      step = task.next(await awaited);
    } catch (error) {
      step = task.throw(error);
    }
    if (step.done === true) return;
    awaited = step.value;
  }
}
