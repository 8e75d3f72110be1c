import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  kernel,
  type OptionsOf,
  type ResolvedOf,
} from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Params } from '../core/params.js';

const f = Math.fround;

export const tfAdagrad = {
  name: 'AdagradOptimizer',
  about: "TensorFlow.js's AdaGrad: eps inside the root, the sum starts at 0.1",
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adagrad_optimizer.ts',
  formula: ['s ← s + g²', 'w ← w − η·g / √(s + ε)'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '(-inf, inf)', about: 'learning rate' },
    /** Added inside the root. */
    eps: { default: 1e-7, range: '[0, inf)', about: 'added inside the root' },
    /** What the sum of squares starts at. */
    initialAccumulatorValue: { default: 0.1, range: '[0, inf)', fixed: true, about: 'what the sum starts at' },
    /** L2 penalty. */
    weightDecay: { default: 0, range: '[0, inf)', about: 'L2 penalty' },
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
export type TfAdagradOptions = OptionsOf<typeof tfAdagrad>;
type Now = ResolvedOf<typeof tfAdagrad>;

/** TensorFlow.js's `AdagradOptimizer`. */
export class TfAdagrad extends Optimizer<typeof tfAdagrad> {
  static readonly optimizerName: string = tfAdagrad.name;
  static readonly defaults: TfAdagradOptions = defaultsOf(tfAdagrad);

  constructor(params: Params<GroupOptionsOf<typeof tfAdagrad>>, options: TfAdagradOptions = {}) {
    super(tfAdagrad, params, options);
  }

  protected override initial(_name: string, { initialAccumulatorValue }: Now): number {
    return initialAccumulatorValue;
  }

  protected override constants({ lr, eps }: Now): number[] {
    return [lr, eps];
  }
}
