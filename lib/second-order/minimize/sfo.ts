import { rangeError, show, typeError } from '../../check/errors.js';
import { checkOptions } from '../../check/options.js';
import type { Evaluate } from '../lbfgs/solver.js';
import { norm, type Vector } from '../linalg.js';
import { NowhereFinite, SumOfModels } from '../sfo/model.js';
import { Random } from '../sfo/random.js';
import { checkSettings, type SFOHyperParameters, sfoOptionNames } from '../sfo/settings.js';
import { Budget, Interruption } from './budget.js';
import {
  type CommonOptions,
  checkCommon,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  type MinimizeResult,
  termsOptionNames,
} from './method.js';
import { evaluateAll, evaluateTerm, isFinitePoint } from './objective.js';

const who = 'minimize';

/** Options of `minimize` with method 'sfo'. */
export interface SFOMethodOptions<T extends Vector = Vector> extends CommonOptions<T>, SFOHyperParameters {
  readonly method: 'sfo';
}

/** SFO on the terms of a sum. */
export const bySfo: Method = ({ fn, x0, make, N }, options) => {
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
  if (x0.length === 0) throw rangeError(who, 'x0', 'length 0', 'an element at least');

  const budget = new Budget(maxEvaluations, signal);
  const x = new make(x0.length);
  const grad = new make(x0.length);
  const evaluate =
    (i: number): Evaluate =>
    (theta, into) => {
      budget.spend();
      x.set(theta);
      const value = evaluateTerm(who, fn, i, x, grad);
      if (!isFinitePoint(value, grad)) budget.nonFinite++;
      into.set(grad);
      return value;
    };
  const model = new SumOfModels(Float64Array.from(x0), N, settings, new Random(seed, 'sfo'), make === Float32Array);
  let iterations = 0;
  let passes = 0;

  /** A step that has failed may end some evaluations after a pass. */
  const reportPasses = (): void => {
    for (; passes < Math.floor(budget.evaluations / N); passes++) onPass?.(make.from(model.theta));
  };

  const run = (): MinimizeReason => {
    while (iterations < maxIterations) {
      const { value, gradNorm } = model.step(evaluate);
      iterations++;
      const progress = { iteration: iterations, value, gradNorm, evaluations: budget.evaluations };
      const wantsEnd = callback?.({ ...progress, x: make.from(model.theta) });
      reportPasses();
      if (wantsEnd === true) return 'aborted';
    }
    return 'iterations';
  };

  let reason: MinimizeReason;
  try {
    reason = run();
  } catch (error) {
    if (error instanceof Interruption) reason = error.reason;
    else if (error instanceof NowhereFinite) reason = 'non-finite';
    else throw error;
    reportPasses();
  }
  // The steps have seen one term at a time, and never the last point: it is looked at once, unless the signal forbids it.
  const isMeasured = signal?.aborted !== true;
  const all = evaluateAll(who, fn, x0.length, make);
  let measured = 0;
  const measure = (theta: Float64Array): number => {
    x.set(theta);
    measured += N;
    return all(x, grad);
  };
  let value = isMeasured ? measure(model.theta) : Number.NaN;
  if (isMeasured && !isFinitePoint(value, grad)) {
    // It was a jump too far, which the next step would have taken back.
    budget.nonFinite++;
    value = measure(model.before);
  } else x.set(model.theta);
  return {
    x: x.slice(),
    value,
    gradNorm: isMeasured ? norm(grad) : Number.NaN,
    iterations,
    evaluations: budget.evaluations + measured,
    nonFinite: budget.nonFinite,
    converged: false,
    reason,
  } satisfies MinimizeResult;
};
