// lrRangeTest after earlier training, for every class: it tests as with a new optimizer, and restores everything.
import { describe, expect, test } from 'vitest';
import { Lookahead, SGD } from '../../../../lib/optimizers/index.js';
import { lrRangeTest } from '../../../../lib/training/index.js';
import { type Any, bits, type Case, numbers, sampledVariants, titled } from '../../../support/rig.js';

const options = { from: 1e-6, to: 1, steps: 12 };

/** Weights far from the minimum, which no small lr reaches. */
const far = (length: number, seed: number) => numbers(length, seed).map((x) => x + 2);

/** A quadratic bowl in two params, trained by `make`. */
function setup(make: (params: Any) => Any, from?: readonly Float32Array[]) {
  const [a, b] = from?.map((w) => w.slice()) ?? [far(4, 1), far(6, 2)];
  const arrays = [a!, b!];
  const optimizer = make({ a, b: { data: b, shape: [2, 3] } });
  const train = () => {
    let loss = 0;
    const grads = arrays.map((w) =>
      w.map((x, i) => {
        loss += (i + 1) * x * x;
        return 2 * (i + 1) * x;
      }),
    );
    optimizer.step({ a: grads[0], b: grads[1] });
    return loss;
  };
  const averages = () => {
    try {
      return Object.values(optimizer.emaParams as Record<string, Float32Array>).map(bits);
    } catch {
      return [];
    }
  };
  const seen = () => [arrays.map(bits), optimizer.stateDict(), optimizer.toString(), averages()];
  return { arrays, optimizer, train, seen };
}

function check(make: (params: Any) => Any, jumps = false): void {
  const rig = setup(make);
  const untested = setup(make);
  for (const { optimizer, train } of [rig, untested]) {
    for (const group of optimizer.paramGroups) group.lr = 0.02;
    for (let s = 0; s < 4; s++) train();
  }
  const before = rig.seen();
  expect(before).toEqual(untested.seen());

  const fresh = setup(make, rig.arrays);
  for (const group of fresh.optimizer.paramGroups) group.lr = 0.02;
  const ofFresh = lrRangeTest(fresh.optimizer, fresh.train, options);
  const [first, , , fourth] = ofFresh.losses;
  if (!jumps) expect(Math.abs(fourth! / first! - 1)).toBeLessThan(1e-3); // at lrs up to 4e-5
  expect(lrRangeTest(rig.optimizer, rig.train, options)).toEqual(ofFresh);
  expect(rig.seen()).toEqual(before);

  const fault = new Error('no more data');
  const fail = (i: number) => {
    if (i === 5) throw fault;
    return rig.train();
  };
  expect(() => lrRangeTest(rig.optimizer, fail, options)).toThrow(fault);
  expect(rig.seen()).toEqual(before);
  for (const { train } of [rig, untested]) for (let s = 0; s < 3; s++) train();
  expect(rig.seen()).toEqual(untested.seen());
}

// Even the smallest lr moves their weights: AdagradDA forgets where they started, COCOB's steps hardly depend on lr, and
// MADGRAD's grow with its cube root.
const jumps = (c: Case) => ['AdagradDA', 'COCOB', 'MADGRAD'].some((name) => c.title.startsWith(name));

const inEvalMode = (c: Case) => c.title.startsWith('ScheduleFree');

describe('each class', () => {
  test.each(titled(sampledVariants))('%s: losses and suggestion of a new optimizer, then all restored', (_, c) => {
    check((params) => c.make(params), jumps(c));
    check((params) => c.make(params, { ema: 0.9 }), jumps(c));
  });

  test.each(titled(sampledVariants.filter((c) => !inEvalMode(c))))('%s in a Lookahead', (_, c) => {
    check((params) => new Lookahead(c.make(params), { k: 2 }) as Any, jumps(c));
  });
});

test.each(['velocity', 'buffer'] as const)('SGD, %s: a small lr hardly moves the weights', (momentumForm) => {
  const w = Float32Array.of(3, -2);
  const sgd = new SGD(w, { lr: 0.05, momentum: 0.9, momentumForm });
  const train = () => {
    const loss = w[0]! ** 2 + 10 * w[1]! ** 2;
    sgd.step(Float32Array.of(2 * w[0]!, 20 * w[1]!));
    return loss;
  };
  for (let s = 0; s < 2; s++) train();
  const { losses, suggestion } = lrRangeTest(sgd, train, { from: 1e-6, to: 10, steps: 100 });
  expect(Math.abs(losses[3]! / losses[0]! - 1)).toBeLessThan(0.01);
  expect(suggestion).toBeGreaterThan(1e-5);
  expect(suggestion).toBeLessThan(0.2);
});

test('schedules of other options start anew', () => {
  const seen: number[] = [];
  const momentum = (step: number) => {
    seen.push(step);
    return 0.5;
  };
  const { optimizer, train } = setup((params) => new SGD(params, { lr: 0.01, momentum }));
  for (let s = 0; s < 3; s++) train();
  lrRangeTest(optimizer, train, { from: 1e-6, to: 1e-5, steps: 3 });
  expect(seen).toEqual([1, 2, 3, 1, 2, 3]);
  expect(optimizer.stepCount).toBe(3);
});

test('what is no optimizer of the library is refused', () => {
  const other = { paramGroups: [], stateDict: () => ({}), loadStateDict() {} } as Any;
  expect(() => lrRangeTest(other, () => 1)).toThrow(
    new TypeError('lrRangeTest: optimizer: an object, expected an optimizer'),
  );
});

test('weights that are detached in the test do not keep the rest from being restored', () => {
  const rig = setup((params) => new SGD(params, { lr: 0.01, momentum: 0.9 }));
  for (let s = 0; s < 3; s++) rig.train();
  const [b, state] = [bits(rig.arrays[1]!), rig.optimizer.stateDict()];
  const steal = (i: number) => {
    if (i < 2) return rig.train();
    structuredClone(rig.arrays[0], { transfer: [rig.arrays[0]!.buffer as ArrayBuffer] });
    return Number.NaN;
  };
  expect(() => lrRangeTest(rig.optimizer, steal, options)).toThrow(/paramGroups\[0\]\.params\["a"\]: a detached/);
  expect(bits(rig.arrays[1]!)).toBe(b);
  expect(rig.optimizer.stateDict()).toEqual(state);
  expect(rig.optimizer.lr).toBe(0.01);
});
