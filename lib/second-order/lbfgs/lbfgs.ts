import { rangeError, show, typeError } from '../../check/errors.js';
import { refuseFixed } from '../../check/members.js';
import { checkFunction, checkOptions } from '../../check/options.js';
import type { Scalar } from '../../core/declaration.js';
import { heldParams } from '../../core/held-params.js';
import type { Tensor } from '../../core/params.js';
import type { AnyParams, GivenTree, Known } from '../../core/params-of.js';
import { inspect, print, printedParams } from '../../core/print.js';
import type { LoadOptions, StateDict } from '../../core/state-dict.js';
import { Budget, type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { FlatParams } from '../flat-params.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { finish, isThenable, type MaybeTask, type Task } from '../task.js';
import { type LBFGSOptions, lrAt, optionNames, type ResolvedOptions, resolveOptions } from './options.js';
import { LineSearchSolver } from './solver.js';
import { loadRun, saveRun } from './state-dict.js';

const name = 'LBFGS';

/** How errors name whoever takes the step, the loss and the gradient. */
export interface SourceNames {
  readonly who: string;
  readonly loss: string;
  readonly grad: string;
}

/**
 * A step whose losses and gradients come from another source than a closure and may have to be awaited. It changes the
 * params only when it ends.
 */
export let stepWith: (lbfgs: LBFGS, evaluate: Evaluate, names: SourceNames) => Task<LBFGSResult>;

/** Result of one step of {@link LBFGS}. */
export interface LBFGSResult {
  /** Whether the params have changed. */
  readonly applied: boolean;
  /** The loss at the final params. */
  readonly loss: number;
  /** The L2 norm of the gradient at the final params. */
  readonly gradNorm: number;
  /** Number of calls of the closure. */
  readonly evaluations: number;
  /** Number of evaluations with a loss or gradient that was not finite. The line search backs off from such points. */
  readonly nonFinite: number;
  /** Number of iterations in which this step moved the params. */
  readonly iterations: number;
  /**
   * Why the step ended. Tolerances: 'gradient' (`gradTol`), 'function' (`funTol`), 'step' (`stepTol`). Limits:
   * 'iterations', 'evaluations'. 'line-search': no lower point was found, even along the steepest descent direction.
   * 'function' is also given if rounding hides whether there is a lower point.
   */
  readonly reason: 'gradient' | 'function' | 'step' | 'iterations' | 'evaluations' | 'line-search';
}

/**
 * L-BFGS, a quasi-Newton method. The loss must be the same function at every call: that of a whole data set, or of one
 * fixed batch. A `step` calls the closure several times.
 *
 * Formula: x ← x + α·d with d = −H·g. H is the inverse Hessian by the two-loop recursion over the last `historySize`
 * curvature pairs s = Δx, y = Δg, starting from (sᵀy/yᵀy)·I. The line search of Moré & Thuente (cubic interpolation in
 * a safeguarded bracket) finds α that satisfies the strong Wolfe conditions f(x + αd) ≤ f(x) + 10⁻⁴·α·gᵀd and
 * |∇f(x + αd)ᵀd| ≤ 0.9·|gᵀd|. The first α tried is lr, or lr·min(1, 1/‖g‖) while there are no pairs. A pair is kept if
 * sᵀy > ε·‖s‖·‖y‖. Dot products and the direction are computed in float64.
 *
 * With the line search, two corrections improve the pairs. The values and slopes seen by the search correct y so that
 * it shows the curvature at the end of the step. Each pair is also made conjugate to the previous pair where the
 * function is nearly quadratic. On the standard test problems this saves about 15 % of the evaluations.
 *
 * `lineSearch: 'none'` is PyTorch's method: plain pairs and α = lr, or lr·min(1, 1/‖g‖₁) at first. The loss may then
 * rise.
 *
 * When a loss or gradient is not finite, the line search backs off; `nonFinite` counts such evaluations. `step` throws
 * if no finite point is found along a line, if the closure throws, or if the gradients do not fit the params. The
 * params are then at the last good point, the one with the lowest loss.
 *
 * @param params a `Float32Array`, `{ data, shape }`, or a tree of them; no param groups. They change in place.
 * @param options `grads`; `lr` (1, (0, ∞)), `historySize` (10, [1, ∞)), `lineSearch` ('strong-wolfe' | 'none', default
 *   'strong-wolfe'), `maxIterations` (20, [1, ∞)), `maxEvaluations` (max(21, ⌊1.25·maxIterations⌋), [1, ∞]),
 *   `gradTol` (1e-7, [0, ∞)), `funTol` (1e-9, [0, ∞)), `stepTol` (1e-9, [0, ∞)): {@link LBFGSOptions}
 * @throws TypeError for a wrong type, an unknown option or param groups; RangeError for a value out of range, or if
 *   params and gradients share memory
 * @see Nocedal & Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5; Liu & Nocedal 1989,
 *   https://doi.org/10.1007/BF01589116; Moré & Thuente 1994, https://doi.org/10.1145/192115.192132
 * @example
 * ```ts
 * import { LBFGS } from 'schuss';
 *
 * const x = Float32Array.of(-1.2, 1), g = new Float32Array(2);
 * const lbfgs = new LBFGS(x, { grads: g, maxIterations: 100 });
 * const { loss, reason } = lbfgs.step(() => {
 *   const t = x[1] - x[0] ** 2; // Rosenbrock's function
 *   g[0] = -400 * x[0] * t - 2 * (1 - x[0]);
 *   g[1] = 200 * t;
 *   return 100 * t ** 2 + (1 - x[0]) ** 2;
 * });
 * console.log(x, loss, reason); // [1, 1], about 0, 'gradient'
 * ```
 */
export class LBFGS<const P extends object = AnyParams> {
  static readonly optimizerName = name;
  static {
    stepWith = (lbfgs, evaluate, names) => lbfgs.#step(evaluate, names);
  }

  readonly #params: FlatParams;
  #options: ResolvedOptions;
  #solver: LineSearchSolver;
  #stepCount = 0;
  #iterations = 0;
  #isDisposed = false;
  #isBusy = false;

  constructor(params: GivenTree<P>, options: LBFGSOptions<Known<P>>) {
    checkOptions(name, options, ['grads', ...optionNames]);
    const { grads, ...others } = options as LBFGSOptions;
    this.#options = resolveOptions(name, others as Partial<ResolvedOptions>);
    this.#params = new FlatParams(name, params, grads);
    this.#solver = this.#newSolver(this.#options);
    refuseFixed(LBFGS, name, ['grads', ...optionNames]);
  }

  /**
   * The lr of the next `step`, in (0, ∞): a Schedule is evaluated at that step. Assign a number or a Schedule to change
   * it.
   *
   * @throws TypeError, RangeError for an invalid value; TypeError if disposed, or while another call is running
   */
  get lr(): number {
    this.#checkIdle();
    return this.#nextLr();
  }

  set lr(value: Scalar) {
    this.#checkIdle();
    this.#options = resolveOptions(name, { ...this.#options, lr: value });
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
   * @returns whether the params have changed, the final loss and gradient norm, and counts: {@link LBFGSResult}
   * @throws RangeError if the loss or the gradient is not finite at the start of the step, or everywhere along a line;
   *   TypeError or RangeError if the loss is not a number or the gradients do not fit the params; and whatever the
   *   closure throws. The params are then at the last good point.
   */
  step(closure: () => number): LBFGSResult {
    this.#checkIdle();
    checkFunction(name, 'closure', closure, 'a function, () => loss');
    const evaluate: Evaluate = (x, grad) => {
      this.#params.write(x);
      const loss: unknown = closure();
      if (typeof loss !== 'number') {
        const hint = isThenable(loss) ? 'it must not be async' : undefined;
        throw typeError(name, 'closure', show(loss), 'the loss, a number', hint);
      }
      this.#params.check();
      this.#params.readGrads(grad);
      return loss;
    };
    return finish(this.#step(evaluate, { who: name, loss: 'closure', grad: 'grads' }));
  }

  *#step(evaluateAt: Evaluate, names: SourceNames): Task<LBFGSResult> {
    this.#checkIdle();
    const solver = this.#solver;
    const lr = this.#exclusively(() => this.#nextLr());
    this.#params.check();
    this.#params.read(solver.x);
    const { maxIterations, maxEvaluations, lineSearch, gradTol, funTol, stepTol } = this.#options;
    const budget = new Budget({ maxEvaluations });
    const evaluate: Evaluate = (x, grad) => counted(evaluateAt, budget, x, grad);
    let iterations = 0;
    let reason: LBFGSResult['reason'] = 'iterations';
    this.#isBusy = true;
    try {
      yield* solver.start(evaluate);
      if (!isFinitePoint(solver.value, solver.grad)) throw nonFiniteError(solver, names);
      if (maxAbs(solver.grad) <= gradTol) reason = 'gradient';
      while (reason === 'iterations' && iterations < maxIterations) {
        const before = solver.value;
        const outcome = yield* solver.iterate(evaluate, lineSearch, lr);
        if (outcome === 'non-finite') throw nonFiniteError(solver, names);
        if (outcome !== 'moved') {
          reason = outcome;
          break;
        }
        iterations++;
        if (maxAbs(solver.grad) <= gradTol) reason = 'gradient';
        else if (solver.lastMove <= stepTol) reason = 'step';
        else if (Math.abs(before - solver.value) < funTol) reason = 'function';
      }
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (solver.keepBest()) iterations++;
      reason = 'evaluations';
    } finally {
      this.#isBusy = false;
      this.#params.write(solver.x);
      this.#iterations += iterations;
      if (iterations > 0) this.#stepCount++;
    }
    this.#params.writeGrads(solver.grad);
    return {
      applied: iterations > 0,
      loss: solver.value,
      gradNorm: norm(solver.grad),
      evaluations: budget.evaluations,
      nonFinite: budget.nonFinite,
      iterations,
      reason,
    };
  }

  /**
   * Returns everything that a resumed run needs, apart from the params: plain data that survives `structuredClone`. The
   * arrays are copies. For each param, `oldStps` holds the steps s of all pairs and `oldDirs` the gradient changes y,
   * concatenated, the oldest first. The names are PyTorch's.
   *
   * @throws TypeError if disposed, or while another call is running
   * @example
   * ```ts
   * import { LBFGS } from 'schuss';
   *
   * const x = Float32Array.of(3, 4), g = new Float32Array(2);
   * const closure = () => {
   *   g.set([x[0], 10 * x[1]]);
   *   return (x[0] ** 2 + 10 * x[1] ** 2) / 2;
   * };
   * const lbfgs = new LBFGS(x, { grads: g, maxIterations: 2 });
   * lbfgs.step(closure);
   * const resumed = new LBFGS(x, { grads: g });
   * resumed.loadStateDict(structuredClone(lbfgs.stateDict()));
   * resumed.stepCount; // 1
   * ```
   */
  stateDict(): StateDict {
    this.#checkIdle();
    return saveRun(name, this.#params.tensors, {
      stepCount: this.#stepCount,
      iterations: this.#iterations,
      options: this.#options,
      pairs: this.#solver.history.pairs,
    });
  }

  /**
   * Replaces counts, options and curvature pairs by those of a state that {@link stateDict} returned. The arrays are
   * copied. A Schedule is not saved; the current one stays. If it throws, nothing has changed.
   *
   * @param options `schedules: 'keep'` keeps the current lr if only one of the two is a Schedule.
   * @throws TypeError for another class, names or types, or a Schedule on one side only; RangeError for another
   *   version, other lengths or counts
   */
  loadStateDict(dict: StateDict, options: LoadOptions = {}): void {
    this.#checkIdle();
    const loaded = loadRun(name, this.#params.tensors, dict, this.#options.lr, options);
    const { stepCount, iterations, pairs } = loaded;
    const solver = this.#newSolver(loaded.options);
    for (const [i, pair] of pairs.entries()) {
      solver.history.push(pair);
      if (solver.history.pairs.length === i)
        throw rangeError(
          `${name}.loadStateDict`,
          'state',
          `sᵀy of pair ${i} not above 0`,
          'pairs saved by stateDict()',
        );
    }
    this.#options = loaded.options;
    this.#solver = solver;
    this.#stepCount = stepCount;
    this.#iterations = iterations;
  }

  /**
   * Frees the curvature pairs. A second call does nothing; every other method throws a TypeError from then on.
   *
   * @throws TypeError while another call is running
   */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#checkIdle();
    this.#isDisposed = true;
    this.#solver = undefined as unknown as LineSearchSolver;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The class, its options, and the params by name and shape. */
  toString(): string {
    this.#checkAlive();
    return print(name, { stepCount: this.#stepCount, ...this.#options, ...printedParams(this.#params.tensors) });
  }

  /** For `saveCheckpoint`. @internal */
  get [heldParams](): readonly Tensor[] {
    return this.#params.tensors;
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  [inspect](): string {
    return this.#isDisposed ? `${name} (disposed)` : this.toString();
  }

  #newSolver({ historySize }: ResolvedOptions): LineSearchSolver {
    return new LineSearchSolver(this.#params.length, Float32Array, historySize);
  }

  #nextLr(): number {
    return lrAt(name, this.#options.lr, this.#stepCount + 1);
  }

  /** Runs an action that may call the user's code. Until it ends, that code cannot change this optimizer. */
  #exclusively<T>(action: () => T): T {
    this.#isBusy = true;
    try {
      return action();
    } finally {
      this.#isBusy = false;
    }
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

/** Evaluates once, and counts it. */
function counted(evaluate: Evaluate, budget: Budget, x: Vector, grad: Vector): MaybeTask<number> {
  budget.reserve();
  budget.spend();
  const count = (value: number): number => {
    if (!isFinitePoint(value, grad)) budget.nonFinite++;
    return value;
  };
  const value = evaluate(x, grad);
  return typeof value === 'number' ? count(value) : later(value, count);
}

function* later(value: Task<number>, then: (value: number) => number): Task<number> {
  return then(yield* value);
}

/** The error when there is no finite point: at the start of a step, or everywhere along a line. */
function nonFiniteError({ value, grad }: LineSearchSolver, { who, loss, grad: gradName }: SourceNames): RangeError {
  if (!Number.isFinite(value)) return rangeError(who, loss, show(value), 'a finite loss');
  if (!Number.isFinite(maxAbs(grad))) return rangeError(who, gradName, 'NaN or an infinity', 'finite gradients');
  const hint = `the params are at the last good point, where the loss is ${value}`;
  return rangeError(who, loss, 'a loss or gradient that is not finite all along the line', 'finite ones', hint);
}
