import { rangeError, show, typeError } from '../../check/errors.js';
import { checkFunction, checkInteger, checkNumber, checkOneOf, checkOptions } from '../../check/options.js';
import type { Scalar } from '../../core/declaration.js';
import type { Grads, ParamTree } from '../../core/params.js';
import { checkFrame, type StateDict } from '../../core/state-dict.js';
import { FlatParams } from '../flat-params.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { Budget, checkLimit, Interruption } from '../minimize/budget.js';
import { isFinitePoint } from '../minimize/objective.js';
import { loadPairs, savePairs } from './pairs-state.js';
import { type LineSearchName, LineSearchSolver } from './solver.js';

const name = 'LBFGS';

/** Options of {@link LBFGS}. */
export interface LBFGSOptions {
  /** The arrays that the closure fills, in the structure of the params. Required. */
  readonly grads: Exclude<Grads, null>;
  /**
   * What the first step that a line search tries is multiplied by; without a line search, the step. A Schedule is asked
   * once a `step`. (0, inf), default 1.
   */
  readonly lr?: Scalar | undefined;
  /** Curvature pairs that are kept: 2 float32 an element each. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
  /** Whether to search for a step that satisfies the strong Wolfe conditions, or to take lr as it is. Default 'strong-wolfe'. */
  readonly lineSearch?: LineSearchName | undefined;
  /** The most iterations of one `step`. An integer in [1, inf), default 20. */
  readonly maxIterations?: number | undefined;
  /**
   * The most calls of the closure in one `step`. An integer in [1, inf], default 1.25 · maxIterations, but at least 21:
   * enough for one line search.
   */
  readonly maxEvaluations?: number | undefined;
  /** A `step` ends where max |gᵢ| is at most this. [0, inf), default 1e-7. */
  readonly toleranceGrad?: number | undefined;
  /** A `step` ends after an iteration that changes no param by more than this, or the loss by less. [0, inf), default 1e-9. */
  readonly toleranceChange?: number | undefined;
}

/** What one step of {@link LBFGS} reports. */
export interface LBFGSResult {
  /** Whether the params have changed. */
  readonly applied: boolean;
  /** The loss where the params are now. */
  readonly loss: number;
  /** The L2 norm of the gradient there. */
  readonly gradNorm: number;
  /** How often the closure was called. */
  readonly evaluations: number;
  /** Of them, those whose loss or gradient was not finite: the line search has backed off from there. */
  readonly nonFinite: number;
  readonly iterations: number;
  /** Why the step has ended: a tolerance, a limit, or that no lower point was found along the steepest solver. */
  readonly reason: 'gradient' | 'function' | 'step' | 'iterations' | 'evaluations' | 'line-search';
}

const optionNames = [
  'lr',
  'historySize',
  'lineSearch',
  'maxIterations',
  'maxEvaluations',
  'toleranceGrad',
  'toleranceChange',
] as const;

type Options = { readonly [K in (typeof optionNames)[number]]-?: NonNullable<LBFGSOptions[K]> };

function checked(who: string, options: Partial<Options>): Options {
  const {
    lr = 1,
    historySize = 10,
    lineSearch = 'strong-wolfe',
    maxIterations = 20,
    toleranceGrad = 1e-7,
    toleranceChange = 1e-9,
  } = options;
  checkInteger(who, 'maxIterations', maxIterations, '[1, inf)');
  const { maxEvaluations = Math.max(21, Math.floor(1.25 * maxIterations)) } = options;
  return {
    lr: typeof lr === 'function' ? lr : checkNumber(who, 'lr', lr, '(0, inf)'),
    historySize: checkInteger(who, 'historySize', historySize, '[1, inf)'),
    lineSearch: checkOneOf(who, 'lineSearch', lineSearch, ['strong-wolfe', 'none']),
    maxIterations,
    maxEvaluations: checkLimit(who, 'maxEvaluations', maxEvaluations),
    toleranceGrad: checkNumber(who, 'toleranceGrad', toleranceGrad, '[0, inf)'),
    toleranceChange: checkNumber(who, 'toleranceChange', toleranceChange, '[0, inf)'),
  };
}

/**
 * L-BFGS: a quasi-Newton method for losses that are the same function at every call, such as that of a whole data set or
 * of one fixed batch. A `step` calls the closure several times.
 *
 * Formula: d = −H·g by the two-loop recursion over the last `historySize` pairs s = Δx, y = Δg, on H₀ = sᵀy/yᵀy·I;
 * x ← x + α·d, with f(x + αd) ≤ f(x) + 10⁻⁴·α·gᵀd and |∇f(x + αd)ᵀd| ≤ 0.9·|gᵀd| by the line search of Moré & Thuente
 * (cubic interpolation in a safeguarded bracket). The first α tried is lr; min(1, 1/‖g‖)·lr while there are no pairs. A pair
 * is kept if sᵀy > ε·‖s‖·‖y‖. Dot products and the direction are computed in float64.
 *
 * With the line search, y is corrected to say what the curvature is where the step ended, from the values and slopes that
 * the search has seen, and each pair is made conjugate to the one before it where the function is quadratic enough for
 * that; on the standard test problems this takes about 15 % fewer evaluations than plain pairs. `lineSearch: 'none'` is
 * PyTorch's method as it is: plain pairs, α = lr, min(1, 1/‖g‖₁)·lr at first, and then the loss may rise.
 *
 * A loss or gradient that is not finite makes the line search back off; `nonFinite` counts them. Where there is no way on,
 * or the closure throws, or leaves gradients that don't fit, the error comes out of `step`, and the params are at the last
 * good point, the one with the lowest loss.
 *
 * @param params a `Float32Array`, `{ data, shape }`, a list or a record of them; no groups. They change in place.
 * @param options `grads` and, if they differ from their defaults, `lr`, `historySize`, `lineSearch`, `maxIterations`,
 *   `maxEvaluations`, `toleranceGrad`, `toleranceChange`: {@link LBFGSOptions}, named as in PyTorch
 * @throws TypeError for a wrong type, an unknown option or param groups; RangeError for a value out of range, or memory
 *   that params and gradients share
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
export class LBFGS {
  static readonly optimizerName = name;
  readonly #params: FlatParams;
  #options: Options;
  #solver: LineSearchSolver;
  #stepCount = 0;
  #iterations = 0;
  #isDisposed = false;
  #isBusy = false;

  constructor(params: ParamTree, options: LBFGSOptions) {
    checkOptions(name, options, ['grads', ...optionNames]);
    const { grads, ...others } = options as LBFGSOptions;
    this.#options = checked(name, others as Partial<Options>);
    this.#params = new FlatParams(name, params, grads);
    this.#solver = this.#newSolver(this.#options);
  }

  /** What the next `step` multiplies its first trial steps by. Setting it, to a number or a Schedule, holds from there. */
  get lr(): number {
    this.#checkIdle();
    return this.#nextLr();
  }

  set lr(value: Scalar) {
    this.#checkIdle();
    this.#options = checked(name, { ...this.#options, lr: value });
  }

  /** The steps that have changed the params. */
  get stepCount(): number {
    this.#checkAlive();
    return this.#stepCount;
  }

  /**
   * Up to `maxIterations` iterations. The params change in place, and `grads` holds the gradient there afterwards.
   *
   * @param closure fills `grads` with the gradient at the params as they are when it is called, and returns the loss there
   * @returns whether the params have changed, loss and gradient norm there, and how many calls it took: {@link LBFGSResult}
   * @throws RangeError if the loss or the gradient is not finite where a step begins, or everywhere along a line; TypeError
   *   or RangeError for a loss that is no number, or gradients that do not fit the params; and what the closure throws.
   *   The params are at the last good point then.
   */
  step(closure: () => number): LBFGSResult {
    this.#checkIdle();
    checkFunction(name, 'closure', closure, 'a function, () => loss');
    const solver = this.#solver;
    const lr = this.#exclusively(() => this.#nextLr());
    this.#params.check();
    this.#params.read(solver.x);
    const { maxIterations, maxEvaluations, lineSearch, toleranceGrad, toleranceChange } = this.#options;
    const budget = new Budget(maxEvaluations);
    const evaluate = (x: Vector, grad: Vector): number => this.#evaluate(closure, budget, x, grad);
    let iterations = 0;
    let reason: LBFGSResult['reason'] = 'iterations';
    const run = (): void => {
      solver.start(evaluate);
      if (!isFinitePoint(solver.value, solver.grad)) throw nonFinite(solver);
      if (maxAbs(solver.grad) <= toleranceGrad) reason = 'gradient';
      while (reason === 'iterations' && iterations < maxIterations) {
        const before = solver.value;
        const outcome = solver.iterate(evaluate, lineSearch, lr);
        if (outcome === 'non-finite') throw nonFinite(solver);
        if (outcome !== 'moved') {
          reason = outcome;
          return;
        }
        iterations++;
        if (maxAbs(solver.grad) <= toleranceGrad) reason = 'gradient';
        else if (solver.lastMove <= toleranceChange) reason = 'step';
        else if (Math.abs(before - solver.value) < toleranceChange) reason = 'function';
      }
    };
    try {
      this.#exclusively(run);
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (solver.keepBest()) iterations++;
      reason = 'evaluations';
    } finally {
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

  #evaluate(closure: () => number, budget: Budget, x: Vector, grad: Vector): number {
    budget.spend();
    this.#params.write(x);
    const loss: unknown = closure();
    if (typeof loss !== 'number') {
      const hint = typeof (loss as { then?: unknown } | null | undefined)?.then === 'function';
      throw typeError(name, 'closure', show(loss), 'the loss, a number', hint ? 'it must not be async' : undefined);
    }
    this.#params.check();
    this.#params.readGrads(grad);
    if (!isFinitePoint(loss, grad)) budget.nonFinite++;
    return loss;
  }

  /**
   * A copy of everything that a resumed run needs, apart from the params: plain data that survives `structuredClone`. The
   * pairs of each param stand one after the other, the oldest first: `oldStps` are the steps s, `oldDirs` the changes y of
   * the gradient, as PyTorch calls them.
   */
  stateDict(): StateDict {
    this.#checkIdle();
    const { lr, ...others } = this.#options;
    return {
      version: 1,
      optimizer: name,
      stepCount: this.#stepCount,
      skippedSteps: 0,
      paramGroups: [
        {
          lr: typeof lr === 'function' ? { schedule: true } : lr,
          ...others,
          params: this.#params.tensors.map(({ key }) => key),
        },
      ],
      state: savePairs(this.#params.tensors, this.#iterations, this.#solver.history.pairs),
    };
  }

  /**
   * Takes over a state that {@link stateDict} made, all or nothing: counts, options, and the pairs, which are copied. A
   * live Schedule is kept.
   *
   * @throws TypeError for another class, version, names or types; RangeError for other lengths or counts
   */
  loadStateDict(dict: StateDict): void {
    this.#checkIdle();
    const who = `${name}.loadStateDict`;
    const { tensors } = this.#params;
    const keys = tensors.map(({ key }) => key);
    const { stepCount, paramGroups, state } = checkFrame(who, dict, name, 1, keys);
    checkOptions(`${who}: paramGroups[0]`, paramGroups[0], ['params', ...optionNames]);
    const { params, lr, ...others } = paramGroups[0];
    if (!Array.isArray(params) || params.length !== keys.length || keys.some((key, i) => key !== params[i]))
      throw typeError(who, 'paramGroups[0].params', show(params), show(keys));
    const isMark = typeof lr === 'object' && lr !== null && (lr as { schedule?: unknown }).schedule === true;
    const isLive = isMark || typeof this.#options.lr === 'function';
    const options = checked(who, { ...others, lr: isLive ? this.#options.lr : lr } as Partial<Options>);
    const { iterations, pairs } = loadPairs(who, tensors, state, options.historySize);
    const solver = this.#newSolver(options);
    for (const [i, pair] of pairs.entries()) {
      solver.history.push(pair);
      if (solver.history.pairs.length === i)
        throw rangeError(who, 'state', `sᵀy of pair ${i} not above 0`, 'pairs that stateDict gives');
    }
    this.#options = options;
    this.#solver = solver;
    this.#stepCount = stepCount;
    this.#iterations = iterations;
  }

  /** Lets the pairs go. Twice is fine; every other method throws a TypeError from then on. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#checkIdle();
    this.#isDisposed = true;
    this.#solver = undefined as unknown as LineSearchSolver;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The class and its options, as PyTorch prints them. */
  toString(): string {
    this.#checkAlive();
    const { tensors, length } = this.#params;
    const lines = Object.entries(this.#options).map(
      ([option, value]) => `    ${option}: ${typeof value === 'function' ? 'schedule' : value}`,
    );
    return [`${name} (`, `  ${tensors.length} param(s), ${length} elements`, ...lines, ')'].join('\n');
  }

  #newSolver({ historySize }: Options): LineSearchSolver {
    return new LineSearchSolver(this.#params.length, Float32Array, historySize);
  }

  #nextLr(): number {
    const { lr } = this.#options;
    if (typeof lr === 'number') return lr;
    const step = this.#stepCount + 1;
    const value: unknown = lr(step);
    try {
      return checkNumber(name, 'lr', value, '(0, inf)');
    } catch (error) {
      const make = error instanceof RangeError ? rangeError : typeError;
      throw make(name, 'lr', show(value), '(0, inf)', `from its schedule at step ${step}`);
    }
  }

  /** Runs what may run the user's code, which must not change the optimizer meanwhile. */
  #exclusively<T>(action: () => T): T {
    this.#isBusy = true;
    try {
      return action();
    } finally {
      this.#isBusy = false;
    }
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw typeError(name, 'this', 'a disposed optimizer', 'one in use');
  }

  #checkIdle(): void {
    this.#checkAlive();
    if (this.#isBusy) throw typeError(name, 'this', 'an optimizer in the middle of a call', 'a call after that one');
  }
}

/** The error where there is no way on: at the start of a step, or everywhere along a line. */
function nonFinite({ value, grad }: LineSearchSolver): RangeError {
  if (!Number.isFinite(value)) return rangeError(name, 'closure', show(value), 'a finite loss');
  if (!Number.isFinite(maxAbs(grad))) return rangeError(name, 'grads', 'NaN or an infinity', 'finite gradients');
  const hint = `the params are at the last good point, where the loss is ${value}`;
  return rangeError(name, 'closure', 'a loss or gradient that is not finite all along the line', 'finite ones', hint);
}
