import { rangeError, show, typeError } from '../../check/errors.js';
import { checkFunction, checkInteger, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import { type Arrays, assemble, collect, type Param, type ParamTree, structureOf } from '../../core/params.js';
import { FlatParams } from '../flat-params.js';
import type { Evaluate } from '../lbfgs/solver.js';
import { isFinitePoint } from '../minimize/objective.js';
import { NowhereFinite, SumOfModels } from './model.js';
import { Random } from './random.js';
import { checkSettings, type SFOHyperParameters, sfoOptionNames } from './settings.js';

const name = 'SFO';

/** The arrays for the gradients of params: in their structure, without shapes. */
export type GradsOf<P> = P extends Param ? Float32Array : { readonly [K in keyof P]: Float32Array };

/** Options of {@link SFO}. */
export interface SFOOptions<P extends ParamTree = ParamTree> extends SFOHyperParameters {
  /** How many terms the sum has. An integer in [1, inf); 25 to 100 is best. Required. */
  readonly N: number;
  /**
   * Returns the value of term i = 0 … N − 1 at the params, which are those that the optimizer was made with and are not to be
   * changed, and writes its gradient to `grads`, which come as zeros, in the structure of the params. The same i must be the same
   * function each time: the same minibatch, the same dropout mask. Required.
   */
  readonly f: (i: number, params: P, grads: GradsOf<P>) => number;
}

/** What one step of {@link SFO} reports. */
export interface SFOResult {
  /** Whether the params have changed. */
  readonly applied: boolean;
  /** The term that was evaluated. */
  readonly term: number;
  /** Its value where the step began; where it went back to, if the step before had failed. */
  readonly value: number;
  /** The L2 norm of its gradient there. */
  readonly gradNorm: number;
  /** How often f was called: once, but for a step that failed. */
  readonly evaluations: number;
  /** Of the evaluations, those that were not finite. */
  readonly nonFinite: number;
  /** Whether the step before was too long: it was shortened or taken back first, and steps are shorter for a while. */
  readonly failed: boolean;
  /** Terms that take part so far. */
  readonly active: number;
}

/**
 * SFO, the Sum of Functions Optimizer: minimises Σ fᵢ, evaluating one term a step as stochastic gradient descent does, with
 * curvature learnt as quasi-Newton methods do. Nothing is to be tuned.
 *
 * Formula: each term has a quadratic model gᵢ(x) = fᵢ(xᵢ) + f′ᵢ(xᵢ)ᵀ(x − xᵢ) + ½(x − xᵢ)ᵀHᵢ(x − xᵢ) around the point xᵢ where it was
 * evaluated last, Hᵢ by BFGS from its own history; a step evaluates the term whose model is farthest from there, and goes to
 * the minimiser of Σ gᵢ: x ← x − (Σ Hᵢ)⁻¹·Σ g′ᵢ. All of it happens in a subspace of at most 3N + 3 dimensions that the
 * gradients span. Terms join one by one while that is enough; a step after which a term has risen more than its model
 * allows is shortened or taken back.
 *
 * It can't be saved: a new one begins anew, from where the params are.
 *
 * For minibatches that stay the same: some tens of them, about √(examples)/10, and not fewer than 25. The memory is 3N + 3
 * float64 for each element. Computes in float64; where the params are float32, with the points rounded to that.
 *
 * A value or gradient that is not finite takes the step back; `nonFinite` counts them. Where f throws, or is finite neither
 * where it is nor where it was, the error comes out of `step`, and the params are at the last good point, where the last
 * step began.
 *
 * @param params a `Float32Array`, `{ data, shape }`, a list or a record of them; no groups. They change in place.
 * @param options `N`, `f` and, if they differ from their defaults, `historySize`, `hessianInit`, `initialActive`,
 *   `maxDeviation`, `selection`, `maxGradientNoise`, `maxStepRatio`, `minStep`, `hessianUpdate`, `seed`: {@link SFOOptions}
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
export class SFO<P extends ParamTree = ParamTree> {
  static readonly optimizerName = name;
  readonly #given: P;
  readonly #params: FlatParams;
  readonly #grads: Arrays;
  readonly #gradArrays: readonly Float32Array[];
  readonly #f: SFOOptions<P>['f'];
  readonly #N: number;
  readonly #model: SumOfModels;
  #stepCount = 0;
  #isBusy = false;

  constructor(params: P, options: SFOOptions<P>) {
    checkOptions(name, options, ['N', 'f', ...sfoOptionNames]);
    const { N, f, ...others } = options as SFOOptions<P>;
    this.#N = checkInteger(name, 'N', N, '[1, inf)');
    this.#f = checkFunction(name, 'f', f, 'a function, (i, params, grads) => value');
    const { seed, ...settings } = checkSettings(name, others);
    const tensors = collect(name, params)[0]?.tensors ?? [];
    this.#gradArrays = tensors.map(({ data }) => new Float32Array(lengthOf(data)));
    this.#grads = assemble(structureOf(name, tensors), tensors, this.#gradArrays);
    this.#given = params;
    this.#params = new FlatParams(name, params, this.#grads);
    if (this.#params.length === 0) throw rangeError(name, 'params', 'no elements', 'an element at least');
    const theta = this.#read();
    this.#model = new SumOfModels(theta, N, settings, new Random(seed, 'sfo'), true);
  }

  /** The steps that have changed the params. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /**
   * One step: evaluates one term, in most cases once, and moves the params, in place.
   *
   * @returns which term, and how it went: {@link SFOResult}
   * @throws RangeError if the term is not finite, neither here nor at the last good point; TypeError if f returns no number;
   *   and what f throws. The params are at the last good point then.
   */
  step(): SFOResult {
    this.#checkIdle();
    this.#params.check();
    const model = this.#model;
    const start = this.#read();
    if (start.some((value, k) => value !== model.theta[k])) model.moveTo(start);
    let evaluations = 0;
    let nonFinite = 0;
    const evaluate =
      (i: number): Evaluate =>
      (theta, grad) => {
        evaluations++;
        const value = this.#evaluate(i, theta as Float64Array, grad as Float64Array);
        if (!isFinitePoint(value, grad)) nonFinite++;
        return value;
      };
    this.#isBusy = true;
    try {
      const { term, value, gradNorm, failed } = model.step(evaluate);
      const applied = start.some((before, k) => before !== model.theta[k]);
      if (applied) this.#stepCount++;
      return { applied, term, value, gradNorm, evaluations, nonFinite, failed, active: model.active.length };
    } catch (error) {
      if (!(error instanceof NowhereFinite)) throw error;
      const what = Number.isFinite(error.value) ? 'a gradient that is not finite' : show(error.value);
      throw rangeError(name, `f(${error.term})`, what, 'a finite value', 'the params are at the last good point');
    } finally {
      this.#isBusy = false;
      this.#params.write(model.theta);
    }
  }

  /** Forgets what was learnt of term i: for when it has become another function, such as a new minibatch. @throws */
  replace(i: number): void {
    this.#checkIdle();
    this.#model.replace(checkInteger(name, 'i', i, `[0, ${this.#N})`));
  }

  #read(): Float64Array {
    const theta = new Float64Array(this.#params.length);
    this.#params.read(theta);
    const bad = theta.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw rangeError(name, 'params', `${theta[bad]} at element ${bad} of all`, 'finite numbers');
    return theta;
  }

  #evaluate(i: number, theta: Float64Array, grad: Float64Array): number {
    this.#params.write(theta);
    for (const array of this.#gradArrays) array.fill(0);
    const value: unknown = this.#f(i, this.#given, this.#grads as GradsOf<P>);
    if (typeof value !== 'number') {
      const isPromise = typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
      const hint = isPromise ? 'it must not be async' : undefined;
      throw typeError(name, `f(${i})`, show(value), 'the value, a number', hint);
    }
    this.#params.check();
    this.#params.readGrads(grad);
    return value;
  }

  #checkIdle(): void {
    if (this.#isBusy) throw typeError(name, 'this', 'an optimizer in the middle of a call', 'a call after that one');
  }
}
