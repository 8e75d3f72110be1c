// Helpers that read or write arrays of a pending stepAsync are refused until it has ended, and work then.
import { describe, expect, test } from 'vitest';
import {
  clipGradNorm,
  clipGradValue,
  findNonFinite,
  GradAccumulator,
  gradNorm,
  LossScale,
  lrRangeTest,
  SGD,
  WeightAverage,
} from '../../../lib/index.js';
import { type Any, refused } from '../../support/rig.js';
import { pinned, rowsOf } from '../../support/step-async.js';

const start = () => {
  const params = { w: pinned(6, 1), emb: pinned(8, 2) };
  const values = pinned(4, 3);
  const grads = { w: pinned(6, 4), emb: { rows: rowsOf(1, 0), values } };
  const sgd = new SGD(params, { lr: 0.1 });
  return { params, grads, values, sgd };
};

type Rig = ReturnType<typeof start>;

const each: [string, (rig: Rig) => unknown, string?][] = [
  ['clipGradNorm of a gradient', ({ grads }) => clipGradNorm(grads.w, 1)],
  ['clipGradNorm of sparse values', ({ values }) => clipGradNorm([values], 1)],
  ['clipGradNorm of a part', ({ grads }) => clipGradNorm({ part: grads.w.subarray(2, 3) }, 1)],
  ['clipGradNorm of a param', ({ params }) => clipGradNorm(params.w, 1)],
  ['clipGradValue', ({ grads }) => clipGradValue([null, grads.w], 1)],
  ['gradNorm', ({ grads }) => gradNorm(grads.w)],
  ['findNonFinite', ({ grads }) => findNonFinite(grads)],
  ['WeightAverage.update', ({ params }) => average(params).update()],
  ['WeightAverage.swap', ({ params }) => average(params).swap()],
];

const averages = new WeakMap<object, WeightAverage>();
const average = (params: Rig['params']) => averages.get(params)!;

const message = /the memory of a step in flight, expected to await the pending stepAsync\(\) first/;

describe('while a step is pending', () => {
  test.each(each)('%s is refused, and works afterwards', async (_, call) => {
    const rig = start();
    const ema = new WeightAverage(rig.params, { decay: 0.5 });
    ema.update();
    averages.set(rig.params, ema);
    const twin = start();
    const pending = rig.sgd.stepAsync(rig.grads);
    refusedHere(() => call(rig));
    await pending;
    twin.sgd.step(twin.grads);
    expect(rig.params).toEqual(twin.params);
    expect([rig.grads.w, rig.values]).toEqual([twin.grads.w, twin.values]);
    call(rig);
  });

  test('GradAccumulator: its sums and the gradients that it adds', async () => {
    const w = pinned(6, 1);
    const sgd = new SGD({ w }, { lr: 0.1 });
    const sum = new GradAccumulator({ w });
    const grad = pinned(6, 2);
    sum.add({ w: grad });
    const sums = sum.grads as Any;
    let pending = sgd.stepAsync(sums);
    refusedHere(() => sum.add({ w: pinned(6, 3) }));
    refusedHere(() => clipGradNorm(sums, 1));
    await pending;
    pending = sgd.stepAsync({ w: grad });
    refusedHere(() => sum.add({ w: grad }));
    await pending;
    expect(sum.count).toBe(1);
    sum.add({ w: grad });
    expect(sum.count).toBe(2);
  });

  test('LossScale and lrRangeTest', async () => {
    const { sgd, grads } = start();
    const pending = sgd.stepAsync(grads);
    refused(TypeError, /SGD: this: an optimizer with a step in flight/, () => new LossScale().step(sgd, grads));
    refused(TypeError, /SGD: this: an optimizer with a step in flight/, () => lrRangeTest(sgd, () => 1));
    await pending;
  });

  test('gradients of a step that waits, was cancelled or was refused', async () => {
    const { sgd, grads, values } = start();
    const abort = new AbortController();
    const other = { w: pinned(6, 5), emb: null };
    const first = sgd.stepAsync(grads);
    const waiting = sgd.stepAsync(other, { signal: abort.signal });
    refusedHere(() => gradNorm(other));
    abort.abort();
    gradNorm(other);
    refusedHere(() => gradNorm(values));
    await expect(waiting).rejects.toThrow();
    await first;
    gradNorm(values);
    await expect(sgd.stepAsync({ w: other.w, emb: values })).rejects.toThrow(RangeError);
    gradNorm(other);
    sgd.paramGroups[0]!.lr = () => Number.NaN;
    const late = sgd.stepAsync(other);
    await expect(late).rejects.toThrow(RangeError);
    gradNorm(other);
  });
});

function refusedHere(action: () => unknown): void {
  let error: Any;
  try {
    action();
  } catch (e) {
    error = e;
  }
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toMatch(message);
}
