import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  type OptionsOf,
  type ResolvedOf,
} from '../../core/declaration.js';
import { Optimizer } from '../../core/optimizer.js';
import type { Params } from '../../core/params.js';
import { kernel } from '../../engine/kernel.js';

const f = Math.fround;

export const tfAdadelta = {
  name: 'AdadeltaOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adadelta_optimizer.ts',
  formula: ['Δ ← g·√(u + ε) / √(s + ε);  s ← ρ·s + (1−ρ)·g²', 'u ← ρ·u + (1−ρ)·Δ²;  w ← w − η·Δ'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '(-inf, inf)' },
    /** Decay rate of the moving averages of g² and Δ². */
    rho: { default: 0.95, range: '[0, 1]' },
    /** Added inside both square roots. With 0, the first step would divide by 0. */
    eps: { default: 1e-7, range: '(0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'tf-adadelta': kernel({
      state: ['squareAvg', 'accDelta'],
      constants: ['lr', 'rho', 'oneMinusRho', 'eps'],
      reference:
        ([lr, rho, oneMinusRho, eps], [squareAvg, accDelta]) =>
        (i, param, grad) => {
          const ratio = f(f(Math.sqrt(f(accDelta[i]! + eps))) / f(Math.sqrt(f(squareAvg[i]! + eps))));
          const delta = f(ratio * grad);
          squareAvg[i] = f(rho * squareAvg[i]!) + f(oneMinusRho * f(grad * grad));
          accDelta[i] = f(rho * accDelta[i]!) + f(oneMinusRho * f(delta * delta));
          return param - f(lr * delta);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link TfAdadelta}. */
export type TfAdadeltaOptions = OptionsOf<typeof tfAdadelta>;
type Resolved = ResolvedOf<typeof tfAdadelta>;

/** The formula of TensorFlow.js's `AdadeltaOptimizer`. */
export class TfAdadelta extends Optimizer<typeof tfAdadelta> {
  static readonly optimizerName: string = tfAdadelta.name;
  static readonly defaults: TfAdadeltaOptions = defaultsOf(tfAdadelta);

  constructor(params: Params<GroupOptionsOf<typeof tfAdadelta>>, options: TfAdadeltaOptions = {}) {
    super(tfAdadelta, params, options);
  }

  protected override constants({ lr, rho, eps }: Resolved): number[] {
    return [lr, rho, 1 - rho, eps];
  }
}
