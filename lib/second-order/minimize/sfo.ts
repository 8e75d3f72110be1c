import { rangeError, show, typeError } from '../../check/errors.js';
import { checkOptions } from '../../check/options.js';
import { Budget, type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { norm, type Vector } from '../linalg.js';
import { NonFiniteError, SumOfModels } from '../sfo/model.js';
import { Random } from '../sfo/random.js';
import { checkSettings, type SFOHyperParameters, sfoOptionNames } from '../sfo/settings.js';
import {
  type CommonOptions,
  checkCommon,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  type MinimizeResult,
  termsOptionNames,
} from './method.js';
import { evaluateAll, evaluateTerm } from './objective.js';

const who = 'minimize';

/** Options of `minimize` with method 'sfo'. */
export interface SFOMethodOptions<T extends Vector = Vector> extends CommonOptions<T>, SFOHyperParameters {
  readonly method: 'sfo';
}

/** Runs SFO on the terms of a sum. */
export const minimizeSfo: Method = ({ fn, x0, VectorType, N }, options) => {
  if (typeof fn === 'function' || N === undefined)
    throw typeError(who, 'fn', show(fn), '{ N, f }', 'method "sfo" works on a sum of terms');
  checkOptions(who, options, [...commonOptionNames, ...termsOptionNames, ...sfoOptionNames]);
  const {
    maxIterations = Number.POSITIVE_INFINITY,
    maxEvaluations,
    callback,
    signal,
    onPass,
  } = checkCommon(options, N, 10);
  const { seed, ...settings } = checkSettings(who, options as SFOHyperParameters);
  if (x0.length === 0) throw rangeError(who, 'x0', 'length 0', 'at least one element');

  const budget = new Budget(maxEvaluations, signal);
  const x = new VectorType(x0.length);
  const grad = new VectorType(x0.length);
  const evaluate =
    (i: number): Evaluate =>
    (theta, gradOut) => {
      budget.spend();
      x.set(theta);
      const value = evaluateTerm(fn, i, x, grad);
      if (!isFinitePoint(value, grad)) budget.nonFinite++;
      gradOut.set(grad);
      return value;
    };
  const isSingle = VectorType === Float32Array;
  const model = new SumOfModels(Float64Array.from(x0), N, settings, new Random(seed, 'sfo'), isSingle);
  let iterations = 0;
  let passes = 0;

  /**
   * Calls onPass for the passes that have ended. A failed step has several evaluations, so it may end after a pass
   * does.
   */
  const reportPasses = (): void => {
    for (; passes < Math.floor(budget.evaluations / N); passes++) onPass?.(VectorType.from(model.theta));
  };

  const run = (): MinimizeReason => {
    while (iterations < maxIterations) {
      const { value, gradNorm } = model.step(evaluate);
      iterations++;
      const progress = { iteration: iterations, value, gradNorm, evaluations: budget.evaluations };
      const isStopped = callback?.({ ...progress, x: VectorType.from(model.theta) });
      reportPasses();
      if (isStopped === true) return 'aborted';
    }
    return 'iterations';
  };

  let reason: MinimizeReason;
  try {
    reason = run();
  } catch (error) {
    if (error instanceof Interruption) reason = error.reason;
    else if (error instanceof NonFiniteError) reason = 'non-finite';
    else throw error;
    reportPasses();
  }
  // The steps have evaluated one term at a time, and never at the last point. So evaluate all terms at the last point,
  // unless the run was aborted.
  const isMeasured = signal?.aborted !== true;
  const evaluateSum = evaluateAll(fn, x0.length, VectorType);
  let finalEvaluations = 0;
  const measure = (theta: Float64Array): number => {
    x.set(theta);
    finalEvaluations += N;
    return evaluateSum(x, grad);
  };
  let value = isMeasured ? measure(model.theta) : Number.NaN;
  if (isMeasured && !isFinitePoint(value, grad)) {
    // The last step was too long. The next step would have undone it.
    budget.nonFinite++;
    value = measure(model.before);
  } else x.set(model.theta);
  return {
    x: x.slice(),
    value,
    gradNorm: isMeasured ? norm(grad) : Number.NaN,
    iterations,
    evaluations: budget.evaluations + finalEvaluations,
    nonFinite: budget.nonFinite,
    converged: false,
    reason,
  } satisfies MinimizeResult;
};
