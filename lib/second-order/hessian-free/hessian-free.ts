import { rangeError, show, typeError } from '../../check/errors.js';
import { refuseFixed } from '../../check/members.js';
import { checkFunction, checkNumber, checkOptions } from '../../check/options.js';
import { heldParams } from '../../core/held-params.js';
import type { Tensor } from '../../core/params.js';
import type { AnyParams, GivenTree, Known } from '../../core/params-of.js';
import { inspect, print, printedParams } from '../../core/print.js';
import { Budget, type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { FlatParams } from '../flat-params.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { finish, isThenable } from '../task.js';
import {
  checkFunctions,
  type HessianFreeOptions,
  optionNames,
  type ResolvedOptions,
  resolveOptions,
} from './options.js';
import { HessianFreeSolver, maxFailures } from './solver.js';
import { type HessianFreeStateDict, loadRun, saveRun } from './state-dict.js';
import { UserCurvature } from './user-curvature.js';

const name = 'HessianFree';

/** Result of one step of {@link HessianFree}. */
export interface HessianFreeResult {
  /** Whether the params have changed. */
  readonly applied: boolean;
  /** The loss at the final params. */
  readonly loss: number;
  /** The L2 norm of the gradient at the final params. */
  readonly gradNorm: number;
  /** Number of calls of the closure. */
  readonly evaluations: number;
  /** Number of evaluations with a loss or gradient that was not finite. The step backs off from such points. */
  readonly nonFinite: number;
  /** Number of iterations. */
  readonly iterations: number;
  /** The damping λ of the last iteration. */
  readonly damping: number;
  /** Total number of conjugate-gradient iterations. Each computes one product. */
  readonly cgIterations: number;
  /**
   * ρ of the last iteration: the change of the loss, divided by the change that the quadratic model predicted.
   * −Infinity if the loss rose. NaN without an iteration, or if `maxEvaluations` ended it early; if ρ was not known by
   * then, λ does not change.
   */
  readonly rho: number;
  /**
   * Why the step ended. Tolerances: 'gradient' (`gradTol`), 'function' (`funTol`), 'step' (`stepTol`). Limits:
   * 'iterations', 'evaluations'. 'line-search': ten iterations in a row found no lower point. 'function' is also given
   * if rounding hides whether there is a lower point.
   */
  readonly reason: 'gradient' | 'function' | 'step' | 'iterations' | 'evaluations' | 'line-search';
}

/**
 * Hessian-free optimization: a Newton method for deep networks. It needs only the products of the curvature matrix with
 * vectors, not the matrix. Conjugate gradients find each step.
 *
 * Formula of one iteration, with the loss f, its gradient g, and the Gauss-Newton matrix G:
 *
 * 1. Conjugate gradients on (G + λ)·p = −g, preconditioned by (squaredGradients + λ)^¾, from `cgDecay` times the last
 *    iterate of the iteration before. They stop when k = max(10, ⌈i/10⌉) iterations have lowered φ(p) = ½pᵀ(G + λ)p +
 *    gᵀp by less than k·`cgTol` of its value, after `maxCgIterations`, or at a direction of negative curvature.
 * 2. Backtracking over the iterates 1, 2, 3, 4, 5, 7, 9, 11, 14, … (powers of 1.3, rounded up): goes back from the last
 *    one while f(x + p) does not rise.
 * 3. Damping: ρ = (f(x + p) − f(x)) / (½pᵀGp + gᵀp), or −∞ if f rose. λ ← 1.5·λ if ρ < ¼, λ ← ⅔·λ if ρ > ¾.
 * 4. Line search: the largest α = 1, 0.8, 0.8², … (60 times at most) with f(x + αp) ≤ f(x) + 0.01·α·gᵀp. Then
 *    x ← x + α·p; x stays if there is no such α.
 *
 * Arithmetic is float64. Points, gradients and directions are rounded to float32, because the params are.
 *
 * The loss must be the same function at every call during a step. Between steps it may change: choose a new curvature
 * batch for each step, and keep it during the step. A `step` first calls the closure at the params. With the default
 * `maxIterations` of 1, all products follow that call, so `gaussNewton` may reuse its activations.
 *
 * When a loss or gradient is not finite, the step backs off; `nonFinite` counts such evaluations. `step` throws if
 * there is no finite point along the line, if a function throws, or if the gradients do not fit the params. The params
 * are then at the last good point.
 *
 * @param params a `Float32Array`, `{ data, shape }`, or a tree of them; no param groups. They change in place.
 * @param options `grads`, `gaussNewton`; `squaredGradients`, `damping` (1, [0, ∞)), `cgDecay` (0.95, [0, 1]), `cgTol`
 *   (5e-4, [0, ∞)), `maxCgIterations` (250, [1, ∞)), `maxIterations` (1, [1, ∞)), `maxEvaluations` (∞, [1, ∞]),
 *   `gradTol` (1e-7, [0, ∞)), `funTol` (1e-9, [0, ∞)), `stepTol` (1e-9, [0, ∞)): {@link HessianFreeOptions}
 * @throws TypeError for a wrong type, an unknown option or param groups; RangeError for a value out of range, or if
 *   params and gradients share memory
 * @see Martens 2010, https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf; Martens & Sutskever 2012,
 *   https://doi.org/10.1007/978-3-642-35289-8_27
 * @example
 * ```ts
 * import { HessianFree } from 'schuss';
 *
 * // Fits y = a·x + b to four points: z = a·x + b, J = (x, 1), G = JᵀJ.
 * const [xs, ys] = [[0, 1, 2, 3], [1, 3, 5, 7]];
 * const params = { a: new Float32Array(1), b: new Float32Array(1) };
 * const grads = { a: new Float32Array(1), b: new Float32Array(1) };
 * const hf = new HessianFree(params, {
 *   grads,
 *   gaussNewton(_, v, out) {
 *     for (const x of xs) {
 *       const jv = x * v.a[0] + v.b[0];
 *       out.a[0] += jv * x;
 *       out.b[0] += jv;
 *     }
 *   },
 * });
 * for (let step = 0; step < 20; step++) {
 *   const { loss } = hf.step(() => {
 *     let loss = 0;
 *     grads.a[0] = grads.b[0] = 0;
 *     xs.forEach((x, i) => {
 *       const error = params.a[0] * x + params.b[0] - ys[i];
 *       grads.a[0] += error * x;
 *       grads.b[0] += error;
 *       loss += error ** 2 / 2;
 *     });
 *     return loss;
 *   });
 *   console.log(loss);
 * }
 * console.log(params); // about 2 and 1
 * ```
 */
export class HessianFree<const P extends object = AnyParams> {
  static readonly optimizerName = name;
  readonly #params: FlatParams;
  #curvature: UserCurvature;
  #options: ResolvedOptions;
  #solver: HessianFreeSolver;
  #stepCount = 0;
  #iterations = 0;
  #isDisposed = false;
  #isBusy = false;

  constructor(params: GivenTree<P>, options: HessianFreeOptions<Known<P>>) {
    checkOptions(name, options, ['grads', 'gaussNewton', 'squaredGradients', ...optionNames]);
    const { grads, gaussNewton, squaredGradients, ...others } = options as HessianFreeOptions;
    const functions = checkFunctions(name, { gaussNewton, squaredGradients });
    this.#options = resolveOptions(name, others as Partial<ResolvedOptions>);
    this.#params = new FlatParams(name, params, grads);
    this.#curvature = new UserCurvature(name, params, this.#params, functions);
    this.#solver = this.#newSolver(this.#options);
    refuseFixed(HessianFree, name, ['grads', 'gaussNewton', 'squaredGradients', ...optionNames]);
  }

  /**
   * λ of the next iteration, in [0, ∞). Assign a number to change it.
   *
   * @throws TypeError, RangeError for an invalid value; TypeError if disposed, or while another call is running
   */
  get damping(): number {
    this.#checkIdle();
    return this.#solver.damping;
  }

  set damping(value: number) {
    this.#checkIdle();
    this.#solver.damping = checkNumber(name, 'damping', value, '[0, inf)');
  }

  /** Number of steps that have changed the params. */
  get stepCount(): number {
    this.#checkAlive();
    return this.#stepCount;
  }

  /**
   * Runs up to `maxIterations` iterations. The params change in place. Afterwards `grads` holds the gradient at the
   * final params.
   *
   * @param closure fills `grads` with the gradient at the current params and returns the loss there
   * @returns whether the params have changed, the final loss and gradient norm, and counts: {@link HessianFreeResult}
   * @throws RangeError if the loss, the gradient or the first product is not finite at the start of an iteration, or if
   *   no loss along a line is finite; TypeError or RangeError if the loss is not a number or the gradients do not fit
   *   the params; and whatever the functions throw. The params are then at the last good point.
   */
  step(closure: () => number): HessianFreeResult {
    this.#checkIdle();
    checkFunction(name, 'closure', closure, 'a function, () => loss');
    const solver = this.#solver;
    this.#params.check();
    this.#params.read(solver.x);
    const { maxIterations, maxEvaluations, gradTol, funTol, stepTol } = this.#options;
    const budget = new Budget({ maxEvaluations });
    const evaluate: Evaluate = (x, grad) => this.#evaluate(closure, budget, x, grad);
    let [iterations, moves, failures, cgIterations] = [0, 0, 0, 0];
    let info = { damping: solver.damping, rho: Number.NaN };
    let reason: HessianFreeResult['reason'] = 'iterations';
    const run = (): void => {
      finish(solver.start(evaluate));
      if (!isFinitePoint(solver.value, solver.grad)) throw nonFiniteError(solver);
      if (maxAbs(solver.grad) <= gradTol) reason = 'gradient';
      while (reason === 'iterations' && iterations < maxIterations) {
        const before = solver.value;
        const outcome = finish(solver.iterate(evaluate, this.#curvature));
        if (outcome === 'non-finite') throw nonFiniteError(solver);
        iterations++;
        cgIterations += solver.info.cgIterations;
        info = { damping: solver.info.damping, rho: solver.info.rho };
        if (outcome === 'moved') moves++;
        failures = outcome === 'moved' ? 0 : failures + 1;
        if (outcome === 'function') reason = 'function';
        else if (failures >= maxFailures) reason = 'line-search';
        else if (outcome === 'moved' && maxAbs(solver.grad) <= gradTol) reason = 'gradient';
        else if (outcome === 'moved' && solver.lastMove <= stepTol) reason = 'step';
        else if (outcome === 'moved' && Math.abs(before - solver.value) < funTol) reason = 'function';
      }
    };
    this.#isBusy = true;
    try {
      run();
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (solver.keepBest()) {
        iterations++;
        moves++;
        cgIterations += solver.info.cgIterations;
        info = { damping: solver.info.damping, rho: Number.NaN };
      }
      reason = 'evaluations';
    } finally {
      this.#isBusy = false;
      this.#params.write(solver.x);
      this.#iterations += iterations;
      if (moves > 0) this.#stepCount++;
    }
    this.#params.writeGrads(solver.grad);
    return {
      applied: moves > 0,
      loss: solver.value,
      gradNorm: norm(solver.grad),
      evaluations: budget.evaluations,
      nonFinite: budget.nonFinite,
      iterations,
      ...info,
      cgIterations,
      reason,
    };
  }

  #evaluate(closure: () => number, budget: Budget, x: Vector, grad: Vector): number {
    budget.reserve();
    budget.spend();
    this.#params.write(x);
    const loss: unknown = closure();
    if (typeof loss !== 'number') {
      const hint = isThenable(loss) ? 'it must not be async' : undefined;
      throw typeError(name, 'closure', show(loss), 'the loss, a number', hint);
    }
    this.#params.check();
    this.#params.readGrads(grad);
    if (!isFinitePoint(loss, grad)) budget.nonFinite++;
    return loss;
  }

  /**
   * Returns everything that a resumed run needs, apart from the functions and the params: plain data that survives
   * `structuredClone`. The arrays are copies. For each param, `cgIterate` holds its part of the last iterate of
   * conjugate gradients; `damping` is that of the next iteration.
   *
   * @throws TypeError if disposed, or while another call is running
   * @example
   * ```ts
   * import { HessianFree } from 'schuss';
   *
   * const x = Float32Array.of(3, 4), g = new Float32Array(2);
   * const options = {
   *   grads: g,
   *   gaussNewton: (_: Float32Array, v: Float32Array, out: Float32Array) => out.set([v[0], 10 * v[1]]),
   * };
   * const hf = new HessianFree(x, options);
   * hf.step(() => {
   *   g.set([x[0], 10 * x[1]]);
   *   return (x[0] ** 2 + 10 * x[1] ** 2) / 2;
   * });
   * const resumed = new HessianFree(x, options);
   * resumed.loadStateDict(structuredClone(hf.stateDict()));
   * resumed.damping; // 0.667
   * ```
   */
  stateDict(): HessianFreeStateDict {
    this.#checkIdle();
    return saveRun(name, this.#params.tensors, {
      stepCount: this.#stepCount,
      iterations: this.#iterations,
      options: this.#optionsNow(),
      cgIterate: this.#solver.cgIterate,
    });
  }

  /**
   * Replaces counts, options, damping and the last iterate by those of a state that {@link stateDict} returned. The
   * arrays are copied. If it throws, nothing has changed.
   *
   * @throws TypeError for another class, names or types; RangeError for another version, other lengths or counts
   */
  loadStateDict(dict: HessianFreeStateDict): void {
    this.#checkIdle();
    const { stepCount, iterations, options, cgIterate } = loadRun(name, this.#params.tensors, dict);
    const solver = this.#newSolver(options);
    solver.cgIterate.set(cgIterate);
    this.#options = options;
    this.#solver = solver;
    this.#stepCount = stepCount;
    this.#iterations = iterations;
  }

  /**
   * Frees the vectors. A second call does nothing; every other method throws a TypeError from then on.
   *
   * @throws TypeError while another call is running
   */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#checkIdle();
    this.#isDisposed = true;
    this.#solver = undefined as unknown as HessianFreeSolver;
    this.#curvature = undefined as unknown as UserCurvature;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The class, its options, and the params by name and shape. */
  toString(): string {
    this.#checkAlive();
    return print(name, { stepCount: this.#stepCount, ...this.#optionsNow(), ...printedParams(this.#params.tensors) });
  }

  /** For `saveCheckpoint`. @internal */
  get [heldParams](): readonly Tensor[] {
    return this.#params.tensors;
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  [inspect](): string {
    return this.#isDisposed ? `${name} (disposed)` : this.toString();
  }

  #optionsNow(): ResolvedOptions {
    return { ...this.#options, damping: this.#solver.damping };
  }

  #newSolver(options: ResolvedOptions): HessianFreeSolver {
    return new HessianFreeSolver(this.#params.length, Float32Array, options);
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw typeError(name, 'this', 'a disposed optimizer', 'one that is not disposed');
  }

  #checkIdle(): void {
    this.#checkAlive();
    if (this.#isBusy)
      throw typeError(name, 'this', 'an optimizer in the middle of a call', 'to wait until that call has returned');
  }
}

/** The error when there is no finite point: at the start of a step, or everywhere along a line. */
function nonFiniteError({ value, grad, info }: HessianFreeSolver): RangeError {
  if (!Number.isFinite(value)) return rangeError(name, 'closure', show(value), 'a finite loss');
  if (!Number.isFinite(maxAbs(grad))) return rangeError(name, 'grads', 'NaN or an infinity', 'finite gradients');
  const hint = `the params are at the last good point, where the loss is ${value}`;
  if (info.cgIterations === 0) return rangeError(name, 'gaussNewton', 'NaN or an infinity', 'a finite product', hint);
  return rangeError(name, 'closure', 'a loss or gradient that is not finite all along the line', 'finite ones', hint);
}
