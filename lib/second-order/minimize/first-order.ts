import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { type Declaration, optionNamesOf } from '../../core/declaration.js';
import { classes, createOptimizer } from '../../optimizers/index.js';
import { Interruption, isFinitePoint } from '../evaluation.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { Random } from '../sfo/random.js';
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

/** Options of `minimize` with a first-order method. The options of the method's class (`lr`, …) are also allowed. */
export interface StepsMethodOptions<T extends Vector = Vector, A = Answer, P = void> extends CommonOptions<T, A, P> {
  /** With one function: the run ends when max |gᵢ| is at most this. [0, inf), default 1e-8. */
  readonly gradTol?: number | undefined;
  /** With terms: seed of their random order in each pass. An integer in [0, 2^32), default 0. */
  readonly seed?: number | undefined;
}

/** The step of any class. */
interface Stepping {
  step(grad: Float32Array, options?: { readonly loss: number }): unknown;
}

/** Yields the terms pass by pass, each pass in a new random order. */
function* shuffledPasses(N: number, seed: number): Generator<number, never> {
  const random = new Random(seed, 'terms');
  for (;;) yield* random.permutation(N);
}

/** Runs a first-order optimizer: one step for each term, or for the one function. */
export const minimizeFirstOrder: Method = function* (problem, options) {
  const { who, x0, VectorType, N } = problem;
  const known = [...commonOptionNames, 'gradTol', ...(N === undefined ? [] : ['seed', ...termsOptionNames])];
  const method = options['method'] as string;
  const declaration = classes.find(([, { name }]) => name.toLowerCase() === method.toLowerCase())?.[1] as Declaration;
  checkOptions(who, options, [...known, ...optionNamesOf(declaration)]);
  const common = Object.fromEntries(Object.entries(options).filter(([option]) => known.includes(option)));
  const classOptions = Object.fromEntries(Object.entries(options).filter(([option]) => !known.includes(option)));
  const tools = new RunTools(problem, common, 10);
  const { budget, evaluator, maxIterations = N === undefined ? 1000 : Number.POSITIVE_INFINITY } = tools;
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

  // Orders of terms are held in an Int32Array.
  if (N !== undefined && N > 2 ** 31 - 1) throw rangeError(who, 'fn.N', show(N), 'at most 2147483647 terms');

  const x = Float32Array.from(x0);
  const grad = new Float32Array(x.length);
  const optimizer = createOptimizer(method, x, classOptions);
  const lastGood = x.slice();
  let iterations = 0;

  function* iterate(): Task<MinimizeReason> {
    for (const i of shuffledPasses(N ?? 1, seed)) {
      if (iterations >= maxIterations) return 'iterations';
      budget.reserve();
      const result = evaluator.one(i, x, grad);
      const value = typeof result === 'number' ? result : yield* result;
      if (!isFinitePoint(value, grad)) {
        budget.nonFinite++;
        x.set(lastGood);
        return 'non-finite';
      }
      lastGood.set(x);
      if (N === undefined && maxAbs(grad) <= gradTol) return 'gradient';
      (optimizer as Stepping).step(grad, declaration.needsLoss ? { loss: value } : undefined);
      iterations++;
      const progress = { iteration: iterations, value, gradNorm: norm(grad), evaluations: budget.evaluations };
      const isStopped = tools.isReported && (yield* tools.report({ ...progress, x: x.slice() }));
      if (N !== undefined && iterations % N === 0 && tools.reportsPasses) yield* tools.reportPass(x.slice());
      if (isStopped) return 'aborted';
    }
    return 'evaluations';
  }

  let reason: MinimizeReason;
  try {
    reason = yield* iterate();
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    reason = error.reason;
  } finally {
    optimizer.dispose();
  }
  const value = yield* tools.measure(x, grad);
  return {
    x,
    value,
    gradNorm: norm(grad),
    iterations,
    evaluations: budget.evaluations,
    nonFinite: budget.nonFinite,
    converged: reason === 'gradient',
    reason,
  };
};
