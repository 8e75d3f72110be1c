export { LBFGS, type LBFGSOptions, type LBFGSResult } from './lbfgs.js';
export type {
  CommonOptions as MinimizeCommonOptions,
  MinimizeProgress,
  MinimizeReason,
  MinimizeResult,
} from './method.js';
export { type MinimizeOptions, minimize, type StepsMethod } from './minimize.js';
export type { LBFGSMethodOptions } from './minimize-by-lbfgs.js';
export type { SFOMethodOptions } from './minimize-by-sfo.js';
export type { StepsMethodOptions } from './minimize-by-steps.js';
export type { Objective, Terms } from './objective.js';
export { type GradsOf, SFO, type SFOOptions, type SFOResult } from './sfo.js';
export type { SFOHyperParameters } from './sfo-settings.js';
export type { Vector } from './vector.js';
