// SandblasterLBFGS: failures, wrong arguments, and its members.
import { describe, expect, test, vi } from 'vitest';
import { SandblasterLBFGS } from '../../../lib/distributed/sandblaster/sandblaster-lbfgs.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { LBFGS } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { errorsOn, onRanks, worldsOf } from '../../support/distributed/worlds.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const { create } = SandblasterLBFGS as any;

const targets = [1, 2, 3, 4, 5, 6, 7, 8];
/** Σ (x − target)²/2: the minimum is the mean, 4.5. */
const f = (portion: number, x: Float32Array, grad: Float32Array): number => {
  grad[0] = x[0]! - targets[portion]!;
  return grad[0] ** 2 / 2;
};
const options = { portions: 8, f };
const alone = (): World => new OwnWorld(new SingleTransport(), 1000);

test.each([1, 3])('%i ranks find the minimum, with the same result on all', async (size) => {
  const results = await onRanks(size, async (world) => {
    const x = f32(world.rank);
    const lbfgs = await SandblasterLBFGS.create(world, x, { ...options, f });
    return [await lbfgs.step(), x[0], lbfgs.stepCount];
  });
  for (const result of results) expect(result).toEqual(results[0]);
  expect(results[0]).toMatchObject([
    { applied: true, loss: 21, gradNorm: 0, reason: 'gradient', nonFinite: 0 },
    4.5,
    1,
  ]);
});

test.each([1, 3])('two that step at the same time on %i ranks do so one after the other', async (size) => {
  const lossesOf = (isAtOnce: boolean): Promise<number[]> =>
    onRanks(size, async (world) => {
      const create = (portions: number) =>
        SandblasterLBFGS.create(world, f32(0), {
          portions,
          maxIterations: 3,
          gradTol: 0,
          funTol: 0,
          stepTol: 0,
          f(portion, [x], grad) {
            grad[0] = 4 * (x! - portion) ** 3;
            return (x! - portion) ** 4;
          },
        });
      const both = isAtOnce ? await Promise.all([create(8), create(11)]) : [await create(8), await create(11)];
      const losses: number[] = [];
      for (let step = 0; step < 10; step++) {
        const results = isAtOnce ? await Promise.all(both.map((each) => each.step())) : [];
        for (const [i, each] of both.entries()) losses.push((isAtOnce ? results[i]! : await each.step()).loss);
      }
      return losses;
    }).then(([first, ...others]) => {
      for (const other of others) expect(other).toEqual(first);
      return first!;
    });
  expect(await lossesOf(true)).toEqual(await lossesOf(false));
});

test('x and grad have the structure of the params; x is the params, and grad comes with zeros', async () => {
  const params = { a: { data: f32(3, 4), shape: [2] as const }, b: [f32(5)] as const };
  const seen: unknown[] = [];
  const lbfgs = await SandblasterLBFGS.create(alone(), params, {
    portions: 2,
    maxIterations: 1,
    f(portion, x, grad) {
      seen.push([portion, x === params, [...grad.a], [...grad.b[0]]]);
      grad.a.set(x.a.data); // b is left as it is
      return (x.a.data[0]! ** 2 + x.a.data[1]! ** 2) / 2;
    },
  });
  await lbfgs.step();
  expect(seen.length).toBeGreaterThanOrEqual(4);
  for (const [i, entry] of seen.entries()) expect(entry).toEqual([i % 2, true, [0, 0], [0]]);
  expect([...params.b[0]]).toEqual([5]);
});

describe('a loss or gradient that is not finite', () => {
  test('on the line makes the search back off, as in LBFGS', async () => {
    // −log x: the first trial is beyond 0.
    const steep = (x: number): number => (x > 0 ? x - Math.log(x) : Number.NaN);
    const results = await onRanks(2, async (world) => {
      const x = f32(4);
      const lbfgs = await SandblasterLBFGS.create(world, x, {
        portions: 4,
        lr: 30,
        f(portion, [w], grad) {
          grad[0] = portion === 2 ? 4 * (1 - 1 / w!) : 0;
          return portion === 2 ? 4 * steep(w!) : 0;
        },
      });
      return [await lbfgs.step(), x[0]] as const;
    });
    expect(results[1]).toEqual(results[0]);
    expect(results[0]![0].nonFinite).toBeGreaterThan(0);
    expect(results[0]![1]).toBeCloseTo(1, 3);
  });

  test('at the start is the same RangeError on each rank, and the next step is taken', async () => {
    let isBad = true;
    const results = await onRanks(3, async (world) => {
      const x = f32(0);
      const lbfgs = await SandblasterLBFGS.create(world, x, {
        portions: 8,
        f: (portion, at, grad) => (isBad && portion === 5 ? Number.NaN : f(portion, at, grad)),
      });
      const error = await lbfgs.step().catch(String);
      await world.barrier();
      isBad = false;
      await world.barrier();
      const { loss } = await lbfgs.step();
      return [error, loss, x[0]];
    });
    for (const result of results)
      expect(result).toEqual(['RangeError: SandblasterLBFGS: f: NaN, expected a finite loss', 21, 4.5]);
  });
});

test('f throws on one rank: its error there, an Error on the others, and no later step', async () => {
  const results = await onRanks(3, async (world) => {
    const lbfgs = await SandblasterLBFGS.create(world, f32(0), {
      portions: 12,
      f(portion, x, grad) {
        if (world.rank === 1) throw new Error('on purpose');
        for (const end = performance.now() + 6; performance.now() < end; ); // so that the ranks take turns
        return f(portion % 8, x, grad);
      },
    });
    return [await lbfgs.step().catch(String), await lbfgs.step().catch(String)];
  });
  const other = 'Error: SandblasterLBFGS: f threw on rank 1';
  expect(results).toEqual([
    [other, other],
    ['Error: on purpose', 'Error: on purpose'],
    [other, other],
  ]);
});

describe('what differs between ranks is the same RangeError on each', () => {
  const last = ({ rank }: World): boolean => rank === 2;

  test.each<[string, (world: World) => object, (world: World) => object, string]>([
    ['portions', () => f32(1), (w) => ({ portions: last(w) ? 9 : 8 }), 'portions: rank 0 8, rank 2 9'],
    ['an option', () => f32(1), (w) => ({ gradTol: last(w) ? 1 : 0 }), 'gradTol: rank 0 0, rank 2 1'],
    ['lr', () => f32(1), (w) => ({ lr: last(w) ? () => 2 : 1 }), 'lr: rank 0 1, rank 2 2'],
    [
      'a length',
      (w) => f32(1, ...(last(w) ? [2] : [])),
      () => ({}),
      'params[0]: rank 0 0 of length 1, rank 2 0 of length 2',
    ],
  ])('%s', async (_, params, own, message) => {
    const errors = await errorsOn(3, (world) => create(world, params(world), { ...options, ...own(world) }));
    expect(new Set(errors)).toEqual(new Set([`RangeError: SandblasterLBFGS: ${message}`]));
  });

  test('params, lr and a loaded state at a step', async () => {
    const results = await onRanks(2, async (world) => {
      const x = f32(0);
      const lbfgs = await SandblasterLBFGS.create(world, x, { ...options, maxIterations: 1 });
      const state = lbfgs.stateDict();
      const errors: unknown[] = [];
      if (world.rank === 1) x[0] = 1;
      errors.push(await lbfgs.step().catch(String));
      x[0] = 0;
      lbfgs.lr = world.rank === 1 ? 2 : 1;
      errors.push(await lbfgs.step().catch(String));
      lbfgs.lr = 1;
      if (world.rank === 1) lbfgs.loadStateDict(state);
      errors.push(await lbfgs.step().catch(String));
      lbfgs.loadStateDict(state);
      await lbfgs.step();
      return { errors, steps: lbfgs.stepCount };
    });
    expect(results[1]).toEqual(results[0]);
    const { errors, steps } = results[0]!;
    expect(steps).toBe(1);
    expect(errors[0]).toMatch(
      /^RangeError: SandblasterLBFGS: params: rank 0 with SHA-256 \w+…, rank 1 with SHA-256 \w+…$/,
    );
    expect(errors[1]).toBe('RangeError: SandblasterLBFGS: lr: rank 0 1, rank 1 2');
    expect(errors[2]).toMatch(/^RangeError: SandblasterLBFGS: (state|params): rank 0 /);
  });
});

describe('wrong arguments', () => {
  const world = alone();

  test.each<[readonly unknown[], string]>([
    [[{}, f32(1), options], 'TypeError: SandblasterLBFGS: world: an object, expected a World (await init())'],
    [
      [world, f32(1)],
      'TypeError: SandblasterLBFGS: options: undefined, expected an object with portions, f, lr, historySize',
    ],
    [[world, f32(1), { f }], 'TypeError: SandblasterLBFGS: portions: undefined, expected an integer in [1, inf)'],
    [[world, f32(1), { f, portions: 0 }], 'RangeError: SandblasterLBFGS: portions: 0, expected an integer in [1, inf)'],
    [
      [world, f32(1), { f, portions: 2.5 }],
      'RangeError: SandblasterLBFGS: portions: 2.5, expected an integer in [1, inf)',
    ],
    [
      [world, f32(1), { portions: 8 }],
      'TypeError: SandblasterLBFGS: f: undefined, expected a function, (portion, x, grad) => loss',
    ],
    [[world, f32(1), { ...options, grads: f32(1) }], 'TypeError: SandblasterLBFGS: grads: unknown option'],
    [
      [world, f32(1), { ...options, historySize: 0 }],
      'RangeError: SandblasterLBFGS: historySize: 0, expected an integer in [1, inf)',
    ],
    [[world, 'x', options], 'TypeError: SandblasterLBFGS: params: "x", expected a Float32Array'],
    [[world, [{ params: f32(1) }], options], 'TypeError: SandblasterLBFGS: params: param groups, expected'],
  ])('of create: %#', async (args, message) => {
    const error = await create(...args).then(() => 'no error', String);
    expect(error.startsWith(message), error).toBe(true);
  });

  test('a result of f that is no number', async () => {
    const x = f32(1);
    const lbfgs = await create(world, x, { portions: 2, f: async () => 1 });
    await expect(lbfgs.step()).rejects.toThrow(
      'SandblasterLBFGS: f: returned a Promise, expected the loss, a number (it must not be async)',
    );
    expect(x[0]).toBe(1);
  });

  test('a call during a step, and after dispose', async () => {
    const lbfgs = await SandblasterLBFGS.create(world, f32(0), options);
    const step = lbfgs.step();
    const pending = 'an optimizer with a step under way, expected to await the pending step() first';
    await expect(lbfgs.step()).rejects.toThrow(pending);
    expect(() => lbfgs.stateDict()).toThrow(pending);
    expect(() => lbfgs.dispose()).toThrow(pending);
    await step;
    expect(() => {
      lbfgs.lr = 0;
    }).toThrow('SandblasterLBFGS: lr: 0, expected (0, inf)');
    expect(String(lbfgs)).toContain('SandblasterLBFGS (\n  rank: 0\n  size: 1\n  portions: 8\n  optimizer: LBFGS (');
    lbfgs.dispose();
    lbfgs.dispose();
    expect(() => lbfgs.stepCount).toThrow('SandblasterLBFGS: this: a disposed optimizer');
  });
});

test('fewer portions than two a rank are a warning of rank 0', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    const worlds = worldsOf(3);
    for (const portions of [6, 5])
      await Promise.all(worlds.map((world) => SandblasterLBFGS.create(world, f32(1), { portions, f })));
    expect(warn.mock.calls).toEqual([
      [
        'SandblasterLBFGS: portions: 5, fewer than 2 × the number of ranks, 3: ranks will wait for each other',
        { type: 'SchussWarning', code: 'SCHUSS_FEW_PORTIONS' },
      ],
    ]);
  } finally {
    warn.mockRestore();
  }
});

test('its state dict is that of LBFGS, and loads into either', async () => {
  const x = f32(0, 3);
  const skew = (portion: number, at: Float32Array, grad: Float32Array): number => {
    const [a, b] = [at[0]! - portion, at[1]! - 2];
    grad.set([a ** 3, 10 * b]);
    return a ** 4 / 4 + 5 * b ** 2;
  };
  const first = await SandblasterLBFGS.create(alone(), x, { portions: 4, f: skew, maxIterations: 3 });
  await first.step();
  const dict = structuredClone(first.stateDict());
  const plain = new LBFGS(f32(0, 0), { grads: f32(0, 0) });
  plain.loadStateDict(dict);
  expect(plain.stateDict()).toEqual(dict);
  const resumedX = x.slice();
  const resumed = await SandblasterLBFGS.create(alone(), resumedX, { portions: 4, f: skew, maxIterations: 3 });
  resumed.loadStateDict(plain.stateDict());
  expect(await resumed.step()).toEqual(await first.step());
  expect([...resumedX]).toEqual([...x]);
});
