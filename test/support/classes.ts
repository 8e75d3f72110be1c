import { classes as ours } from '../../lib/optimizers/index.js';
import { classes as tensorflow } from '../../lib/tfjs/formulas/index.js';

/** Every optimizer class with its declaration, those by TensorFlow.js's formulas included. */
export const allClasses = [...ours, ...tensorflow];

/** The declarations of the classes that `schuss` exports. */
export const declarations = ours.map(([, declaration]) => declaration);
