export type { ClosureStepLimits } from './closure-limits.js';
export { HessianFree, type HessianFreeResult } from './hessian-free/hessian-free.js';
export type { HessianFreeFunctions, HessianFreeOptions } from './hessian-free/options.js';
export { type GaussNewtonParts, gaussNewtonProduct } from './hessian-free/product.js';
export type { HessianFreeHyperParameters } from './hessian-free/settings.js';
export type { HessianFreeParamState, HessianFreeStateDict } from './hessian-free/state-dict.js';
export { LBFGS, type LBFGSResult } from './lbfgs/lbfgs.js';
export type { LBFGSOptions } from './lbfgs/options.js';
export type { Vector } from './linalg.js';
export {
  type CheckGradientOptions,
  checkGradient,
  type GradientReport,
} from './minimize/check-gradient.js';
export type { MinimizeTolerances } from './minimize/descent.js';
export type { StepsMethodOptions } from './minimize/first-order.js';
export type { HessianFreeMethodOptions, HessianFreeProgress } from './minimize/hessian-free.js';
export type { LBFGSMethodOptions } from './minimize/lbfgs.js';
export type {
  Answer as MinimizeAnswer,
  CommonOptions as MinimizeCommonOptions,
  MinimizeProgress,
  MinimizeReason,
  MinimizeResult,
} from './minimize/method.js';
export {
  type HessianFreeAsyncOptions,
  type MinimizeAsyncOptions,
  type MinimizeOptions,
  minimize,
  minimizeAsync,
  type StepsMethod,
} from './minimize/minimize.js';
export type { AsyncObjective, AsyncTerms, Objective, Terms } from './minimize/objective.js';
export type { SFOMethodOptions } from './minimize/sfo.js';
export type { SFOHyperParameters } from './sfo/settings.js';
export { SFO, type SFOOptions, type SFOResult } from './sfo/sfo.js';
export type { SFOModelState, SFOParamState, SFOStateDict } from './sfo/state-dict.js';
export type { TermsDict as SFOTermsState } from './sfo/terms-dict.js';
