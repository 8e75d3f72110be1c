import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, EachHas, Given, ParamsOf } from '../core/params-of.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const sgd = {
  name: 'SGD',
  reference:
    'Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013, eq. 1–4, https://proceedings.mlr.press/v28/sutskever13.html',
  formula: [
    'w ← w − η·g',
    'momentum μ: v ← μ·v − η·g;  w ← w + v',
    "Nesterov: v' ← μ·v − η·g;  w ← w − μ·v + (1+μ)·v'",
    "momentumForm 'buffer' (PyTorch): b ← μ·b + (1−τ)·g;  w ← w − η·b;  Nesterov: w ← w − η·(g + μ·b)",
    cautiousFormula,
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '[0, inf)' },
    /** Momentum factor; 0 disables momentum. */
    momentum: { default: 0, range: '[0, 1)' },
    /** Use Nesterov momentum. */
    nesterov: { default: false },
    /**
     * `velocity`: lr inside the velocity, as in textbooks; `buffer`: outside, as in PyTorch. They differ when lr
     * changes.
     */
    momentumForm: { default: 'velocity', choices: ['velocity', 'buffer'] },
    /** Multiplies the gradient by 1 − dampening before it enters the buffer. */
    dampening: { default: 0, range: '[0, 1]' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels: {
    sgd: kernel({
      state: [],
      constants: ['lr'],
      reference:
        ([lr]) =>
        (_i, param, grad) =>
          param - f(f(lr) * grad),
    }),
    ...withCautious({
      'sgd-velocity': kernel({
        state: ['velocity'],
        constants: ['lr', 'momentum'],
        reference:
          ([lr, momentum], [velocity]) =>
          (i, param, grad) => {
            velocity[i] = f(momentum * velocity[i]!) - f(lr * grad);
            return param + velocity[i]!;
          },
      }),
      'sgd-velocity-nesterov': kernel({
        state: ['velocity'],
        constants: ['lr', 'previousMomentum', 'momentum'],
        reference:
          ([lr, previousMomentum, momentum], [velocity]) =>
          (i, param, grad) => {
            const pull = f(lr * grad);
            velocity[i] = f(previousMomentum * velocity[i]!) - pull;
            return param + f(f(momentum * velocity[i]!) - pull);
          },
      }),
      'sgd-buffer': kernel({
        state: ['momentumBuffer'],
        constants: ['lr', 'momentum', 'gradWeight', 'usesBuffer'],
        reference:
          ([lr, momentum, gradWeight, usesBuffer], [momentumBuffer]) =>
          (i, param, grad) => {
            const next = f(f(momentum * momentumBuffer[i]!) + f(gradWeight * grad));
            if (usesBuffer > 0) momentumBuffer[i] = next;
            return param - f(lr * next);
          },
      }),
      'sgd-buffer-nesterov': kernel({
        state: ['momentumBuffer'],
        constants: ['lr', 'momentum', 'usesBuffer'],
        reference:
          ([lr, momentum, usesBuffer], [momentumBuffer]) =>
          (i, param, grad) => {
            const next = f(f(momentum * momentumBuffer[i]!) + grad);
            if (usesBuffer > 0) momentumBuffer[i] = next;
            return param - f(lr * f(grad + f(momentum * next)));
          },
      }),
    }),
  },
  // The momentum of the param's previous update, which its Nesterov look-ahead used. In the buffer form, of the previous
  // update that used the buffer: 0 while there is none.
  scalars: { momentum: 0 },
  startsLate: ([momentum]) => momentum === 0,
} as const satisfies Declaration;

/** Options of {@link SGD}. @interface */
export type SGDOptions = OptionsOf<typeof sgd>;
type Resolved = ResolvedOf<typeof sgd>;

/**
 * Stochastic gradient descent: plain, with momentum, or with Nesterov momentum.
 *
 * ```
 * plain      w ← w − η·g
 * momentum   v ← μ·v − η·g;   w ← w + v
 * Nesterov   v' ← μ·v − η·g;  w ← w − μ·v + (1+μ)·v'
 * ```
 * `momentumForm: 'buffer'` is PyTorch's form: `b ← μ·b + (1−τ)·g` (no buffer yet: `b ← g`), `w ← w − η·b`, and with
 * Nesterov `w ← w − η·(g + μ·b)`. The two forms agree while `lr` is constant and differ when it changes.
 *
 * `momentum` can change during training. A step with momentum 0 is plain SGD: the buffer does not change, and the
 * velocity becomes −η·g. The Nesterov look-ahead uses the momentum of this step; the velocity decays by that of the
 * previous step.
 *
 * Options: `lr` (η, required, [0, ∞)), `momentum` (μ, 0, [0, 1)), `nesterov` (false), `momentumForm` ('velocity' or
 * 'buffer'; default 'velocity'), `dampening` (τ, 0, [0, 1]), `weightDecay` (0, [0, ∞), L2), `cautious` (false, needs
 * momentum; see {@link Adam}).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `velocity` (v) or `momentumBuffer` (b), once momentum was above 0 or is a Schedule, and the number `momentum`.
 * A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Much data and time to tune. With Nesterov momentum and a decaying lr, it often has the best final accuracy
 * on images. It needs the least memory.
 *
 * **Pitfalls:** `lr` has no default and must fit the scale of the gradients. If the loss becomes NaN in the first
 * steps, try a tenth of it, or `clipNorm`. If lr changes, use `momentumForm: 'buffer'` to get PyTorch's numbers.
 *
 * @throws TypeError for an unknown option, a wrong type or a missing lr; RangeError for a value out of range,
 *   overlapping params, dampening with the velocity form or Nesterov, Nesterov or cautious without momentum
 * @example
 * ```ts
 * import { SGD } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const sgd = new SGD(w, { lr: 0.1, momentum: 0.9, nesterov: true });
 * sgd.step(new Float32Array([0.5, 0, -0.5])); // updates w in place
 * ```
 * @see Sutskever, Martens, Dahl & Hinton 2013, eq. 1–4, https://proceedings.mlr.press/v28/sutskever13.html
 */
export class SGD<const P extends ParamsOf<typeof sgd> = AnyParams> extends Optimizer<typeof sgd, P> {
  static readonly optimizerName: string = sgd.name;
  static readonly defaults: DefaultsOf<typeof sgd> = defaultsOf(sgd);

  /** With `lr` in every group, the options may lack it. */
  constructor(params: Given<P, typeof sgd> & EachHas<P, 'lr'>, options?: DefaultsOf<typeof sgd>);
  constructor(params: Given<P, typeof sgd>, options: SGDOptions);
  constructor(params: object, options: DefaultsOf<typeof sgd> = {}) {
    super(sgd, params, options);
  }

  protected override kernel(
    { momentum, nesterov, momentumForm, cautious }: Resolved,
    _shape: Shape,
    has: (state: string) => boolean,
  ): string {
    if (momentum === 0 && !has(momentumForm === 'buffer' ? 'momentumBuffer' : 'velocity')) return 'sgd';
    return `sgd-${momentumForm}${nesterov ? '-nesterov' : ''}${cautious ? '-cautious' : ''}`;
  }

  protected override conflict({
    momentum,
    nesterov,
    momentumForm,
    dampening,
    cautious,
  }: Resolved): [string, string, string] | undefined {
    if (dampening !== 0 && (momentumForm !== 'buffer' || nesterov)) {
      return ['dampening', String(dampening), "0, unless momentumForm is 'buffer' and nesterov is false"];
    }
    if (nesterov && momentum === 0) return ['nesterov', 'true', 'false while momentum is 0'];
    if (cautious && momentum === 0) return ['cautious', 'true', 'false while momentum is 0'];
    return undefined;
  }

  protected override constants(
    { lr, momentum, nesterov, momentumForm, dampening }: Resolved,
    _t: number,
    scalars: readonly [number],
  ): number[] {
    const previousMomentum = scalars[0]; // destructuring would run an iterator
    if (momentumForm === 'velocity') return nesterov ? [lr, previousMomentum, momentum] : [lr, momentum];
    const usesBuffer = momentum === 0 ? 0 : 1;
    if (nesterov) return [lr, momentum, usesBuffer];
    return [lr, momentum, usesBuffer === 0 || previousMomentum === 0 ? 1 : 1 - dampening, usesBuffer];
  }

  protected override scalarsAfter(
    { momentum, momentumForm }: Resolved,
    _t: number,
    previous: readonly [number],
  ): readonly number[] {
    return previous[0] === momentum || (momentumForm === 'buffer' && momentum === 0) ? previous : [momentum];
  }
}
