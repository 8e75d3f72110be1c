import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  type OptionsOf,
  type ResolvedOf,
} from '../../core/declaration.js';
import { Optimizer } from '../../core/optimizer.js';
import type { Params } from '../../core/params.js';
import { power } from '../../core/power.js';
import { kernel } from '../../engine/kernel.js';

const f = Math.fround;

export const tfAdamax = {
  name: 'AdamaxOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adamax_optimizer.ts',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  u ← max(β₂·u, |g|)',
    'w ← w − η/(1−β₁ᵗ) · m / (u + ε)',
    'lrDecay: η/(1 + (t−1)·lrDecay)',
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 2e-3, range: '(-inf, inf)' },
    /** Decay rates of the moving average of g and the running maximum of |g|. */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the running maximum of |g|. */
    eps: { default: 1e-7, range: '[0, inf)' },
    /** Divides lr by 1 + (t − 1) · lrDecay. */
    lrDecay: { default: 0, range: '[0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'tf-adamax': kernel({
      state: ['expAvg', 'expInf'],
      constants: ['beta1', 'oneMinusBeta1', 'beta2', 'stepSize', 'eps'],
      reference:
        ([beta1, oneMinusBeta1, beta2, stepSize, eps], [expAvg, expInf]) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          const [decayed, magnitude] = [f(beta2 * expInf[i]!), Math.abs(grad)];
          expInf[i] = decayed > magnitude ? decayed : magnitude;
          return param - f(stepSize * f(expAvg[i]! / f(expInf[i]! + eps)));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link TfAdamax}. */
export type TfAdamaxOptions = OptionsOf<typeof tfAdamax>;
type Resolved = ResolvedOf<typeof tfAdamax>;

/** The formula of TensorFlow.js's `AdamaxOptimizer`. */
export class TfAdamax extends Optimizer<typeof tfAdamax> {
  static readonly optimizerName: string = tfAdamax.name;
  static readonly defaults: TfAdamaxOptions = defaultsOf(tfAdamax);

  constructor(params: Params<GroupOptionsOf<typeof tfAdamax>>, options: TfAdamaxOptions = {}) {
    super(tfAdamax, params, options);
  }

  protected override constants({ lr, betas: [beta1, beta2], eps, lrDecay }: Resolved): number[] {
    const t = this.stepCount + 1; // in TensorFlow.js all variables share `iterations`
    return [beta1, 1 - beta1, beta2, lr / (1 + (t - 1) * lrDecay) / (1 - power(beta1, t)), eps];
  }
}
