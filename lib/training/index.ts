export {
  type AddOptions,
  GradAccumulator,
  type GradAccumulatorOptions,
  type GradAccumulatorState,
} from './accumulate.js';
export { type ClipGradNormOptions, clipGradNorm, clipGradValue } from './clip.js';
export { findNonFinite, type NonFinite } from './find-non-finite.js';
export { type GradNormOptions, gradNorm } from './grad-norm.js';
export { groupBy } from './group-by.js';
export { LossScale, type LossScaleOptions, type LossScaleState, type LossScaleStepOptions } from './loss-scale.js';
export { type LrRange, type LrRangeTestOptions, lrRangeTest } from './lr-range-test.js';
export { ReduceOnPlateau, type ReduceOnPlateauOptions, type ReduceOnPlateauState } from './reduce-on-plateau.js';
