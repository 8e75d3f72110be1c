import { type Evaluate, isFinitePoint } from '../evaluation.js';
import {
  addScaled,
  dot,
  isSame,
  maxAbsDifference,
  sumAbsProducts,
  type Vector,
  type VectorConstructor,
} from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';
import { type CGSettings, ConjugateGradients } from './conjugate-gradients.js';

/** The curvature of the function, from the user. */
export interface Curvature {
  /** out ← G·v at x. */
  product(x: Vector, v: Vector, out: Vector): MaybeTask<void>;
  /** out ← the sums of squared gradients at x; undefined for no preconditioner. */
  readonly squares: ((x: Vector, out: Vector) => MaybeTask<void>) | undefined;
}

/**
 * How an iteration ended. 'moved': at a new point. 'stayed': the line search found no lower point; a larger damping
 * may. 'function': rounding hides whether there is a lower point. 'non-finite': nothing finite along the line.
 */
export type Outcome = 'moved' | 'stayed' | 'function' | 'non-finite';

/** Numbers of one iteration. */
export interface IterationInfo {
  /** λ of the iteration. */
  readonly damping: number;
  /** Number of iterations of conjugate gradients. */
  readonly cgIterations: number;
  /** ρ: the change of the function over the change of its quadratic model. −∞ if the function rose. */
  readonly rho: number;
}

/** A point with its value and gradient. */
interface Point {
  x: Vector;
  grad: Vector;
  value: number;
}

/** Factors of the damping after a step that the model has predicted badly, or well. */
const [raise, lower] = [1.5, 2 / 3];
/** The line search accepts a decrease by this fraction of what the slope promises. */
const armijo = 0.01;
/** Factor of the rate where it does not accept, and how often it is applied. */
const shrink = 0.8;
const maxShrinks = 60;
/**
 * A run ends after so many iterations in a row that stayed. By then the damping is almost 60 times as large, and no
 * rate down to 1e-6 has lowered the function: its gradient may be wrong.
 */
export const maxFailures = 10;

/**
 * Runs Hessian-free optimization one iteration at a time. Holds the current point with its value and gradient, the
 * damping, and the last iterate of conjugate gradients. If an evaluation throws, the point does not change.
 */
export class HessianFreeSolver {
  /** λ of the next iteration. */
  damping: number;
  /** max |Δxᵢ| of the last iteration that moved. */
  lastMove = 0;
  /** The numbers of the last iteration. */
  info: IterationInfo = { damping: Number.NaN, cgIterations: 0, rho: Number.NaN };
  readonly #cg: ConjugateGradients;
  readonly #newVector: () => Vector;
  #current: Point;
  /**
   * The point that the current iteration may move to. Its value is NaN before the first one, +∞ if it is not finite.
   */
  #trial: Point;
  #spare: Point;
  #preconditioner: Float64Array | undefined;
  #squares: Vector | undefined;
  readonly #epsilon: number;

  constructor(length: number, VectorType: VectorConstructor, settings: CGSettings & { readonly damping: number }) {
    this.damping = settings.damping;
    this.#cg = new ConjugateGradients(length, VectorType, settings);
    this.#newVector = () => new VectorType(length);
    const newPoint = (): Point => ({ x: this.#newVector(), grad: this.#newVector(), value: Number.NaN });
    [this.#current, this.#trial, this.#spare] = [newPoint(), newPoint(), newPoint()];
    this.#epsilon = VectorType === Float32Array ? 2 ** -23 : 2 ** -52;
  }

  /** The current point. Write the first point to it before {@link start}, and only read it afterwards. */
  get x(): Vector {
    return this.#current.x;
  }

  get grad(): Vector {
    return this.#current.grad;
  }

  get value(): number {
    return this.#current.value;
  }

  /** The last iterate of conjugate gradients, from which the next run starts. Write to it to resume a run. */
  get cgIterate(): Float64Array {
    return this.#cg.last;
  }

  /** Evaluates at x. */
  *start(evaluate: Evaluate): Task<void> {
    this.#current.value = Number.NaN;
    const value = evaluate(this.x, this.grad);
    this.#current.value = typeof value === 'number' ? value : yield* value;
  }

  /** Runs one iteration. The current value and gradient must be finite. */
  *iterate(evaluate: Evaluate, curvature: Curvature): Task<Outcome> {
    const { x, grad, value: start } = this.#current;
    const { damping } = this;
    this.#trial.value = Number.NaN;
    const preconditioner = yield* this.#precondition(curvature, damping);
    const hasStarted = yield* this.#cg.run({
      grad,
      damping,
      preconditioner,
      product: (v, out) => curvature.product(x, v, out),
    });
    this.info = { damping, cgIterations: this.#cg.iterations, rho: Number.NEGATIVE_INFINITY };
    if (!hasStarted) return 'non-finite';

    // Backtracking over the iterates that were kept.
    const { kept } = this.#cg;
    let last = kept.length - 1;
    if (this.#isTooShort(kept[last]!.p, 1)) {
      this.damping *= raise;
      return dot(grad, kept[last]!.p) < 0 ? 'function' : 'stayed';
    }
    yield* this.#evaluate(evaluate, kept[last]!.p, 1, this.#trial);
    while (last > 0) {
      yield* this.#evaluate(evaluate, kept[last - 1]!.p, 1, this.#spare);
      if (!(this.#spare.value <= this.#trial.value)) break;
      this.#swapTrials();
      last--;
    }
    const { p, phi } = kept[last]!;

    // Damping, by how well the model has predicted the change.
    const change = this.#trial.value - start;
    const predicted = phi - (damping * dot(p, p)) / 2;
    const rho = change > 0 ? Number.NEGATIVE_INFINITY : change / predicted;
    if (!(rho >= 0.25)) this.damping *= raise;
    else if (rho > 0.75) this.damping *= lower;
    this.info = { ...this.info, rho };

    // Line search. Along a line that does not lead downhill, any lower point will do.
    const slope = dot(grad, p);
    let hasFinite = this.#trial.value < Number.POSITIVE_INFINITY;
    let rate = 1;
    for (let n = 0; !isLower(this.#trial.value, start, rate * slope); n++) {
      rate *= shrink;
      if (n === maxShrinks || this.#isTooShort(p, rate)) {
        this.#trial.value = Number.NaN;
        if (!hasFinite) return 'non-finite';
        return slope < 0 && -slope <= this.#roundingError() ? 'function' : 'stayed';
      }
      yield* this.#evaluate(evaluate, p, rate, this.#spare);
      hasFinite ||= this.#spare.value < Number.POSITIVE_INFINITY;
      this.#swapTrials();
    }
    this.#moveToTrial();
    return 'moved';
  }

  /** Call after an evaluation has thrown. Moves to the trial point if that is lower than x. */
  keepBest(): boolean {
    if (!(this.#trial.value < this.value)) return false;
    this.#moveToTrial();
    return true;
  }

  /** M = (squares + λ)^¾, or undefined without squares. */
  *#precondition({ squares }: Curvature, damping: number): Task<Float64Array | undefined> {
    if (squares === undefined) return undefined;
    this.#squares ??= this.#newVector();
    const sums = this.#squares;
    const pending = squares(this.x, sums);
    if (pending !== undefined) yield* pending;
    this.#preconditioner ??= new Float64Array(sums.length);
    const m = this.#preconditioner;
    for (let i = 0; i < m.length; i++) {
      const root = Math.sqrt(sums[i]! + damping);
      // Without damping, an element that no gradient has touched would be divided by 0.
      m[i] = root > 0 ? root * Math.sqrt(root) : 1;
    }
    return m;
  }

  /** Evaluates at x + rate·p. A value or gradient that is not finite counts as +∞. */
  *#evaluate(evaluate: Evaluate, p: Float64Array, rate: number, trial: Point): Task<void> {
    addScaled(this.x, rate, p, trial.x);
    trial.value = Number.NaN;
    const result = evaluate(trial.x, trial.grad);
    const value = typeof result === 'number' ? result : yield* result;
    trial.value = isFinitePoint(value, trial.grad) ? value : Number.POSITIVE_INFINITY;
  }

  /** Whether x + rate·p rounds to x. */
  #isTooShort(p: Float64Array, rate: number): boolean {
    addScaled(this.x, rate, p, this.#spare.x);
    return isSame(this.#spare.x, this.x);
  }

  #swapTrials(): void {
    [this.#trial, this.#spare] = [this.#spare, this.#trial];
  }

  #moveToTrial(): void {
    this.lastMove = maxAbsDifference(this.#trial.x, this.x);
    [this.#current, this.#trial] = [this.#trial, this.#current];
    this.#trial.value = Number.NaN;
  }

  /** Bound on the change of the value by rounding alone: the rounding of the value, and that of x. */
  #roundingError(): number {
    return 4 * this.#epsilon * (Math.abs(this.value) + sumAbsProducts(this.x, this.grad));
  }
}

/** Whether a value is lower than that at the start, by enough for the slope over the step. */
function isLower(value: number, start: number, slope: number): boolean {
  return slope < 0 ? value <= start + armijo * slope : value < start;
}
