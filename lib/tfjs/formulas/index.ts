// TensorFlow.js's own formulas under its own names, for `schuss/tfjs` only.
import type { Declaration } from '../../core/declaration.js';
import type { OptimizerClass } from '../../optimizers/index.js';
import { TfAdadelta, tfAdadelta } from './adadelta.js';
import { TfAdagrad, tfAdagrad } from './adagrad.js';
import { TfAdam, tfAdam } from './adam.js';
import { TfAdamax, tfAdamax } from './adamax.js';
import { TfRmsprop, tfRmsprop } from './rmsprop.js';
import { TfMomentum, TfSgd, tfMomentum, tfSgd } from './sgd.js';

/** Each class with its declaration. */
export const classes = [
  [TfSgd, tfSgd],
  [TfMomentum, tfMomentum],
  [TfAdagrad, tfAdagrad],
  [TfAdadelta, tfAdadelta],
  [TfAdam, tfAdam],
  [TfAdamax, tfAdamax],
  [TfRmsprop, tfRmsprop],
] as unknown as readonly (readonly [OptimizerClass, Declaration])[];
