import { rangeError, show, typeError } from '../check/errors.js';
import { checkFunction, checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { checkLength, copyInto, lengthOf } from '../check/typed-array.js';
import { collect } from '../core/collect.js';
import type { Scalar } from '../core/declaration.js';
import { resetState } from '../core/internals.js';
import type { ParamTree } from '../core/params.js';
import type { StateDict } from '../core/state-dict.js';
import { engine } from '../engine/backend.js';
import { copyFloats } from '../engine/memory.js';
import { FTRL } from '../optimizers/ftrl.js';
import { Rprop } from '../optimizers/rprop.js';
import { groupsOf, innerOptimizer } from './param-groups.js';

/** Options of {@link lrRangeTest}. */
export interface LrRangeTestOptions {
  /** The lr of the first step. (0, inf), default 1e-7. */
  readonly from?: number | undefined;
  /** The lr of the last step. (from, inf), default 10. */
  readonly to?: number | undefined;
  /** Number of steps. An integer in [3, inf), default 100. */
  readonly steps?: number | undefined;
}

/** Result of {@link lrRangeTest}. */
export interface LrRange {
  /** The lr of each step taken. */
  readonly lrs: number[];
  /** The loss of each step taken. The last one may be NaN or an infinity. */
  readonly losses: number[];
  /** The lr at which the loss fell fastest. NaN if it never fell. */
  readonly suggestion: number;
}

/** The part of an optimizer that the test uses. */
interface Tunable {
  readonly paramGroups: readonly { readonly params: ParamTree; lr: Scalar | undefined }[];
  stateDict(): StateDict;
  loadStateDict(dict: StateDict): void;
}

/** Decay of the moving average of the loss. 0.9 averages over about ten steps. */
const smoothing = 0.9;

/**
 * Finds a learning rate. Trains for some steps while lr grows from very small to too large, and finds the lr at which
 * the loss falls fastest. All param groups get the same lr. Afterwards weights, optimizer state, step counts,
 * `emaParams` and lr settings are restored, bit for bit, even if `trainStep` throws or rejects.
 *
 * The test starts with the state and the step count of a new optimizer. Momentum from earlier training would move the
 * weights far, even at the smallest lr. The state of `FTRL` and `Rprop` starts anew for each lr, because it depends on
 * the lr that it started with.
 *
 * Formula: lrᵢ = from·(to/from)^(i/(steps−1)), i = 0, 1, …. The test stops after a loss that is not finite, or when the
 * smoothed loss exceeds its minimum by more than 3·|minimum|. For a positive loss, that is 4 times the minimum. The
 * smoothed loss is a moving average with decay 0.9 and bias correction.
 *
 * The suggestion comes from least-squares lines of the loss over log lr, each through about a tenth of the steps. It is
 * the lr of the steepest falling line. Lines beyond the one with the lowest mean do not count, because a diverged loss
 * may fall again. A line smooths and differentiates at once. A moving average would lag, which shifts the suggestion
 * towards an lr that is too large. fastai's other rule, the middle of the longest valley, depends on the lengths of the
 * flat parts between `from` and `to`.
 *
 * @param optimizer the optimizer that `trainStep` steps. Afterwards it is as before.
 * @param trainStep (i) => loss: runs training step i = 0, 1, … with the optimizer and returns the loss, or a Promise of
 *   it. It must restore anything else that it changes, such as the position in the data, and await each `stepAsync`.
 * @param options `from` (1e-7, (0, ∞)), `to` (10, (from, ∞)), `steps` (100, [3, ∞)): {@link LrRangeTestOptions}
 * @returns `lrs`, `losses`, `suggestion`: {@link LrRange}; a Promise of it if `trainStep` returns a Promise
 * @throws TypeError for a wrong type, an unknown option or a loss that is not a number; RangeError for a value out of
 *   range; and whatever `trainStep` throws
 * @see Smith 2017, section 3.3, https://arxiv.org/abs/1506.01186; fastai's lr_find
 * @example
 * ```ts
 * import { lrRangeTest, SGD } from 'schuss';
 *
 * const w = new Float32Array([3]);
 * const sgd = new SGD(w, { lr: 1 });
 * const { lrs, losses, suggestion } = lrRangeTest(sgd, () => {
 *   const loss = w[0] ** 2;
 *   sgd.step(new Float32Array([2 * w[0]]));
 *   return loss;
 * }, { from: 1e-5, to: 10, steps: 100 });
 * suggestion > 0.01 && suggestion < 1; // true
 * w[0]; // 3
 * sgd.stepCount; // 0
 * ```
 */
export function lrRangeTest(
  optimizer: Tunable,
  trainStep: (i: number) => number,
  options?: LrRangeTestOptions,
): LrRange;
export function lrRangeTest(
  optimizer: Tunable,
  trainStep: (i: number) => PromiseLike<number>,
  options?: LrRangeTestOptions,
): Promise<LrRange>;
export function lrRangeTest(
  optimizer: Tunable,
  trainStep: (i: number) => number | PromiseLike<number>,
  options?: LrRangeTestOptions,
): LrRange | Promise<LrRange>;
export function lrRangeTest(
  optimizer: Tunable,
  trainStep: (i: number) => number | PromiseLike<number>,
  options: LrRangeTestOptions = {},
): LrRange | Promise<LrRange> {
  const who = 'lrRangeTest';
  groupsOf(who, optimizer);
  innerOptimizer(who, optimizer);
  checkFunction(who, 'trainStep', trainStep, 'a function, (i) => loss');
  checkOptions(who, options, ['from', 'to', 'steps']);
  const { from = 1e-7, to = 10, steps = 100 } = options as LrRangeTestOptions;
  checkNumber(who, 'from', from, '(0, inf)');
  checkNumber(who, 'to', to, '(0, inf)');
  if (to <= from) throw rangeError(who, 'to', show(to), `more than from, ${from}`);
  checkInteger(who, 'steps', steps, '[3, inf)');

  const run = sweep(who, optimizer, trainStep, { from, to, steps });
  let next = run.next(Number.NaN);
  while (!next.done) {
    if (isThenable(next.value)) return finishAsync(run, next.value);
    next = run.next(next.value);
  }
  return next.value;
}

/** Yields each result of `trainStep` and receives the loss. So one body serves both plain losses and Promises. */
type Run = Generator<number | PromiseLike<number>, LrRange, number>;

async function finishAsync(run: Run, first: PromiseLike<number>): Promise<LrRange> {
  let next: ReturnType<Run['next']> = { done: false, value: first };
  while (!next.done) {
    let loss: number;
    try {
      loss = await next.value;
    } catch (error) {
      next = run.throw(error);
      continue;
    }
    next = run.next(loss);
  }
  return next.value;
}

/** The learning rates to try. */
type Sweep = Readonly<Required<{ [K in keyof LrRangeTestOptions]: number }>>;

/** Trains one step at each lr, then restores the optimizer. */
function* sweep(
  who: string,
  optimizer: Tunable,
  trainStep: (i: number) => number | PromiseLike<number>,
  swept: Sweep,
): Run {
  const restore = snapshot(who, optimizer);
  const inner = innerOptimizer(who, optimizer);
  const startsWithLr = inner instanceof FTRL || inner instanceof Rprop;
  const lrs: number[] = [];
  const losses: number[] = [];
  let average = 0;
  let weight = 0;
  let best = Number.POSITIVE_INFINITY;
  try {
    let i = 0;
    for (const lr of geometric(swept)) {
      // Their state depends on the lr that it started with: z of FTRL would scale the weights, Rprop would ignore lr.
      if (i === 0 || startsWithLr) resetState(inner);
      for (const group of optimizer.paramGroups) group.lr = lr;
      const loss = yield trainStep(i);
      if (typeof loss !== 'number') throw typeError(who, `trainStep(${i})`, show(loss), 'the loss, a number');
      i++;
      lrs.push(lr);
      losses.push(loss);
      average = smoothing * average + (1 - smoothing) * loss;
      weight = smoothing * weight + (1 - smoothing);
      const smoothed = average / weight;
      best = Math.min(best, smoothed);
      if (!Number.isFinite(loss) || smoothed > best + 3 * Math.abs(best)) break;
    }
  } finally {
    restore();
  }
  return { lrs, losses, suggestion: suggest(lrs, losses, swept.steps) };
}

/** Copies everything that the test changes. Returns a function that restores it. */
function snapshot(who: string, optimizer: Tunable): () => void {
  const groups = optimizer.paramGroups;
  const weights = collect(who, groups, 0, 0).flatMap(({ tensors }) =>
    tensors.map(({ data, path }) => ({ data, path, copy: copyFloats(engine(), data) })),
  );
  const lrs = groups.map(({ lr }) => lr);
  const state = optimizer.stateDict();
  return () => {
    // The state does not hold Schedules, so restore lr first.
    for (const [i, group] of groups.entries()) group.lr = lrs[i];
    optimizer.loadStateDict(state);
    const whole = weights.filter(({ data, copy }) => lengthOf(data) === copy.length);
    for (const { data, copy } of whole) copyInto(data, copy);
    for (const { data, path, copy } of weights) checkLength(who, path, data, copy.length);
  };
}

/**
 * `steps` numbers from `from` to `to` with a constant ratio. One at a time, because most sweeps end long before `to`.
 */
function* geometric({ from, to, steps }: Sweep): Generator<number, void> {
  const [low, high] = [Math.log(from), Math.log(to)];
  yield from;
  for (let i = 1; i < steps - 1; i++) yield Math.exp(low + ((high - low) * i) / (steps - 1));
  yield to;
}

/**
 * The lr at which the local line falls most steeply, up to the line with the lowest mean. NaN if the loss never falls.
 */
function suggest(lrs: readonly number[], losses: readonly number[], steps: number): number {
  const count = losses.length - (Number.isFinite(losses.at(-1)) ? 0 : 1);
  const half = Math.min(Math.max(1, Math.round(steps / 20)), Math.floor((count - 1) / 2));
  if (half < 1) return Number.NaN;
  const lines = lrs.slice(half, count - half).map((lr, i) => ({ lr, ...fitLine(losses, i + half, half) }));
  const lowest = lines.reduce((best, here) => (here.mean < best.mean ? here : best));
  const steepest = lines
    .slice(0, lines.indexOf(lowest) + 1)
    .reduce((best, here) => (here.slope < best.slope ? here : best));
  return steepest.slope < 0 ? steepest.lr : Number.NaN;
}

/** The least-squares line through 2·half + 1 losses around i: its mean, and its slope up to a constant factor. */
function fitLine(
  losses: readonly number[],
  i: number,
  half: number,
): { readonly mean: number; readonly slope: number } {
  let sum = losses[i] as number;
  let slope = 0;
  // Summed in pairs around the middle, so that a constant loss has a slope of exactly 0.
  for (let k = 1; k <= half; k++) {
    const [before, after] = [losses[i - k] as number, losses[i + k] as number];
    sum += before + after;
    slope += k * (after - before);
  }
  return { mean: sum / (2 * half + 1), slope };
}

function isThenable(value: unknown): value is PromiseLike<number> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
