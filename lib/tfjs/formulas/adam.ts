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
import { adam } from '../../optimizers/adam.js';

export const tfAdam = {
  name: 'AdamOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adam_optimizer.ts',
  formula: ['m ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²', 'w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '(-inf, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-7, range: '[0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: { adam: adam.kernels.adam },
} as const satisfies Declaration;

/** Options of {@link TfAdam}. */
export type TfAdamOptions = OptionsOf<typeof tfAdam>;
type Resolved = ResolvedOf<typeof tfAdam>;

/** The formula of TensorFlow.js's `AdamOptimizer`. */
export class TfAdam extends Optimizer<typeof tfAdam> {
  static readonly optimizerName: string = tfAdam.name;
  static readonly defaults: TfAdamOptions = defaultsOf(tfAdam);

  constructor(params: Params<GroupOptionsOf<typeof tfAdam>>, options: TfAdamOptions = {}) {
    super(tfAdam, params, options);
  }

  protected override constants({ lr, betas: [beta1, beta2], eps }: Resolved): number[] {
    const t = this.stepCount + 1; // in TensorFlow.js all variables share `iterations`
    const [biasCorrection1, biasCorrection2] = [1 - power(beta1, t), 1 - power(beta2, t)];
    return [beta1, 1 - beta1, beta2, 1 - beta2, lr / biasCorrection1, 1 / Math.sqrt(biasCorrection2), eps];
  }
}
