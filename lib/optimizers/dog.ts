import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const dog = {
  name: 'DoG',
  reference:
    'Ivgi, Hinder & Carmon, "DoG is SGD\'s Best Friend: A Parameter-Free Dynamic Step Size Schedule", ICML 2023, Algorithm 1, https://arxiv.org/abs/2302.12022',
  formula: [
    'over the params of a group, or with layerWise of each param:',
    't = 1: r = repsRel·(1 + ‖w₀‖), G = ε;  later r ← max(r, ‖w − w₀‖)',
    'G ← G + ‖g‖²;  w ← w − η·r/√G·g',
    'with initEta: at t = 1 r = 0 and w ← w − initEta·g',
  ],
  decay: 'l2',
  denseOnly: 'DoG needs the norm of the whole gradient',
  hyperParameters: {
    /** Multiplies the rate that the method finds. Leave it at 1, or set a schedule. */
    lr: { default: 1, range: '[0, inf)' },
    /** Initial value of r, relative to 1 + ‖w₀‖. The first step has the length r. */
    repsRel: { default: 1e-6, range: '(0, inf)' },
    /** Initial value of G. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Learning rate of the first step. It replaces the one that follows from repsRel. */
    initEta: { range: '(0, inf)' },
    /** L-DoG: compute r and G separately for each param. */
    layerWise: { default: false },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    dog: kernel({
      state: ['initial'],
      constants: ['anchor', 'rate'],
      numbers: {
        names: ['r', 'G', 'lr', 'repsRel', 'eps', 'initEta', 'rate'],
        sums: 2,
        measure:
          ([anchor], [initial]) =>
          (i, param, grad, add) => {
            add(0, grad, grad);
            const distance = f(param - f(anchor * initial[i]!));
            add(1, distance, distance);
          },
        decide: ([r, before, lr, repsRel, eps, initEta], [squares, distances]) => {
          const isFirst = before === 0;
          const norm = Math.sqrt(distances!);
          const first = initEta > 0 ? 0 : repsRel * (1 + norm);
          const next = isFirst ? first : norm > r ? norm : r;
          const sum = (isFirst ? eps : before) + squares!;
          const rate = isFirst && initEta > 0 ? initEta : sum === 0 ? 0 : (lr * next) / Math.sqrt(sum);
          return [next, sum, lr, repsRel, eps, initEta, rate];
        },
        resolve: ([anchor], { 6: rate }) => [anchor, rate],
      },
      reference:
        ([, rate]) =>
        (_i, param, grad) =>
          param - f(rate * grad),
    }),
  },
  // Both are 0 before the first step. G is positive afterwards.
  scope: ({ layerWise }) => (layerWise ? 'param' : 'group'),
  scalars: { r: 0, G: 0 },
} as const satisfies Declaration;

/** Options of {@link DoG}. @interface */
export type DoGOptions = OptionsOf<typeof dog>;
type Resolved = ResolvedOf<typeof dog>;

/**
 * DoG (distance over gradients): SGD that finds its learning rate by itself. The rate is the largest distance from the
 * initial params so far, divided by the root of the sum of squared gradient norms.
 *
 * ```
 * t = 1: r = repsRel·(1 + ‖w₀‖), G = ε;  later r ← max(r, ‖w − w₀‖)
 * G ← G + ‖g‖²;  w ← w − η·r/√G·g
 * ```
 * Norms and sums are over all params of a group; with `layerWise` (L-DoG) each param has its own. w₀ is a copy of the
 * params at their first step. g is the gradient after clipping and L2 decay. With `initEta`, the first step is
 * initEta·g, and r starts at 0.
 *
 * Options: `lr` (η, 1, [0, ∞)), `repsRel` (1e-6, (0, ∞)), `eps` (ε, 1e-8, [0, ∞)), `initEta` (none, (0, ∞)),
 * `layerWise` (false), `weightDecay` (λ, 0, [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `initial` (w₀), and the numbers `r` and `G`, the same in each param of a group unless `layerWise` is set. A
 * step updates the params and the state in place.
 *
 * @remarks
 * **When:** Fine-tuning and convex problems where SGD works and you do not want to search for lr.
 *
 * **Pitfalls:** It is meant to be used with averaged weights: set `ema`, or use a {@link WeightAverage}, and evaluate
 * the average. The rate does not decay by itself. With batch normalization its authors use `repsRel: 1e-4`. A `repsRel`
 * that is too small lets the first steps vanish in float32. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { DoG } from 'schuss';
 * const w = new Float32Array([3, 4]);
 * const dog = new DoG(w, { repsRel: 0.1 });
 * dog.step(new Float32Array([6, 8])); // ‖w‖ is 5, so the step has the length 0.6
 * console.log(dog.r, dog.G); // about 0.6 and 100
 * ```
 * @see Ivgi, Hinder & Carmon 2023, Algorithm 1, https://arxiv.org/abs/2302.12022; the package dog-optimizer
 */
export class DoG<const P extends ParamsOf<typeof dog> = AnyParams> extends Optimizer<typeof dog, P> {
  static readonly optimizerName: string = dog.name;
  static readonly defaults: DefaultsOf<typeof dog> = defaultsOf(dog);

  constructor(params: Given<P, typeof dog>, options: DoGOptions = {}) {
    super(dog, params, options);
  }

  /**
   * r: the largest distance from the initial params at the start of a step, or the initial r if that is larger. It is
   * that of the first group, or of the first param with `layerWise`. 0 before the first step. `stateDict` has the
   * values of all.
   */
  get r(): number {
    return this.firstScalars[0] ?? 0;
  }

  /** G, the sum of ε and the squared gradient norms of the same group or param. 0 before the first step. */
  get G(): number {
    return this.firstScalars[1] ?? 0;
  }

  protected override start(
    _options: Resolved,
    param: Float32Array,
    { initial }: Readonly<Record<string, Float32Array>>,
  ): void {
    initial!.set(param);
  }

  protected override inputs([group]: readonly Resolved[]): number[] {
    const { lr, repsRel, eps, initEta } = group!;
    return [lr, repsRel, eps, initEta ?? 0, 0];
  }

  protected override constants(_resolved: Resolved, _t: number, [, sum]: readonly number[]): number[] {
    return [sum === 0 ? 0 : 1, 0];
  }
}
