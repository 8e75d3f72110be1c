import {
  type Declaration,
  type DefaultsOf,
  defaultsOf,
  type GroupOptionsOf,
  type ResolvedOf,
} from '../../core/declaration.js';
import { Optimizer } from '../../core/optimizer.js';
import type { Params } from '../../core/params.js';
import { sgd } from '../../optimizers/sgd.js';

const { sgd: plain, 'sgd-buffer': buffer, 'sgd-buffer-nesterov': nesterov } = sgd.kernels;

export const tfSgd = {
  name: 'SGDOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/sgd_optimizer.ts',
  formula: ['w ← w − η·g'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '(-inf, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: { sgd: plain },
} as const satisfies Declaration;

export const tfMomentum = {
  name: 'MomentumOptimizer',
  reference: 'https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/momentum_optimizer.ts',
  formula: ['b ← μ·b + g;  w ← w − η·b', 'Nesterov: w ← w − η·(g + μ·b)'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '(-inf, inf)' },
    /** Momentum factor. */
    momentum: { required: true, range: '(-inf, inf)' },
    /** Use Nesterov momentum. */
    nesterov: { default: false },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: { 'sgd-buffer': buffer, 'sgd-buffer-nesterov': nesterov },
} as const satisfies Declaration;

/** Options of {@link TfSgd}. */
export type TfSgdOptions = DefaultsOf<typeof tfSgd>;
type ResolvedSgd = ResolvedOf<typeof tfSgd>;

/** The formula of TensorFlow.js's `SGDOptimizer`. */
export class TfSgd extends Optimizer<typeof tfSgd> {
  static readonly optimizerName: string = tfSgd.name;
  static readonly defaults: TfSgdOptions = defaultsOf(tfSgd);

  constructor(params: Params<GroupOptionsOf<typeof tfSgd>>, options: TfSgdOptions = {}) {
    super(tfSgd, params, options);
  }

  protected override constants({ lr }: ResolvedSgd): number[] {
    return [lr];
  }
}

/** Options of {@link TfMomentum}. */
export type TfMomentumOptions = DefaultsOf<typeof tfMomentum>;
type ResolvedMomentum = ResolvedOf<typeof tfMomentum>;

/** The formula of TensorFlow.js's `MomentumOptimizer`. */
export class TfMomentum extends Optimizer<typeof tfMomentum> {
  static readonly optimizerName: string = tfMomentum.name;
  static readonly defaults: TfMomentumOptions = defaultsOf(tfMomentum);

  constructor(params: Params<GroupOptionsOf<typeof tfMomentum>>, options: TfMomentumOptions = {}) {
    super(tfMomentum, params, options);
  }

  protected override kernel({ nesterov }: ResolvedMomentum): string {
    return nesterov ? 'sgd-buffer-nesterov' : 'sgd-buffer';
  }

  protected override constants({ lr, momentum, nesterov }: ResolvedMomentum): number[] {
    return nesterov ? [lr, momentum, 1] : [lr, momentum, 1, 1];
  }
}
