import { Random } from '../common/random.js';
import { type MinimizeOptions, minimize } from '../common/schuss.js';
import type { Data } from './data.js';
import type { DescentJob, DescentResult, Settings } from './job.js';
import { methods } from './methods.js';
import { curvatureTerms, meanOf, type Sum, sums, type Vector } from './sums.js';

/** Minimizes a sum of functions, and measures its mean after each pass of work. */
export function descend(job: DescentJob, data: Data, settings: Settings, onPass: () => void = () => {}): DescentResult {
  const { problem, method, passes } = job;
  const sum = sums[problem](data, settings);
  const values =
    method === 'hessianFree'
      ? hessianFree(sum, passes, settings.seed, onPass)
      : byEvaluations(sum, { ...optionsOf(method, job.lr, settings), passes }, onPass);
  for (let pass = values.length; pass <= passes; pass++) onPass();
  return { kind: 'descent', values: values.filter(Number.isFinite) };
}

function optionsOf(
  method: Exclude<DescentJob['method'], 'hessianFree'>,
  lr: number | undefined,
  settings: Settings,
): object {
  const { seed } = settings;
  if (method === 'lbfgs') return { method };
  if (method === 'sfo') return { method, seed };
  return { method: methods[method].key, ...methods[method].options?.(settings), lr, seed };
}

/** A method whose work is evaluations only. */
function byEvaluations({ N, f, start }: Sum, options: object, onPass: () => void): number[] {
  const values = [meanOf({ N, f }, start)];
  // First-order optimizers update float32 params.
  const x0 = 'lr' in options ? Float32Array.from(start) : start;
  minimize<Vector>({ N, f }, x0, {
    ...options,
    onPass(x: Vector) {
      values.push(meanOf({ N, f }, x));
      onPass();
    },
  } as MinimizeOptions<Vector>);
  return values;
}

/**
 * Hessian-free optimization. Its products are over some of the terms, as its paper advises: others in each iteration. It has
 * a new point only after an iteration, which takes several passes; until then, its value is that of the last point.
 */
function hessianFree(sum: Sum, passes: number, seed: number, onPass: () => void): number[] {
  const { N, f, addProduct, productCost, start } = sum;
  const random = new Random(seed, 'curvature');
  const draw = () => random.permutation(N).subarray(0, curvatureTerms);
  let chosen = draw();
  // In gradients of a term.
  let work = 0;
  let mean = meanOf(sum, start);
  const values = [mean];
  const fill = (count: number): void => {
    for (; values.length < count; onPass()) values.push(mean);
  };
  const terms = {
    N,
    f(i: number, x: Vector, grad: Vector) {
      work++;
      return f(i, x, grad);
    },
  };
  minimize<Vector>(terms, start, {
    method: 'hessian-free',
    gaussNewton(x, v, out) {
      work += productCost * chosen.length;
      out.fill(0);
      for (const i of chosen) addProduct(i, x, v, out, N / chosen.length);
    },
    callback({ value }) {
      fill(Math.min(Math.ceil(work / N), passes + 1));
      if (work > passes * N) return true;
      mean = value / N;
      chosen = draw();
      return false;
    },
  });
  fill(Math.min(Math.ceil(work / N), passes) + 1);
  return values;
}
