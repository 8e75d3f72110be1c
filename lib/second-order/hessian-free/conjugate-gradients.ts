import { addScaled, axpy, dot, scale, type Vector, type VectorConstructor } from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';

/** When the iterations stop. */
export interface CGSettings {
  /** Factor of the last iterate, from which the next run starts. */
  readonly cgDecay: number;
  /** A run stops when k iterations lower φ by less than k times this, relative to φ. */
  readonly cgTol: number;
  /** Largest number of iterations of a run. */
  readonly maxCgIterations: number;
}

/** An iterate of a run that was kept. */
export interface Iterate {
  readonly p: Float64Array;
  /** φ(p) = ½·pᵀAp + gᵀp. */
  phi: number;
}

/** Writes G·v to `out`. */
export type Product = (v: Vector, out: Vector) => MaybeTask<void>;

/** The system A·p = −g with A = G + λ. */
export interface DampedSystem {
  readonly grad: Vector;
  readonly damping: number;
  /** M, element by element; undefined for 1. */
  readonly preconditioner: Float64Array | undefined;
  readonly product: Product;
}

/** Iterates are kept at 1, 1.3, 1.3², … rounded up. */
const spacing = 1.3;
/** A run stops when ⟨r,y⟩ is at most this times ⟨g,g⟩: the system is solved to the last digit. */
const solved = 1e-30;

/**
 * Preconditioned conjugate gradients on A·p = −g. Stops early, by the rule of Martens 2010 (section 4.4), and keeps
 * some of the iterates on its way. Vectors that the user's function reads and writes have the type of the params; all
 * others are float64.
 */
export class ConjugateGradients {
  /** Iterations of the last run. */
  iterations = 0;
  /** The last iterate of the last run: where the next one starts, times `cgDecay`. */
  readonly last: Float64Array;
  readonly #settings: CGSettings;
  readonly #residual: Float64Array;
  /** y = r/M. */
  readonly #preconditioned: Float64Array;
  readonly #Ad: Float64Array;
  /** d, rounded to the type of the params: then the product is that of the direction that the step takes. */
  readonly #direction: Vector;
  readonly #productOut: Vector;
  /** φ after each iteration. */
  readonly #phis: number[] = [];
  /** Iterates, whose arrays are used again by later runs. */
  readonly #iterates: Iterate[] = [];
  #count = 0;

  constructor(length: number, VectorType: VectorConstructor, settings: CGSettings) {
    this.#settings = settings;
    this.last = new Float64Array(length);
    this.#residual = new Float64Array(length);
    this.#preconditioned = new Float64Array(length);
    this.#Ad = new Float64Array(length);
    this.#direction = new VectorType(length);
    this.#productOut = new VectorType(length);
  }

  /** The iterates that the last run has kept, the last one at the end. The next run overwrites them. */
  get kept(): readonly Iterate[] {
    return this.#iterates.slice(0, this.#count);
  }

  /** Runs. Returns false if it could not start, because the first product along a direction was not finite. */
  *run(system: DampedSystem): Task<boolean> {
    const { grad } = system;
    const { cgDecay, maxCgIterations } = this.#settings;
    const [p, r, y, d] = [this.last, this.#residual, this.#preconditioned, this.#direction];
    this.iterations = 0;
    this.#count = 0;
    this.#phis.length = 0;
    // The start, rounded as the user's function sees it.
    scale(cgDecay, p, d);
    p.set(d);
    let hasFinite = dot(p, p) > 0;
    if (hasFinite) {
      yield* this.#multiply(system);
      addScaled(this.#Ad, 1, grad, r);
      hasFinite = Number.isFinite(dot(r, r));
    }
    // No start, or one whose product is not finite.
    if (!hasFinite) {
      p.fill(0);
      r.set(grad);
    }
    this.#precondition(system);
    scale(-1, y, d);
    let ry = dot(r, y);
    const least = solved * dot(grad, grad);
    this.#phis.push(this.#phi(grad));
    let [keptAt, nextKept] = [-1, 1];
    while (ry > least && this.iterations < maxCgIterations) {
      yield* this.#multiply(system);
      const curvature = dot(d, this.#Ad);
      if (!Number.isFinite(curvature)) {
        if (!hasFinite) return false;
        break;
      }
      const step = ry / curvature;
      // Along a direction without curvature, φ has no minimum.
      if (!(curvature > 0) || !Number.isFinite(step)) break;
      hasFinite = true;
      axpy(step, d, p);
      axpy(step, this.#Ad, r);
      const i = ++this.iterations;
      const phi = this.#phi(grad);
      this.#phis.push(phi);
      if (i >= nextKept) {
        keptAt = i;
        this.#keep(phi);
        while (nextKept <= i) nextKept *= spacing;
      }
      if (this.#isSlow(i, phi)) break;
      this.#precondition(system);
      const before = ry;
      ry = dot(r, y);
      // d ← −y + β·d.
      addScaled(y, -ry / before, d, y);
      scale(-1, y, d);
    }
    if (keptAt !== this.iterations) this.#keep(this.#phis.at(-1)!);
    return true;
  }

  /** Ad ← (G + λ)·d. */
  *#multiply({ product, damping }: DampedSystem): Task<void> {
    const pending = product(this.#direction, this.#productOut);
    if (pending !== undefined) yield* pending;
    addScaled(this.#productOut, damping, this.#direction, this.#Ad);
  }

  /** y ← r/M. */
  #precondition({ preconditioner: m }: DampedSystem): void {
    const [r, y] = [this.#residual, this.#preconditioned];
    if (m === undefined) y.set(r);
    else for (let i = 0; i < y.length; i++) y[i] = r[i]! / m[i]!;
  }

  /** φ = ½·⟨r + g, p⟩. */
  #phi(grad: Vector): number {
    return (dot(this.#residual, this.last) + dot(grad, this.last)) / 2;
  }

  /** Whether the last k iterations have lowered φ by too little. */
  #isSlow(i: number, phi: number): boolean {
    const k = Math.max(10, Math.ceil(0.1 * i));
    return i > k && phi < 0 && (phi - this.#phis[i - k]!) / phi < k * this.#settings.cgTol;
  }

  #keep(phi: number): void {
    this.#iterates[this.#count] ??= { p: new Float64Array(this.last.length), phi };
    const iterate = this.#iterates[this.#count]!;
    iterate.p.set(this.last);
    iterate.phi = phi;
    this.#count++;
  }
}
