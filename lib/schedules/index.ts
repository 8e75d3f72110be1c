export { multiply, perEpoch, type SequenceOptions, sequence } from './compose.js';
export { type CosineOptions, type CosineWarmRestartsOptions, cosine, cosineWarmRestarts } from './cosine.js';
export { type CycleShape, type CyclicMomentumOptions, type CyclicOptions, cyclic, cyclicMomentum } from './cyclic.js';
export {
  constant,
  type ExponentialDecayOptions,
  exponentialDecay,
  type InverseTimeDecayOptions,
  inverseTimeDecay,
  type LinearOptions,
  linear,
  type PiecewiseFactorOptions,
  type PiecewiseValuesOptions,
  type PolynomialOptions,
  piecewiseConstant,
  polynomial,
  type StepDecayOptions,
  stepDecay,
} from './decay.js';
export { multiplicative } from './multiplicative.js';
export { type NesterovMomentumOptions, nesterovMomentum } from './nesterov-momentum.js';
export {
  type OneCycleMomentumOptions,
  type OneCycleOptions,
  type OneCycleShape,
  oneCycle,
  oneCycleMomentum,
} from './one-cycle.js';
export { type SwaAnnealingOptions, swaAnnealing } from './swa-annealing.js';
export { type WarmupOptions, type WarmupStableDecayOptions, warmup, warmupStableDecay } from './warmup.js';
