import { rangeError, show, typeError } from '../check/errors.js';
import { checkFunction, checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { checkLength } from '../check/typed-array.js';
import type { Scalar } from '../core/declaration.js';
import { collect, type ParamTree } from '../core/params.js';
import type { StateDict } from '../core/state-dict.js';
import { groupsOf } from './tunable.js';

/** Options of {@link lrRangeTest}. */
export interface LrRangeTestOptions {
  /** The first lr. (0, inf), default 1e-7. */
  readonly from?: number | undefined;
  /** The last lr. Above `from`, default 10. */
  readonly to?: number | undefined;
  /** Steps from the one to the other. An integer in [3, inf), default 100. */
  readonly steps?: number | undefined;
}

/** What {@link lrRangeTest} finds. */
export interface LrRange {
  /** The lr of each step taken. */
  readonly lrs: number[];
  /** What `trainStep` returned at each; the last one may be NaN or an infinity. */
  readonly losses: number[];
  /** The lr at which the loss fell fastest; NaN if it fell nowhere. */
  readonly suggestion: number;
}

/** What the test needs of an optimizer. */
interface Tunable {
  readonly paramGroups: readonly { readonly params: ParamTree; lr: Scalar | undefined }[];
  stateDict(): StateDict;
  loadStateDict(dict: StateDict): void;
}

/** How much of the smoothed loss each step keeps; as a mean over the last ten. */
const smoothing = 0.9;

/**
 * Finds a learning rate: trains for a few steps while lr grows from very small to too large, and looks where the loss
 * falls fastest. All groups get the same lr. Weights, optimizer state, step counts, `emaParams` and the lr settings are
 * put back afterwards, bit for bit, also when `trainStep` throws or rejects.
 *
 * Formula: lrᵢ = from·(to/from)^(i/(steps−1)), i = 0, 1, …. Stops after a loss that is not finite, or once the smoothed
 * loss lies more than 3·|best| above its best, which is 4 times the best for a positive loss. Smoothed: the moving
 * average with decay 0.9, corrected for its start.
 *
 * The suggestion is where the line that fits the loss over log lr best, through a tenth of the steps, falls most
 * steeply, before those lines are at their lowest (beyond, a blown-up loss may fall again). The line smooths and
 * differentiates at once and does not lag, as a moving average would: that shifts the suggestion towards an lr that is
 * too large. fastai's other rule, the middle of the longest valley, depends on how long the flat parts are that `from`
 * and `to` include.
 *
 * @param optimizer is stepped by `trainStep`; afterwards it is as before
 * @param trainStep (i) => loss: takes one step of training, number i, with the optimizer, and returns the loss, or a
 *   Promise of it. What it changes besides, such as the place in the data, is its own to put back.
 * @param options `from`, `to`, `steps`: {@link LrRangeTestOptions}
 * @returns `lrs`, `losses`, `suggestion`: {@link LrRange}; a Promise of it if `trainStep` returns one
 * @throws TypeError for another type, an unknown option or a loss that is no number, RangeError out of range; and what
 *   `trainStep` throws
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
  checkFunction(who, 'trainStep', trainStep, 'a function, (i) => loss');
  checkOptions(who, options, ['from', 'to', 'steps']);
  const { from = 1e-7, to = 10, steps = 100 } = options as LrRangeTestOptions;
  checkNumber(who, 'from', from, '(0, inf)');
  checkNumber(who, 'to', to, '(0, inf)');
  if (to <= from) throw rangeError(who, 'to', show(to), `more than from, ${from}`);
  checkInteger(who, 'steps', steps, '[3, inf)');

  const run = test(who, optimizer, trainStep, geometric(from, to, steps));
  let turn = run.next(Number.NaN);
  while (!turn.done) {
    if (isThenable(turn.value)) return finish(run, turn.value);
    turn = run.next(turn.value);
  }
  return turn.value;
}

/** A run that hands out what `trainStep` returned and is handed the loss: the same for plain losses and for Promises. */
type Run = Generator<number | PromiseLike<number>, LrRange, number>;

async function finish(run: Run, first: PromiseLike<number>): Promise<LrRange> {
  let turn: ReturnType<Run['next']> = { done: false, value: first };
  while (!turn.done) {
    let loss: number;
    try {
      loss = await turn.value;
    } catch (error) {
      turn = run.throw(error);
      continue;
    }
    turn = run.next(loss);
  }
  return turn.value;
}

function* test(
  who: string,
  optimizer: Tunable,
  trainStep: (i: number) => number | PromiseLike<number>,
  all: readonly number[],
): Run {
  const restore = remember(who, optimizer);
  const lrs: number[] = [];
  const losses: number[] = [];
  let average = 0;
  let weight = 0;
  let best = Number.POSITIVE_INFINITY;
  try {
    for (const [i, lr] of all.entries()) {
      for (const group of optimizer.paramGroups) group.lr = lr;
      const loss = yield trainStep(i);
      if (typeof loss !== 'number') throw typeError(who, `trainStep(${i})`, show(loss), 'the loss, a number');
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
  return { lrs, losses, suggestion: suggest(lrs, losses, all.length) };
}

/** Copies what a test changes; the function returned puts it back. */
function remember(who: string, optimizer: Tunable): () => void {
  const groups = optimizer.paramGroups;
  const weights = collect(who, groups, 0, 0).flatMap(({ tensors }) =>
    tensors.map(({ data, path }) => ({ data, path, copy: data.slice() })),
  );
  const lrs = groups.map(({ lr }) => lr);
  const state = optimizer.stateDict();
  return () => {
    for (const { data, path, copy } of weights) {
      checkLength(who, path, data, copy.length);
      data.set(copy);
    }
    // A Schedule is not part of the state.
    for (const [i, group] of groups.entries()) group.lr = lrs[i];
    optimizer.loadStateDict(state);
  };
}

/** `steps` numbers from `from` to `to`, each the same multiple of the one before. */
function geometric(from: number, to: number, steps: number): number[] {
  const [low, high] = [Math.log(from), Math.log(to)];
  const between = Array.from({ length: steps - 2 }, (_, i) => Math.exp(low + ((high - low) * (i + 1)) / (steps - 1)));
  return [from, ...between, to];
}

/** The lr at which the local line through the losses falls most steeply, down to its lowest point; NaN if it never falls. */
function suggest(lrs: readonly number[], losses: readonly number[], steps: number): number {
  const count = losses.length - (Number.isFinite(losses.at(-1)) ? 0 : 1);
  const half = Math.min(Math.max(1, Math.round(steps / 20)), Math.floor((count - 1) / 2));
  if (half < 1) return Number.NaN;
  const lines = lrs.slice(half, count - half).map((lr, i) => ({ lr, ...line(losses, i + half, half) }));
  const lowest = lines.reduce((best, here) => (here.mean < best.mean ? here : best));
  const steepest = lines
    .slice(0, lines.indexOf(lowest) + 1)
    .reduce((best, here) => (here.slope < best.slope ? here : best));
  return steepest.slope < 0 ? steepest.lr : Number.NaN;
}

/** The least-squares line through 2·half + 1 points around i: its height there, and its slope but for a constant factor. */
function line(losses: readonly number[], i: number, half: number): { readonly mean: number; readonly slope: number } {
  let sum = losses[i] as number;
  let slope = 0;
  // In pairs around the middle, so that a level loss gives a slope of 0 exactly.
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
