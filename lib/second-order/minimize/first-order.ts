import { typeError } from '../../check/errors.js';
import { checkInteger, checkNumber } from '../../check/options.js';
import { createOptimizer } from '../../optimizers/index.js';
import { Budget, Interruption, isFinitePoint } from '../evaluation.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { Random } from '../sfo/random.js';
import {
  type CommonOptions,
  checkCommon,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  termsOptionNames,
} from './method.js';
import { evaluateAll, evaluateTerm, type Terms } from './objective.js';

const who = 'minimize';

/** Options of `minimize` with a first-order method. The options of the method's class (`lr`, …) are also allowed. */
export interface StepsMethodOptions<T extends Vector = Vector> extends CommonOptions<T> {
  /** With one function: the run ends when max |gᵢ| is at most this. [0, inf), default 1e-8. */
  readonly gradTol?: number | undefined;
  /** With terms: seed of their random order in each pass. An integer in [0, 2^32), default 0. */
  readonly seed?: number | undefined;
}

/** Yields the terms pass by pass, each pass in a new random order. */
function* shuffledPasses(N: number, seed: number): Generator<number, never> {
  const random = new Random(seed, 'terms');
  for (;;) yield* random.permutation(N);
}

/** Runs a first-order optimizer: one step for each term, or for the one function. */
export const minimizeFirstOrder: Method = ({ fn, x0, VectorType, N }, options) => {
  const known = [...commonOptionNames, 'gradTol', ...(N === undefined ? [] : ['seed', ...termsOptionNames])];
  // The other options belong to the class, which refuses unknown ones.
  const common = Object.fromEntries(Object.entries(options).filter(([option]) => known.includes(option)));
  const classOptions = Object.fromEntries(Object.entries(options).filter(([option]) => !known.includes(option)));
  const method = options['method'] as string;
  const { callback, signal, onPass, ...limits } = checkCommon(common, N, 10);
  const { maxIterations = N === undefined ? 1000 : Number.POSITIVE_INFINITY, maxEvaluations } = limits;
  const { gradTol = 1e-8, seed = 0 } = common as StepsMethodOptions;
  checkNumber(who, 'gradTol', gradTol, '[0, inf)');
  checkInteger(who, 'seed', seed, '[0, 4294967296)');
  if (VectorType !== Float32Array)
    throw typeError(
      who,
      'x0',
      `Float64Array(${x0.length})`,
      'a Float32Array',
      `method "${method}" computes in float32`,
    );

  const x = Float32Array.from(x0);
  const grad = new Float32Array(x.length);
  const optimizer = createOptimizer(method, x, classOptions);
  const terms: Terms = typeof fn === 'function' ? { N: 1, f: (_, x, grad) => fn(x, grad) } : fn;
  const budget = new Budget(maxEvaluations, signal);
  const lastGood = x.slice();
  let iterations = 0;

  const run = (): MinimizeReason => {
    for (const i of shuffledPasses(terms.N, seed)) {
      if (iterations >= maxIterations) return 'iterations';
      budget.spend();
      const value = evaluateTerm(terms, i, x, grad);
      if (!isFinitePoint(value, grad)) {
        budget.nonFinite++;
        x.set(lastGood);
        return 'non-finite';
      }
      lastGood.set(x);
      if (N === undefined && maxAbs(grad) <= gradTol) return 'gradient';
      optimizer.step(grad);
      iterations++;
      const progress = { iteration: iterations, value, gradNorm: norm(grad), evaluations: budget.evaluations };
      const isStopped = callback?.({ ...progress, x: x.slice() });
      if (N !== undefined && iterations % N === 0) onPass?.(x.slice());
      if (isStopped === true) return 'aborted';
    }
    return 'evaluations';
  };

  let reason: MinimizeReason;
  try {
    reason = run();
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    reason = error.reason;
  } finally {
    optimizer.dispose();
  }
  // The steps have evaluated one term at a time, and never at the last point. So evaluate all terms at the last point,
  // unless the run was aborted.
  const isMeasured = signal?.aborted !== true;
  const value = isMeasured ? evaluateAll(fn, x.length, VectorType)(x, grad) : Number.NaN;
  return {
    x,
    value,
    gradNorm: isMeasured ? norm(grad) : Number.NaN,
    iterations,
    evaluations: budget.evaluations + (isMeasured ? terms.N : 0),
    nonFinite: budget.nonFinite,
    converged: reason === 'gradient',
    reason,
  };
};
