import { rangeError, show, typeError } from '../../check/errors.js';
import { refuseFixed } from '../../check/members.js';
import { checkFunction, checkInteger, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import { collect } from '../../core/collect.js';
import { heldParams } from '../../core/held-params.js';
import type { Arrays, Tensor } from '../../core/params.js';
import type { AnyParams, ArraysOf, GivenTree, Known } from '../../core/params-of.js';
import { inspect, print, printedParams } from '../../core/print.js';
import { Structure } from '../../core/structure.js';
import { type Evaluate, isFinitePoint } from '../evaluation.js';
import { FlatParams } from '../flat-params.js';
import type { Vector } from '../linalg.js';
import { finish, isThenable } from '../task.js';
import { GradientCheck } from '../unwritten.js';
import { NonFiniteError, SumOfModels } from './model.js';
import { Random } from './random.js';
import {
  checkSettings,
  checkTermCount,
  type SFOHyperParameters,
  type SFOSettings,
  sfoOptionNames,
} from './settings.js';
import { loadRun, type SFOStateDict, saveRun } from './state-dict.js';

const name = 'SFO';

/** Options of {@link SFO}. */
export interface SFOOptions<P = AnyParams> extends SFOHyperParameters {
  /** Number of terms. An integer in [1, inf); 25 to 100 works best. Required. */
  readonly N: number;
  /**
   * Returns the value of term i = 0 … N − 1 at `params` and writes its gradient to `grads`, every element of it.
   * `params` are those given to the constructor; f must not change them. `grads` have the structure of the params. f
   * may add to them (`grads[k] += …`); the library then fills them with zeros first. Each i must always be the same
   * function: the same minibatch, the same dropout mask. Required.
   */
  readonly f: (i: number, params: P, grads: ArraysOf<P>) => number;
}

/** Result of one step of {@link SFO}. */
export interface SFOResult {
  /** Whether the params have changed. */
  readonly applied: boolean;
  /** The term that was evaluated. */
  readonly term: number;
  /** Its value at the start of the step. After a failed step, at the point to which that step was corrected. */
  readonly value: number;
  /** The L2 norm of its gradient at that point. */
  readonly gradNorm: number;
  /** Number of calls of f: 1, or more if `failed`. */
  readonly evaluations: number;
  /** Number of evaluations with a value or gradient that was not finite. */
  readonly nonFinite: number;
  /** Whether the previous step was too long. It was shortened or undone first, and steps are shorter for a while. */
  readonly failed: boolean;
  /** Number of terms that are active so far. */
  readonly active: number;
}

/**
 * SFO, the Sum of Functions Optimizer: minimises Σ fᵢ. Like stochastic gradient descent, it evaluates one term in a
 * step. Like a quasi-Newton method, it learns the curvature. Nothing needs tuning.
 *
 * Formula: each term has a quadratic model gᵢ(x) = fᵢ(xᵢ) + f′ᵢ(xᵢ)ᵀ(x − xᵢ) + ½(x − xᵢ)ᵀHᵢ(x − xᵢ) around xᵢ, the
 * point of its last evaluation. Hᵢ comes from BFGS on the term's own history. A step evaluates the term whose xᵢ is
 * farthest from x, then moves to the minimiser of Σ gᵢ: x ← x − (Σ Hᵢ)⁻¹·Σ g′ᵢ. All vectors are held in a subspace of
 * at most 3N + 3 dimensions, spanned by the gradients. Few terms are active at first; more join one at a time, as the
 * noise of the gradient requires. If a term rises more than the models allow, the step is shortened or undone.
 *
 * Use it with a fixed set of minibatches: about √(examples)/10 of them, but at least 25. It keeps 3N + 3 float64
 * numbers for each element of the params. Arithmetic is float64; points are rounded to float32, because the params are.
 *
 * `stateDict` and `loadStateDict` save and resume a run, bit for bit; checkpoints hold the state.
 *
 * If a value or gradient is not finite, the step is undone; `nonFinite` counts such evaluations. `step` throws if f
 * throws, or if the term is finite neither at the current point nor at the previous one. The params are then at the
 * last good point, where the last step started.
 *
 * @param params a `Float32Array`, `{ data, shape }`, or a tree of them; no param groups. They change in place.
 * @param options `N`, `f`; `historySize` (10, [1, ∞)), `hessianInit` (1e5, (0, 1e100]), `initialActive` (2, [1, ∞)),
 *   `maxDeviation` (1e8, [1, ∞)), `selection` ('distance' | 'random' | 'cyclic', default 'distance'),
 *   `maxGradientNoise` (1, [0, ∞]), `maxStepRatio` (10, (0, ∞]), `minStep` (1e-8, [0, ∞)), `hessianUpdate` ('bfgs' |
 *   'rank1', default 'bfgs'), `seed` (0, [0, 2³²)): {@link SFOOptions}
 * @throws TypeError for a wrong type, an unknown option or param groups; RangeError for a value out of range
 * @see Sohl-Dickstein, Poole & Ganguli 2014, https://arxiv.org/abs/1311.2115
 * @example
 * ```ts
 * import { SFO } from 'schuss';
 *
 * const x = new Float32Array(2);
 * const sfo = new SFO(x, {
 *   N: 30,
 *   f(i, x, grads) {
 *     const [a, b] = [x[0] - Math.sin(i), 3 * x[1] - Math.cos(i)];
 *     grads[0] = a;
 *     grads[1] = 3 * b;
 *     return (a * a + b * b) / 2;
 *   },
 * });
 * for (let step = 0; step < 300; step++) sfo.step();
 * console.log(x); // the means of sin i and of cos i / 3: about [0.0423, -0.0054]
 * ```
 */
export class SFO<const P extends object = AnyParams> {
  static readonly optimizerName = name;
  readonly #userParams: P;
  readonly #params: FlatParams;
  readonly #grads: Arrays;
  /** The memory of `grads`, in views that f does not get: what it defines on its own has no effect here. */
  readonly #gradArrays: readonly Float32Array[];
  readonly #check: GradientCheck;
  readonly #f: SFOOptions<P>['f'];
  readonly #N: number;
  #settings: SFOSettings & { readonly seed: number };
  #model: SumOfModels;
  #stepCount = 0;
  #isBusy = false;

  constructor(params: GivenTree<P>, options: SFOOptions<Known<P>>) {
    checkOptions(name, options, ['N', 'f', ...sfoOptionNames]);
    refuseFixed(SFO, name, ['N', 'f', ...sfoOptionNames]);
    const { N, f, ...others } = options as SFOOptions<P>;
    this.#N = checkInteger(name, 'N', N, '[1, inf)');
    this.#f = checkFunction(name, 'f', f, 'a function, (i, params, grads) => value');
    this.#settings = checkSettings(name, others);
    const tensors = collect(name, params)[0]?.tensors ?? [];
    const grads = tensors.map(({ data }) => new Float32Array(lengthOf(data)));
    this.#grads = new Structure(name, tensors).assemble(grads);
    this.#gradArrays = grads.map((grad) => grad.subarray());
    this.#check = new GradientCheck(N);
    this.#userParams = params;
    this.#params = new FlatParams(name, params, this.#grads);
    if (this.#params.length === 0) throw rangeError(name, 'params', 'no elements', 'at least one element');
    checkTermCount(name, 'N', N, this.#params.length);
    this.#model = this.#newModel(this.#readParams(), this.#settings);
  }

  /** Number of steps that have changed the params. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /**
   * Runs one step: evaluates one term, usually once, and moves the params, in place. If the params were changed since
   * the last step, it starts from their new values.
   *
   * @returns the term and its value and gradient norm, and how the step went: {@link SFOResult}
   * @throws RangeError if the term is finite neither at the current nor at the last good point; TypeError if f does not
   *   return a number; and whatever f throws. The params are then at the last good point.
   */
  step(): SFOResult {
    this.#checkIdle();
    this.#params.check();
    const model = this.#model;
    const start = this.#readParams();
    if (start.some((value, k) => value !== model.theta[k])) model.moveTo(start);
    let evaluations = 0;
    let nonFinite = 0;
    const evaluate =
      (i: number): Evaluate =>
      (theta, grad) => {
        evaluations++;
        const value = this.#evaluate(i, theta, grad);
        if (!isFinitePoint(value, grad)) nonFinite++;
        return value;
      };
    this.#isBusy = true;
    try {
      const { term, value, gradNorm, failed } = finish(model.step(evaluate));
      const applied = start.some((before, k) => before !== model.theta[k]);
      if (applied) this.#stepCount++;
      return { applied, term, value, gradNorm, evaluations, nonFinite, failed, active: model.active.length };
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      const what = Number.isFinite(error.value) ? 'a gradient that is not finite' : show(error.value);
      throw rangeError(name, `f(${error.term})`, what, 'a finite value', 'the params are at the last good point');
    } finally {
      this.#isBusy = false;
      this.#params.write(model.theta);
    }
  }

  /**
   * Forgets what was learnt about term i. Call it when the term has become another function, such as a new minibatch.
   *
   * @param i an integer in [0, N)
   * @throws TypeError for another type, or while a step is running; RangeError out of range
   */
  replace(i: number): void {
    this.#checkIdle();
    this.#model.replace(checkInteger(name, 'i', i, `[0, ${this.#N})`));
  }

  /**
   * Returns everything that a resumed run needs, apart from f: plain data that survives `structuredClone`. The arrays
   * are copies. It also holds the point, so you can restore the params before or after it.
   *
   * @throws TypeError while a step is running
   * @example
   * ```ts
   * import { SFO } from 'schuss';
   *
   * const options = {
   *   N: 30,
   *   f(i: number, x: Float32Array, grads: Float32Array) {
   *     grads[0] = x[0] - Math.sin(i);
   *     return (x[0] - Math.sin(i)) ** 2 / 2;
   *   },
   * };
   * const x = new Float32Array(1);
   * const sfo = new SFO(x, options);
   * for (let step = 0; step < 40; step++) sfo.step();
   * const resumed = new SFO(x.slice(), options);
   * resumed.loadStateDict(structuredClone(sfo.stateDict())); // continues bit for bit
   * console.log(resumed.stepCount); // 40, or a few less if steps failed
   * ```
   */
  stateDict(): SFOStateDict {
    this.#checkIdle();
    return saveRun(name, this.#params.tensors, {
      stepCount: this.#stepCount,
      N: this.#N,
      settings: this.#settings,
      model: this.#model.state,
    });
  }

  /**
   * Replaces the models, the counts and the hyper-parameters by those of a state that {@link stateDict} returned. The
   * arrays are copied. The params do not change, so restore them too. If they differ from the saved point, the next
   * step starts from them. If it throws, nothing has changed.
   *
   * @throws TypeError for another class, names or types, or while a step is running; RangeError for another version, N,
   *   lengths or counts
   */
  loadStateDict(dict: SFOStateDict): void {
    this.#checkIdle();
    const { stepCount, settings, model: state } = loadRun(name, this.#params.tensors, this.#N, dict);
    const model = this.#newModel(state.theta.slice(), settings);
    model.load(state);
    this.#settings = settings;
    this.#model = model;
    this.#stepCount = stepCount;
  }

  /** The class, its options, and the params by name and shape. */
  toString(): string {
    const counts = { stepCount: this.#stepCount, N: this.#N };
    return print(name, { ...counts, ...this.#settings, ...printedParams(this.#params.tensors) });
  }

  /** For `saveCheckpoint`. @internal */
  get [heldParams](): readonly Tensor[] {
    return this.#params.tensors;
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }

  #newModel(theta: Float64Array, { seed, ...settings }: SFOSettings & { readonly seed: number }): SumOfModels {
    return new SumOfModels(theta, this.#N, settings, new Random(seed, 'sfo'), true);
  }

  #readParams(): Float64Array {
    const theta = new Float64Array(this.#params.length);
    this.#params.read(theta);
    const bad = theta.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw rangeError(name, 'params', `${theta[bad]} at element ${bad} of all`, 'finite numbers');
    return theta;
  }

  #evaluate(i: number, theta: Vector, grad: Vector): number {
    this.#params.write(theta);
    this.#params.checkGrads();
    const value = finish(
      this.#check.evaluate(
        this.#gradArrays,
        () => this.#call(i),
        (k, index) => this.#unwritten(i, k, index),
      ),
    );
    this.#params.readGrads(grad);
    return value;
  }

  #unwritten(i: number, k: number, index: number): TypeError {
    const path = this.#params.gradPaths[k];
    const hint = 'f must write every element of grads';
    return typeError(name, `${path}[${index}] of f(${i})`, 'not written', 'the derivative at params', hint);
  }

  #call(i: number): number {
    const value: unknown = this.#f(i, this.#userParams, this.#grads as ArraysOf<P>);
    if (typeof value !== 'number') {
      const hint = isThenable(value) ? 'it must not be async' : undefined;
      throw typeError(name, `f(${i})`, show(value), 'the value, a number', hint);
    }
    this.#params.check();
    this.#params.checkGrads();
    return value;
  }

  #checkIdle(): void {
    if (this.#isBusy)
      throw typeError(name, 'this', 'an optimizer in the middle of a call', 'to wait until that call has returned');
  }
}
