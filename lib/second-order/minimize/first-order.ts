import { typeError } from '../../check/errors.js';
import { checkInteger, checkNumber } from '../../check/options.js';
import { createOptimizer } from '../../optimizers/index.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { Random } from '../sfo/random.js';
import { Budget, Interruption } from './budget.js';
import {
  type CommonOptions,
  checkCommon,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  termsOptionNames,
} from './method.js';
import { evaluateAll, evaluateTerm, isFinitePoint, type Terms } from './objective.js';

const who = 'minimize';

/** Options of `minimize` with a first-order method, beside those of the method's class (`lr`, …). */
export interface StepsMethodOptions<T extends Vector = Vector> extends CommonOptions<T> {
  /** With one function: ends where max |gᵢ| is at most this. [0, inf), default 1e-8. */
  readonly gradTol?: number | undefined;
  /** With terms: chooses the order in which each pass takes them. An integer in [0, 2^32), default 0. */
  readonly seed?: number | undefined;
}

/** The terms of one pass after the other, each in an order of its own. */
function* inRandomOrder(N: number, seed: number): Generator<number, never> {
  const random = new Random(seed, 'terms');
  for (;;) yield* random.permutation(N);
}

/** A first-order optimizer: a step for one term, or for the one function. */
export const bySteps: Method = ({ fn, x0, make, N }, options) => {
  const own = [...commonOptionNames, 'gradTol', ...(N === undefined ? [] : ['seed', ...termsOptionNames])];
  // The rest belongs to the class, which refuses what it does not know.
  const common = Object.fromEntries(Object.entries(options).filter(([option]) => own.includes(option)));
  const others = Object.fromEntries(Object.entries(options).filter(([option]) => !own.includes(option)));
  const method = options['method'] as string;
  const { callback, signal, onPass, ...limits } = checkCommon(common, N, 10);
  const { maxIterations = N === undefined ? 1000 : Number.POSITIVE_INFINITY, maxEvaluations } = limits;
  const { gradTol = 1e-8, seed = 0 } = common as StepsMethodOptions;
  checkNumber(who, 'gradTol', gradTol, '[0, inf)');
  checkInteger(who, 'seed', seed, '[0, 4294967296)');
  if (make !== Float32Array)
    throw typeError(
      who,
      'x0',
      `Float64Array(${x0.length})`,
      'a Float32Array',
      `method "${method}" computes in float32`,
    );

  const x = Float32Array.from(x0);
  const grad = new Float32Array(x.length);
  const optimizer = createOptimizer(method, x, others);
  const terms: Terms = typeof fn === 'function' ? { N: 1, f: (_, at, into) => fn(at, into) } : fn;
  const budget = new Budget(maxEvaluations, signal);
  const good = x.slice();
  let iterations = 0;

  const run = (): MinimizeReason => {
    for (const i of inRandomOrder(terms.N, seed)) {
      if (iterations >= maxIterations) return 'iterations';
      budget.spend();
      const value = evaluateTerm(who, terms, i, x, grad);
      if (!isFinitePoint(value, grad)) {
        budget.nonFinite++;
        x.set(good);
        return 'non-finite';
      }
      good.set(x);
      if (N === undefined && maxAbs(grad) <= gradTol) return 'gradient';
      optimizer.step(grad);
      iterations++;
      const progress = { iteration: iterations, value, gradNorm: norm(grad), evaluations: budget.evaluations };
      const wantsEnd = callback?.({ ...progress, x: x.slice() });
      if (N !== undefined && iterations % N === 0) onPass?.(x.slice());
      if (wantsEnd === true) return 'aborted';
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
  // The steps have seen one term at a time, and never the last point: it is looked at once, unless the signal forbids it.
  const isMeasured = signal?.aborted !== true;
  const value = isMeasured ? evaluateAll(who, fn, x.length, make)(x, grad) : Number.NaN;
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
