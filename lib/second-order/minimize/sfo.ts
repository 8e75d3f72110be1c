import { rangeError, show, typeError } from '../../check/errors.js';
import { checkOptions } from '../../check/options.js';
import { type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { norm, type Vector } from '../linalg.js';
import { NonFiniteError, SumOfModels } from '../sfo/model.js';
import { Random } from '../sfo/random.js';
import { checkSettings, checkTermCount, type SFOHyperParameters, sfoOptionNames } from '../sfo/settings.js';
import type { Task } from '../task.js';
import {
  type Answer,
  type CommonOptions,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  RunTools,
  termsOptionNames,
} from './method.js';

/** Options of `minimize` with method 'sfo'. */
export interface SFOMethodOptions<T extends Vector = Vector, A = Answer, P = void>
  extends CommonOptions<T, A, P>,
    SFOHyperParameters {
  readonly method: 'sfo';
}

/** Runs SFO on the terms of a sum. */
export const minimizeSfo: Method = function* (problem, options) {
  const { who, fn, N, x0, VectorType } = problem;
  if (N === undefined) throw typeError(who, 'fn', show(fn), '{ N, f }', 'method "sfo" works on a sum of terms');
  checkOptions(who, options, [...commonOptionNames, ...termsOptionNames, ...sfoOptionNames]);
  const tools = new RunTools(problem, options, 10);
  const { budget, evaluator, maxIterations = Number.POSITIVE_INFINITY } = tools;
  const { seed, ...settings } = checkSettings(who, options as SFOHyperParameters);
  if (x0.length === 0) throw rangeError(who, 'x0', 'length 0', 'at least one element');
  checkTermCount(who, 'fn.N', N, x0.length);

  const x = new VectorType(x0.length);
  const grad = new VectorType(x0.length);
  function* evaluateTerm(i: number, theta: Vector, gradOut: Vector): Task<number> {
    budget.reserve();
    x.set(theta);
    const result = evaluator.one(i, x, grad);
    const value = typeof result === 'number' ? result : yield* result;
    if (!isFinitePoint(value, grad)) budget.nonFinite++;
    gradOut.set(grad);
    return value;
  }
  const evaluate =
    (i: number): Evaluate =>
    (theta, gradOut) =>
      evaluateTerm(i, theta, gradOut);
  const isSingle = VectorType === Float32Array;
  const model = new SumOfModels(Float64Array.from(x0), N, settings, new Random(seed, 'sfo'), isSingle);
  const copy = (): Vector => VectorType.from(model.theta);
  let iterations = 0;
  let passes = 0;

  /**
   * Calls onPass for the passes that have ended. A failed step has several evaluations, so it may end after a pass
   * does.
   */
  function* reportPasses(): Task<void> {
    for (; passes < Math.floor(budget.evaluations / N!); passes++)
      if (tools.reportsPasses) yield* tools.reportPass(copy());
  }

  function* iterate(): Task<MinimizeReason> {
    while (iterations < maxIterations) {
      const { value, gradNorm } = yield* model.step(evaluate);
      iterations++;
      const progress = { iteration: iterations, value, gradNorm, evaluations: budget.evaluations };
      const isStopped = tools.isReported && (yield* tools.report({ ...progress, x: copy() }));
      yield* reportPasses();
      if (isStopped) return 'aborted';
    }
    return 'iterations';
  }

  let reason: MinimizeReason;
  try {
    reason = yield* iterate();
  } catch (error) {
    if (error instanceof Interruption) reason = error.reason;
    else if (error instanceof NonFiniteError) reason = 'non-finite';
    else throw error;
    yield* reportPasses();
  }
  x.set(model.theta);
  const { evaluations } = budget;
  let value = yield* tools.measure(x, grad);
  if (budget.evaluations - evaluations === N && !isFinitePoint(value, grad)) {
    // The last step was too long. The next step would have undone it.
    budget.nonFinite++;
    x.set(model.before);
    value = yield* tools.measure(x, grad);
  }
  return {
    x: x.slice(),
    value,
    gradNorm: norm(grad),
    iterations,
    evaluations: budget.evaluations,
    nonFinite: budget.nonFinite,
    converged: false,
    reason,
  };
};
