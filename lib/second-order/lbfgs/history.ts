import { axpy, dot, type Vector, type VectorConstructor } from '../linalg.js';
import { type Pair, twoLoop } from './two-loop.js';

/** A pair is made conjugate to the one before it where the two agree about the curvature between them this well. */
const agreement = 0.1;
/** … and where at least this part of sᵀy remains. */
const remainder = 0.01;

/** The latest curvature pairs, from which the inverse Hessian is built. */
export class History {
  readonly #length: number;
  readonly #make: VectorConstructor;
  readonly #size: number;
  /** sᵀy must exceed this times ‖s‖·‖y‖: below, it is rounding, and the inverse Hessian would not be positive definite. */
  readonly #least: number;
  readonly #weights: Float64Array;
  /** The oldest first. */
  readonly #pairs: Pair[] = [];
  /** Linalg that are free: those of pairs that were dropped. */
  readonly #spare: { readonly s: Vector; readonly y: Vector }[] = [];
  /** The scale of the initial matrix, sᵀy/yᵀy of the latest pair. */
  #gamma = 1;

  constructor(length: number, make: VectorConstructor, size: number) {
    this.#length = length;
    this.#make = make;
    this.#size = size;
    this.#least = make === Float32Array ? 2 ** -23 : 2 ** -52;
    this.#weights = new Float64Array(size);
  }

  get pairs(): readonly Pair[] {
    return this.#pairs;
  }

  /** Two vectors to write the next pair to, for {@link push} or {@link recycle}. */
  blank(): { readonly s: Vector; readonly y: Vector } {
    return this.#spare.pop() ?? { s: new this.#make(this.#length), y: new this.#make(this.#length) };
  }

  /** Keeps a pair if that is safe: if sᵀy is positive by more than rounding. */
  push(pair: { readonly s: Vector; readonly y: Vector }): void {
    const { s, y } = pair;
    const sy = dot(s, y);
    const [ss, yy] = [dot(s, s), dot(y, y)];
    const rho = 1 / sy;
    if (!(sy > this.#least * Math.sqrt(ss) * Math.sqrt(yy)) || !Number.isFinite(rho) || !Number.isFinite(yy)) {
      this.recycle(pair);
      return;
    }
    if (this.#pairs.length === this.#size) this.recycle(this.#pairs.shift()!);
    this.#pairs.push({ s, y, rho });
    this.#gamma = sy / yy;
  }

  /** Gives vectors back that are not to be kept. */
  recycle({ s, y }: { readonly s: Vector; readonly y: Vector }): void {
    this.#spare.push({ s, y });
  }

  /**
   * Takes from a new pair its part along the latest one: s ← s − c·s', y ← y − c·y', with s'ᵀy = sᵀy' = 0 afterwards.
   *
   * An inexact line search leaves the iterate off the minimum along s', and the next step makes up for it: s has a part of
   * s' in it. On a quadratic both pairs stay true when it is taken out, and they are then conjugate, as exact line
   * searches would have made them: the pairs hold what conjugate gradients know, without its evaluations. Where the
   * function is not that quadratic here, sᵀy' and s'ᵀy differ, and the pair stays as it is.
   */
  conjugate({ s, y }: { readonly s: Vector; readonly y: Vector }): void {
    const before = this.#pairs.at(-1);
    if (before === undefined) return;
    const forward = before.rho * dot(s, before.y);
    const backward = before.rho * dot(before.s, y);
    const c = (forward + backward) / 2;
    const sy = dot(s, y);
    if (!(Math.abs(forward - backward) <= agreement * Math.max(Math.abs(forward), Math.abs(backward)))) return;
    if (!(sy - (c * c) / before.rho > remainder * sy)) return;
    axpy(-c, before.s, s);
    axpy(-c, before.y, y);
  }

  /** direction ← −H·grad: steepest descent while there are no pairs. Returns gradᵀdirection. */
  direction(grad: Vector, direction: Vector): number {
    return twoLoop(this.#pairs, this.#gamma, grad, direction, this.#weights);
  }

  clear(): void {
    this.#spare.push(...this.#pairs.splice(0));
    this.#gamma = 1;
  }
}
