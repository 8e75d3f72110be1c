export { type AveragedWeights, type AverageWeightsOptions, averageWeights } from './average-weights.js';
export { type DistillationOptions, distillationLoss, type Teacher } from './distillation.js';
export { Ensemble, type EnsembleMember, type EnsembleOptions } from './ensemble.js';
export {
  type AverageLogitsOptions,
  type AveragePredictionsOptions,
  averageLogits,
  averagePredictions,
  type MajorityVoteOptions,
  majorityVote,
} from './predictions.js';
export { type EmaOptions, type SwaOptions, WeightAverage, type WeightAverageState } from './weight-average.js';
