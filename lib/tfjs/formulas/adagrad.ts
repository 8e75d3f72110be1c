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

export const tfAdagrad = {
  name: 'AdagradOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adagrad_optimizer.ts',
  formula: ['s ← s + g²', 'w ← w − η·g / √(s + ε)'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '(-inf, inf)' },
    /** Added inside the square root. */
    eps: { default: 1e-7, range: '[0, inf)' },
    /** Initial value of the sum of squares. */
    initialAccumulatorValue: { default: 0.1, range: '[0, inf)', fixed: true },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'tf-adagrad': kernel({
      state: ['sum'],
      constants: ['lr', 'eps'],
      reference:
        ([lr, eps], [sum]) =>
        (i, param, grad) => {
          sum[i] = sum[i]! + f(grad * grad);
          return param - f(lr * f(grad / f(Math.sqrt(f(sum[i]! + eps)))));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link TfAdagrad}. */
export type TfAdagradOptions = DefaultsOf<typeof tfAdagrad>;
type Resolved = ResolvedOf<typeof tfAdagrad>;

/** The formula of TensorFlow.js's `AdagradOptimizer`. */
export class TfAdagrad extends Optimizer<typeof tfAdagrad> {
  static readonly optimizerName: string = tfAdagrad.name;
  static readonly defaults: TfAdagradOptions = defaultsOf(tfAdagrad);

  constructor(params: Params<GroupOptionsOf<typeof tfAdagrad>>, options: TfAdagradOptions = {}) {
    super(tfAdagrad, params, options);
  }

  protected override initial(_name: string, { initialAccumulatorValue }: Resolved): number {
    return initialAccumulatorValue;
  }

  protected override constants({ lr, eps }: Resolved): number[] {
    return [lr, eps];
  }
}
