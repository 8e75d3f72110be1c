import { axpy, dot, type Vector, type VectorConstructor } from '../linalg.js';
import { type Pair, twoLoop } from './two-loop.js';

/** The vectors of a curvature pair. */
type PairVectors = Pick<Pair, 's' | 'y'>;

/** A pair is made conjugate only if its two coefficients, forward and backward, differ by at most this fraction. */
const maxDisagreement = 0.1;
/** A pair is made conjugate only if more than this fraction of its sᵀy remains. */
const minRemainder = 0.01;

/** The latest curvature pairs, which define the inverse Hessian. */
export class History {
  readonly #length: number;
  readonly #VectorType: VectorConstructor;
  readonly #maxPairs: number;
  /**
   * A pair is kept if sᵀy exceeds this times ‖s‖·‖y‖. A smaller sᵀy is mostly rounding, and the inverse Hessian would
   * not be positive definite.
   */
  readonly #minCosine: number;
  /** Scratch of the two-loop recursion. */
  readonly #alphas: number[] = [];
  /** The oldest first. */
  readonly #pairs: Pair[] = [];
  /** Vectors to reuse for later pairs. */
  readonly #free: PairVectors[] = [];
  /** γ of H₀ = γ·I: sᵀy/yᵀy of the latest pair. */
  #gamma = 1;

  constructor(length: number, VectorType: VectorConstructor, maxPairs: number) {
    this.#length = length;
    this.#VectorType = VectorType;
    this.#maxPairs = maxPairs;
    this.#minCosine = VectorType === Float32Array ? 2 ** -23 : 2 ** -52;
  }

  /** The oldest first. */
  get pairs(): readonly Pair[] {
    return this.#pairs;
  }

  /** Two vectors for the next pair. Hand them to {@link push} or to {@link release}. Their contents are undefined. */
  acquire(): PairVectors {
    return this.#free.pop() ?? { s: new this.#VectorType(this.#length), y: new this.#VectorType(this.#length) };
  }

  /**
   * Keeps a pair if sᵀy is positive by more than rounding, else releases it. Drops the oldest pair of a full history.
   */
  push(pair: PairVectors): void {
    const { s, y } = pair;
    const sy = dot(s, y);
    const [ss, yy] = [dot(s, s), dot(y, y)];
    const rho = 1 / sy;
    if (!(sy > this.#minCosine * Math.sqrt(ss) * Math.sqrt(yy)) || !Number.isFinite(rho) || !Number.isFinite(yy)) {
      this.release(pair);
      return;
    }
    if (this.#pairs.length === this.#maxPairs) this.release(this.#pairs.shift()!);
    this.#pairs.push({ s, y, rho });
    this.#gamma = sy / yy;
  }

  /** Returns vectors for reuse. */
  release({ s, y }: PairVectors): void {
    this.#free.push({ s, y });
  }

  /**
   * Makes a new pair conjugate to the latest pair (s′, y′): s ← s − c·s′, y ← y − c·y′, so that s′ᵀy = sᵀy′ = 0.
   *
   * An inexact line search stops short of the minimum along s′ or beyond it. The next step makes up for that, so s
   * contains a multiple of s′. On a quadratic, both pairs stay valid when that multiple is removed. They are then
   * conjugate, as after exact line searches. So the pairs hold the same information as conjugate gradients, without the
   * extra evaluations.
   *
   * If the function is not quadratic here, sᵀy′ and s′ᵀy differ, and the pair stays as it is.
   */
  conjugate({ s, y }: PairVectors): void {
    const latest = this.#pairs.at(-1);
    if (latest === undefined) return;
    const forward = latest.rho * dot(s, latest.y);
    const backward = latest.rho * dot(latest.s, y);
    const c = (forward + backward) / 2;
    const sy = dot(s, y);
    if (!(Math.abs(forward - backward) <= maxDisagreement * Math.max(Math.abs(forward), Math.abs(backward)))) return;
    if (!(sy - (c * c) / latest.rho > minRemainder * sy)) return;
    axpy(-c, latest.s, s);
    axpy(-c, latest.y, y);
  }

  /** direction ← −H·grad. Without pairs, H = I: steepest descent. Returns gradᵀdirection. */
  direction(grad: Vector, direction: Vector): number {
    return twoLoop(this.#pairs, this.#gamma, grad, direction, this.#alphas);
  }

  clear(): void {
    this.#free.push(...this.#pairs.splice(0));
    this.#gamma = 1;
  }
}
