import {
  type Declaration,
  type DefaultsOf,
  defaultsOf,
  type GroupOptionsOf,
  type ResolvedOf,
} from '../../core/declaration.js';
import { Optimizer } from '../../core/optimizer.js';
import type { Params } from '../../core/params.js';
import { kernel } from '../../engine/kernel.js';

const f = Math.fround;

export const tfRmsprop = {
  name: 'RMSPropOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/rmsprop_optimizer.ts',
  formula: [
    's ← α·s + (1−α)·g²;  b ← μ·b + η·g / √(s + ε);  w ← w − b',
    'centered: a ← α·a + (1−α)·g;  √(s − a² − ε) for √(s + ε)',
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '(-inf, inf)' },
    /** Decay rate of the moving average of g²; of g too when centered. */
    alpha: { default: 0.9, range: '[0, 1]' },
    /** Added inside the square root; subtracted there when centered. */
    eps: { default: 1e-7, range: '[0, inf)' },
    /** Momentum factor; 0 disables momentum. */
    momentum: { default: 0, range: '(-inf, inf)' },
    /** Divide by the standard deviation of g instead of its root mean square. */
    centered: { default: false },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'tf-rmsprop': kernel({
      state: ['squareAvg', 'momentumBuffer'],
      constants: ['lr', 'alpha', 'oneMinusAlpha', 'eps', 'momentum'],
      reference:
        ([lr, alpha, oneMinusAlpha, eps, momentum], [squareAvg, momentumBuffer]) =>
        (i, param, grad) => {
          squareAvg[i] = f(alpha * squareAvg[i]!) + f(oneMinusAlpha * f(grad * grad));
          const pull = f(f(lr * grad) / f(Math.sqrt(f(squareAvg[i]! + eps))));
          momentumBuffer[i] = f(momentum * momentumBuffer[i]!) + pull;
          return param - momentumBuffer[i]!;
        },
    }),
    'tf-rmsprop-centered': kernel({
      state: ['squareAvg', 'momentumBuffer', 'gradAvg'],
      constants: ['lr', 'alpha', 'oneMinusAlpha', 'eps', 'momentum'],
      reference:
        ([lr, alpha, oneMinusAlpha, eps, momentum], [squareAvg, momentumBuffer, gradAvg]) =>
        (i, param, grad) => {
          squareAvg[i] = f(alpha * squareAvg[i]!) + f(oneMinusAlpha * f(grad * grad));
          gradAvg[i] = f(alpha * gradAvg[i]!) + f(oneMinusAlpha * grad);
          const variance = f(squareAvg[i]! - f(f(gradAvg[i]! * gradAvg[i]!) + eps));
          momentumBuffer[i] = f(momentum * momentumBuffer[i]!) + f(f(lr * grad) / f(Math.sqrt(variance)));
          return param - momentumBuffer[i]!;
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link TfRmsprop}. */
export type TfRmspropOptions = DefaultsOf<typeof tfRmsprop>;
type Resolved = ResolvedOf<typeof tfRmsprop>;

/** The formula of TensorFlow.js's `RMSPropOptimizer`. */
export class TfRmsprop extends Optimizer<typeof tfRmsprop> {
  static readonly optimizerName: string = tfRmsprop.name;
  static readonly defaults: TfRmspropOptions = defaultsOf(tfRmsprop);

  constructor(params: Params<GroupOptionsOf<typeof tfRmsprop>>, options: TfRmspropOptions = {}) {
    super(tfRmsprop, params, options);
  }

  protected override kernel({ centered }: Resolved): string {
    return centered ? 'tf-rmsprop-centered' : 'tf-rmsprop';
  }

  protected override constants({ lr, alpha, eps, momentum }: Resolved): number[] {
    return [lr, alpha, 1 - alpha, eps, momentum];
  }
}
