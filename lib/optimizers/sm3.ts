import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

// All four kernels share one list, because a group may hold params with and without a shape.
const constantNames = ['lr', 'momentum', 'oneMinusMomentum', 'eps'] as const;
type Constants = readonly [lr: number, momentum: number, oneMinusMomentum: number, eps: number];

const accumulate = (grad: number, rowMax: number, colMax: number): number =>
  f((rowMax < colMax ? rowMax : colMax) + f(grad * grad));

/** 0 where the accumulator is 0. It is never negative, so what is left of the other values is NaN. */
function direction([, , , eps]: Constants, grad: number, accumulator: number): number {
  return accumulator > 0 ? f(grad / f(Math.sqrt(f(accumulator + eps)))) : accumulator;
}

function step([lr]: Constants, param: number, u: number): number {
  return param - f(lr * u);
}

function stepWithMomentum(
  [lr, momentum, oneMinusMomentum]: Constants,
  param: number,
  u: number,
  expAvg: Float32Array,
  i: number,
): number {
  expAvg[i] = f(momentum * expAvg[i]!) + f(oneMinusMomentum * u);
  return param - f(lr * expAvg[i]!);
}

export const sm3 = {
  name: 'SM3',
  reference:
    'Anil, Gupta, Koren & Singer, "Memory-Efficient Adaptive Optimization", NeurIPS 2019, Algorithm SM3-II, https://arxiv.org/abs/1901.11150',
  formula: [
    'with a shape: a = min(Rᵢ, Cⱼ) + g²;  Rᵢ ← the largest a of its row;  Cⱼ ← the largest a of its column',
    'without: a ← a + g²',
    'u = g/√(a + ε), 0 where a = 0',
    'm ← μ·m + (1−μ)·u;  w ← w − η·m',
  ],
  decay: 'decoupled',
  denseOnly: 'SM3 needs the largest accumulator of each whole column',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 0.1, range: '[0, inf)' },
    /** Decay rate μ of the moving average of the updates; 0 disables it. */
    momentum: { default: 0.9, range: '[0, 1)' },
    /** Added to the accumulator, inside the root. */
    eps: { default: 0, range: '[0, inf)' },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'sm3-factored-momentum': kernel({
      state: ['rowMax', 'colMax', 'expAvg'],
      layout: { rowMax: 'row', colMax: 'column' },
      constants: constantNames,
      accumulated: () => accumulate,
      reference:
        (constants, [rowMax, colMax, expAvg]) =>
        (i, param, grad) =>
          stepWithMomentum(
            constants,
            param,
            direction(constants, grad, accumulate(grad, rowMax[0]!, colMax[i]!)),
            expAvg,
            i,
          ),
    }),
    'sm3-factored': kernel({
      state: ['rowMax', 'colMax'],
      layout: { rowMax: 'row', colMax: 'column' },
      constants: constantNames,
      accumulated: () => accumulate,
      reference:
        (constants, [rowMax, colMax]) =>
        (i, param, grad) =>
          step(constants, param, direction(constants, grad, accumulate(grad, rowMax[0]!, colMax[i]!))),
    }),
    'sm3-momentum': kernel({
      state: ['sum', 'expAvg'],
      constants: constantNames,
      reference:
        (constants, [sum, expAvg]) =>
        (i, param, grad) => {
          sum[i] = sum[i]! + f(grad * grad);
          return stepWithMomentum(constants, param, direction(constants, grad, sum[i]!), expAvg, i);
        },
    }),
    sm3: kernel({
      state: ['sum'],
      constants: constantNames,
      reference:
        (constants, [sum]) =>
        (i, param, grad) => {
          sum[i] = sum[i]! + f(grad * grad);
          return step(constants, param, direction(constants, grad, sum[i]!));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link SM3}. @interface */
export type SM3Options = OptionsOf<typeof sm3>;
type Resolved = ResolvedOf<typeof sm3>;

/**
 * SM3: {@link Adagrad} with one accumulator per row and one per column of a matrix, instead of one per element. The
 * smaller of the two is an upper bound on an element's sum of g².
 *
 * ```
 * w ← w·(1 − η·λ)
 * with a shape: a = min(Rᵢ, Cⱼ) + g²;   Rᵢ ← the largest a of its row;   Cⱼ ← the largest a of its column
 * without:      a ← a + g²
 * u = g/√(a + ε), 0 where a = 0
 * m ← μ·m + (1−μ)·u;   w ← w − η·m
 * ```
 * With a shape of rank 2 or more, `shape[0]` is the number of rows, and the product of the other dimensions is the
 * number of columns. The published code keeps one accumulator for each index of each dimension. A param with a shape of
 * rank 1 is treated as one without a shape. A NaN does not enter R and C, because they would keep it forever. The
 * maxima are those of whole columns, so sparse gradients are rejected.
 *
 * Options: `lr` (η, 0.1, [0, ∞)), `momentum` (μ, 0.9, [0, 1)), `eps` (ε, 0, [0, ∞)), `weightDecay` (λ, 0, [0, ∞),
 * decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `rowMax` (R, one number per row) and `colMax` (C, one per column) of a param with a shape; `sum` (a, one per
 * element) of a param without; `expAvg` (m) with momentum. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Large matrices and embeddings for which Adagrad's state is too large. With `momentum: 0`, the state of a
 * matrix is one number per row and one per column.
 *
 * **Pitfalls:** Only a param with a shape is factored: pass `{ data, shape }`. The accumulators only grow, so steps
 * shrink as in Adagrad. The paper warms lr up and then keeps it constant. Steps do not depend on the scale of the
 * gradients: the first one is about lr·(1−momentum) for every weight with a gradient. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { SM3 } from 'schuss';
 * const w = new Float32Array([1, 1, 1, 1]);
 * const sm3 = new SM3({ data: w, shape: [2, 2] }, { momentum: 0 });
 * sm3.step(new Float32Array([3, 4, 0, 0])); // w is [0.9, 0.9, 1, 1]
 * sm3.stateDict().state[0]; // { step: 1, rowMax: [16, 0], colMax: [9, 16] }
 * ```
 * @see Anil, Gupta, Koren & Singer 2019, Algorithm SM3-II, https://arxiv.org/abs/1901.11150
 */
export class SM3<const P extends ParamsOf<typeof sm3> = AnyParams> extends Optimizer<typeof sm3, P> {
  static readonly optimizerName: string = sm3.name;
  static readonly defaults: DefaultsOf<typeof sm3> = defaultsOf(sm3);

  constructor(params: Given<P, typeof sm3>, options: SM3Options = {}) {
    super(sm3, params, options);
  }

  protected override kernel({ momentum }: Resolved, shape: Shape, has: (state: string) => boolean): string {
    const isMatrix = shape !== undefined && shape.length > 1;
    return `sm3${isMatrix ? '-factored' : ''}${momentum === 0 && !has('expAvg') ? '' : '-momentum'}`;
  }

  protected override constants({ lr, momentum, eps }: Resolved): number[] {
    return [lr, momentum, 1 - momentum, eps];
  }
}
