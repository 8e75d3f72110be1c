// DataParallel: uneven data, nulls, skipped steps, members, and what it refuses.
import { describe, expect, test } from 'vitest';
import * as wrappers from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adam, Lookahead, Momo, MomoAdam, PolyakSGD, SAM, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { errorsOn, onRanks, worldsOf } from '../../support/distributed/worlds.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const { DataParallel } = wrappers as any;

const alike = (size: number, value: string): string[] => Array.from({ length: size }, () => value);

describe('a step', () => {
  test('takes the mean over all examples, however they are dealt out', async () => {
    const results = await onRanks(3, async (world) => {
      const w = f32(0);
      const optimizer = await DataParallel.create(new SGD(w, { lr: 1, gradNorm: true }), world);
      // Examples 1 … 6, whose mean is 3.5: three micro-batches of one, one of two, and one of one.
      const own = [[1, 2, 3], [4.5], [6]][world.rank] as number[];
      for (const mean of own.slice(1)) optimizer.accumulate(f32(mean));
      const result = await optimizer.step(f32(own[0] as number), { weight: world.rank === 1 ? 2 : 1 });
      return [result, w[0]];
    });
    expect(results).toEqual(alike(3, [{ applied: true, gradNorm: 3.5 }, -3.5] as never));
  });

  test('of ranks that have run out: null takes part, and all nulls finish', async () => {
    const results = await onRanks(2, async (world) => {
      const w = f32(0);
      const optimizer = await DataParallel.create(new SGD(w, { lr: 1 }), world);
      const first = await optimizer.step(world.rank === 0 ? f32(2) : null);
      const last = await optimizer.step(null);
      return [first, last, w[0], optimizer.stepCount, optimizer.skippedSteps];
    });
    expect(results).toEqual(alike(2, [{ applied: true }, { applied: false, finished: true }, -2, 1, 0] as never));
  });

  test('null on every rank leaves a param and its state; on some it counts as zeros there', async () => {
    const states = await onRanks(2, async (world) => {
      const params = { a: f32(1, 1), b: f32(1) };
      const optimizer = await DataParallel.create(new Adam(params, { lr: 0.5 }), world);
      await optimizer.step({ a: world.rank === 0 ? f32(4, -4) : null, b: null });
      return [[...params.a], [...params.b], optimizer.stateDict()];
    });
    for (const [a, b, state] of states) {
      expect([a, b]).toEqual([[0.5, 1.5], [1]]);
      const { a: stateOfA, b: stateOfB } = (await state).state;
      expect([stateOfA.step, stateOfB.step, stateOfA.expAvg[0]]).toEqual([1, 0, Math.fround(0.2)]);
    }
  });

  test('a rank without a gradient does not turn −0 into +0, as one process does not', async () => {
    const results = await onRanks(2, async (world) => {
      const w = f32(-0);
      const optimizer = await DataParallel.create(new SGD(w, { lr: 1 }), world);
      await optimizer.step(world.rank === 0 ? f32(-0) : null);
      return w[0];
    });
    expect(results).toEqual([0, 0]); // −0 − (−0); with +0 it were −0
  });

  test('a skipped step names the ranks whose gradients are not finite', async () => {
    const results = await onRanks(3, async (world) => {
      const w = f32(1);
      const optimizer = await DataParallel.create(new SGD(w, { lr: 1, skipNonFinite: true }), world);
      const bad = await optimizer.step(f32(world.rank === 1 ? Number.NaN : 1));
      const sum = await optimizer.step(f32(3e38));
      const empty = await optimizer.step(f32(world.rank === 1 ? Number.NaN : 1), { weight: world.rank === 1 ? 0 : 1 });
      return [bad.applied, bad.nonFiniteRanks, sum.applied, sum.nonFiniteRanks, empty.applied, w[0]];
    });
    expect(results).toEqual(alike(3, [false, [1], false, [], true, 0] as never));
  });

  test('gradScale multiplies the mean', async () => {
    const [w] = await onRanks(2, async (world) => {
      const w = f32(0);
      const optimizer = await DataParallel.create(new SGD(w, { lr: 1 }), world);
      await optimizer.step(f32(world.rank), { gradScale: 4 });
      return w[0];
    });
    expect(w).toBe(-2);
  });
});

describe('zeroGrads zeroes the gradients of the user', () => {
  const options = { lr: 1, zeroGrads: true, skipNonFinite: true };
  test.each<[string, (w: object, world: World) => Promise<unknown>]>([
    ['DataParallel', (w, world) => DataParallel.create(new SGD(w as never, options), world)],
    ['ShardedOptimizer', (w, world) => ShardedOptimizer.create(SGD, w as never, options, world)],
  ])('%s: accumulate at once, and step when it is over, but not after an error', async (_, create) => {
    await onRanks(2, async (world) => {
      const params = { a: f32(0, 0), b: f32(0) };
      // biome-ignore lint/suspicious/noExplicitAny: the same members
      const optimizer = (await create(params, world)) as any;
      const a = f32(0, 0);
      const values = f32(0);
      const grads = { a, b: { rows: Int32Array.of(0), values } };
      const add = (x: number): void => {
        a[0]! += x;
        values[0]! += x;
      };
      add(1);
      optimizer.accumulate(grads, { weight: 2 });
      expect([a[0], values[0]]).toEqual([0, 0]);
      add(4);
      expect((await optimizer.step(grads)).applied).toBe(true);
      expect([a[0], values[0], params.a[0], params.b[0]]).toEqual([0, 0, -2, -2]);
      add(Number.NaN);
      expect((await optimizer.step(grads)).applied).toBe(false);
      expect([a[0], values[0]]).toEqual([0, 0]);
      add(3);
      await expect(optimizer.step(grads, { gradScale: 1 + world.rank })).rejects.toThrow('gradScale');
      expect([a[0], values[0]]).toEqual([3, 3]);
      await expect(optimizer.step(grads, { weight: 0 })).resolves.toMatchObject({ finished: true });
      expect([a[0], values[0]]).toEqual([0, 0]);
      expect(() => optimizer.accumulate({ a: params.a, b: null })).toThrow('memory shared with params["a"]');
    });
  });

  test('of both steps of a SAM', async () => {
    await onRanks(2, async (world) => {
      const [w, g] = [f32(3, 4), f32(3, 4)];
      const sam = await DataParallel.create(new SAM(new SGD(w, options)), world);
      await sam.firstStep(g);
      expect([...g]).toEqual([0, 0]);
      g.set([1, 1]);
      await sam.secondStep(g);
      expect([...g, ...w]).toEqual([0, 0, 2, 3]);
    });
  });
});

test('a wrapper whose optimizer another has since does not step, and does not lift its hold', async () => {
  await onRanks(1, async (world) => {
    const w = f32(1);
    const sgd = new SGD(w, { lr: 1 });
    const old = await DataParallel.create(sgd, world);
    const next = await DataParallel.create(old.unwrap(), world);
    await expect(old.step(f32(1))).rejects.toThrow(
      'DataParallel: this: one whose optimizer another DataParallel has since, expected that one',
    );
    old.unwrap();
    expect(() => sgd.step(f32(1))).toThrow('an optimizer inside a DataParallel');
    expect(w[0]).toBe(1);
    await next.step(f32(1));
    next.unwrap();
    await old.step(f32(1));
    expect(w[0]).toBe(-1);
  });
});

describe('what differs between ranks is the same RangeError on each', () => {
  const create = (make: (world: World) => unknown, options: (rank: number) => object = () => ({})): Promise<string[]> =>
    errorsOn(3, (world) => DataParallel.create(make(world), world, options(world.rank)));

  test('class, options, names and lengths', async () => {
    const last = (world: World): boolean => world.rank === 2;
    const at = 'RangeError: DataParallel:';
    for (const [make, message] of [
      [(w: World) => (last(w) ? new Adam(f32(1)) : new SGD(f32(1), { lr: 1 })), 'class: rank 0 SGD, rank 2 Adam'],
      [(w: World) => new SGD(f32(1), { lr: last(w) ? 2 : 1 }), 'paramGroups[0].lr: rank 0 1, rank 2 2'],
      [(w: World) => new Adam(f32(1), last(w) ? { clipNorm: 1 } : {}), 'clipNorm: rank 0 undefined, rank 2 1'],
      [
        (w: World) => new Adam({ [last(w) ? 'v' : 'w']: f32(1) } as never),
        "params[0]: rank 0 'w' of length 1, rank 2 'v' of length 1",
      ],
      [
        (w: World) => new Adam(new Float32Array(last(w) ? 3 : 4)),
        'params[0]: rank 0 0 of length 4, rank 2 0 of length 3',
      ],
      [(w: World) => new Lookahead(new Adam(f32(1)), { k: last(w) ? 3 : 5 }), 'k: rank 0 5, rank 2 3'],
    ] as const)
      expect(await create(make)).toEqual(alike(3, `${at} ${message}`));
    const options = await create(
      () => new Adam(f32(1)),
      (rank) => (rank === 2 ? { microBatches: 3 } : {}),
    );
    expect(options).toEqual(alike(3, `${at} microBatches: rank 0 undefined, rank 2 3`));
  });

  test('params and state without broadcast', async () => {
    const errors = await create(
      ({ rank }) => new Adam({ a: f32(1), b: f32(rank === 2 ? 2 : 1) }),
      () => ({ broadcast: false }),
    );
    expect(new Set(errors).size).toBe(1);
    expect(errors[0]).toMatch(
      /^RangeError: DataParallel: params\["b"\]: rank 0 with SHA-256 [0-9a-f]{16}…, rank 2 with SHA-256 [0-9a-f]{16}…$/,
    );
    expect(
      await create(
        () => new Adam(f32(1)),
        () => ({ broadcast: false }),
      ),
    ).toEqual(alike(3, 'no error'));
  });

  test('gradScale, lr, and kinds of gradients: nothing changes, and the next step is taken', async () => {
    const results = await onRanks(2, async (world) => {
      const w = new Float32Array(4);
      const sgd = new SGD({ w }, { lr: 1 });
      const optimizer = await DataParallel.create(sgd, world);
      const attempt = async (grad: unknown, options: object = {}): Promise<string> => {
        try {
          await optimizer.step({ w: grad }, options);
          return 'no error';
        } catch (error) {
          return String(error);
        }
      };
      const isLast = world.rank === 1;
      const dense = f32(1, 1, 1, 1);
      const rows = (columns: number) => ({ rows: Int32Array.of(1), values: new Float32Array(columns) });
      const errors = [await attempt(dense, { gradScale: isLast ? 2 : 1 })];
      if (isLast) optimizer.lr = 2;
      errors.push(await attempt(dense));
      optimizer.lr = 1;
      errors.push(await attempt(isLast ? rows(2) : dense), await attempt(isLast ? rows(2) : rows(1)));
      return [errors, [...w], await attempt(dense), [...w]];
    });
    const errors = [
      'RangeError: DataParallel: gradScale: rank 0 1, rank 1 2',
      'RangeError: DataParallel: paramGroups[0].lr: rank 0 1, rank 1 2',
      'RangeError: DataParallel: grads["w"]: rank 0 dense, rank 1 sparse',
      'RangeError: DataParallel: grads["w"].values: rank 0 rows of 1, rank 1 rows of 2',
    ];
    expect(results).toEqual(alike(2, [errors, [0, 0, 0, 0], 'no error', [-1, -1, -1, -1]] as never));
  });

  test('state dicts', async () => {
    const errors = await errorsOn(2, async (world) => {
      const adam = new Adam(f32(1));
      const optimizer = await DataParallel.create(adam, world);
      const dict = await optimizer.stateDict();
      await optimizer.step(f32(1));
      await optimizer.loadStateDict(dict);
      if (optimizer.stepCount !== 0) throw new Error('not loaded');
      await optimizer.loadStateDict({ ...dict, stepCount: world.rank });
    });
    expect(new Set(errors).size).toBe(1);
    expect(errors[0]).toMatch(/^RangeError: DataParallel.loadStateDict: dict: rank 0 one with SHA-256 /);
  });
});

describe('rank 0 gives its params and state to all', () => {
  test.each([1, 2])('with a state of %i steps', async (steps) => {
    const all = await onRanks(2, async (world) => {
      const w = f32(1, 2);
      const adam = new Adam(w, { lr: 0.5 });
      if (world.rank === 0) for (let step = 0; step < steps; step++) adam.step(f32(1, 2));
      const optimizer = await DataParallel.create(adam, world);
      await optimizer.step(f32(1, 1));
      return [[...w], adam.stateDict()];
    });
    expect(all[1]).toEqual(all[0]);
    expect((all[1] as [unknown, { stepCount: number }])[1].stepCount).toBe(steps + 1);
  });
});

describe('wrong arguments are refused, and nothing changes', () => {
  const one = worldsOf(1)[0] as World;
  const fails = async (action: () => Promise<unknown>): Promise<string> => {
    try {
      await action();
      return 'no error';
    } catch (error) {
      return String(error);
    }
  };

  test('of create', async () => {
    const [two] = worldsOf(2);
    const adam = new Adam(f32(1));
    for (const [args, message] of [
      [[{}, one], 'TypeError: DataParallel: optimizer: an object, expected an optimizer'],
      [[adam, {}], 'TypeError: DataParallel: world: an object, expected a World (await init())'],
      [
        [adam, two, { microBatches: 3 }],
        'RangeError: DataParallel: microBatches: 3, expected 2 (the world size) times a power of two',
      ],
      [[adam, one, { bucketBytes: 1 }], 'RangeError: DataParallel: bucketBytes: 1, expected [64, inf)'],
      [[adam, one, { broadcast: 1 }], 'TypeError: DataParallel: broadcast: 1, expected true or false'],
      [
        [adam, one, { bucket_bytes: 100 }],
        'TypeError: DataParallel: bucket_bytes: unknown option, expected bucketBytes (it has microBatches, bucketBytes, broadcast, compression)',
      ],
    ] as const)
      expect(await fails(() => DataParallel.create(...args))).toBe(message);
  });

  test('of step and accumulate', async () => {
    const w = f32(1, 1);
    const optimizer = await DataParallel.create(new SGD({ w }, { lr: 1 }), one, { microBatches: 2 });
    for (const [grads, options, message] of [
      [{ w: f32(1) }, {}, 'RangeError: DataParallel: grads["w"]: length 1, expected 2 ("w")'],
      [
        { v: f32(1) },
        {},
        'TypeError: DataParallel: grads["w"]: undefined, expected a Float32Array, or null to leave the param as it is',
      ],
      [
        { w: [1, 2] },
        {},
        'TypeError: DataParallel: grads["w"]: [1, 2], expected a Float32Array, { rows, values } or null (convert it with Float32Array.from(…))',
      ],
      [
        { w: { rows: Int32Array.of(2), values: f32(1) } },
        {},
        'RangeError: DataParallel: grads["w"].rows[0]: 2, expected an integer in [0, 2)',
      ],
      [{ w }, { weight: -1 }, 'RangeError: DataParallel: weight: -1, expected [0, inf)'],
      [
        { w },
        { weights: 1 },
        'TypeError: DataParallel: weights: unknown option, expected weight (it has weight, gradScale)',
      ],
      [{ w }, { gradScale: '1' }, 'TypeError: DataParallel: gradScale: "1", expected a number in (-inf, inf)'],
    ] as const)
      expect(await fails(() => optimizer.step(grads, options))).toBe(message);
    optimizer.accumulate({ w: f32(1, 1) });
    optimizer.accumulate({ w: f32(3, 3) });
    const more =
      'RangeError: DataParallel: grads: micro-batch 3 of a step, expected at most 2 a rank, as microBatches says';
    expect(await fails(async () => optimizer.accumulate({ w: f32(1, 1) }))).toBe(more);
    expect(await fails(() => optimizer.step({ w: f32(1, 1) }))).toBe(more);
    const step = optimizer.step(null);
    const pending =
      'TypeError: DataParallel: this: an optimizer with a step under way, expected to await the pending step() first';
    expect(await fails(() => optimizer.step(null))).toBe(pending);
    expect(await fails(async () => optimizer.accumulate({ w: f32(1, 1) }))).toBe(pending);
    await step;
    expect([...w]).toEqual([-1, -1]);
  });
});

test('micro-batches of one param must be of one kind and width', async () => {
  const [world] = worldsOf(1);
  const optimizer = await DataParallel.create(new SGD(new Float32Array(4), { lr: 1 }), world);
  const rows = (columns: number) => ({ rows: Int32Array.of(1), values: new Float32Array(columns) });
  optimizer.accumulate(rows(1));
  expect(() => optimizer.accumulate(rows(2))).toThrow('DataParallel: grads.values: rows of 2, expected 1, as before');
  expect(() => optimizer.accumulate(new Float32Array(4))).toThrow('a dense gradient, expected a sparse one, as before');
});

test('it has the members of the optimizer', async () => {
  const [world] = worldsOf(1);
  const w = f32(1, 2, 3);
  const adam = new Adam(w, { lr: 0.5, ema: 0.9 });
  const optimizer = await DataParallel.create(adam, world);
  expect([optimizer.unwrap(), optimizer.lr, optimizer.paramGroups]).toEqual([adam, 0.5, adam.paramGroups]);
  expect(optimizer.stateBytes).toBe(3 * 3 * 4);
  optimizer.addParamGroup({ params: f32(1), lr: 1 });
  const norms: unknown[] = [];
  optimizer.registerStepPreHook((_: unknown, grads: unknown) => norms.push(grads));
  await optimizer.step([f32(1, 1, 1), f32(1)], { weight: 2 });
  expect(norms).toEqual([[f32(2, 2, 2), f32(2)]]);
  optimizer.lr = 0.25;
  expect([adam.lr, optimizer.stepCount, optimizer.emaParams === adam.emaParams]).toEqual([0.25, 1, true]);
  expect(String(optimizer)).toContain('DataParallel (\n  rank: 0\n  size: 1\n  optimizer: Adam (');
  optimizer.dispose();
  expect(() => adam.stepCount).toThrow('disposed');
});

describe('an optimizer that needs the loss', () => {
  test('gets the mean over all examples, to the same bits on any number of ranks', async () => {
    // Eight micro-batches with weights and losses, and their gradients.
    const weights = [3, 1, 2, 0, 1, 4, 1, 2];
    const losses = [0.1, 7, 0.3, Number.NaN, 1 / 3, 2, 11, 0.7];
    const run = async (size: number) =>
      onRanks(size, async (world) => {
        const w = f32(1, -2);
        const optimizer = await DataParallel.create(new Lookahead(new Momo(w)), world, { microBatches: 8 });
        const own = [...weights.keys()].slice((world.rank * 8) / size, ((world.rank + 1) * 8) / size);
        for (let step = 1; step <= 3; step++) {
          const grad = (i: number) => f32(Math.sin(i + step), Math.cos(i * step));
          const given = (i: number) => ({ weight: weights[i], loss: losses[i]! * step });
          for (const i of own.slice(0, -1)) optimizer.accumulate(grad(i), given(i));
          const last = own.at(-1)!;
          await optimizer.step(grad(last), given(last));
          if (step > 1) continue;
          const mean = weights.reduce((sum, x, i) => sum + (x === 0 ? 0 : x * losses[i]!), 0) / 14;
          expect(optimizer.unwrap().optimizer.lossAvg).toBeCloseTo(mean, 12);
        }
        return [...w, optimizer.unwrap().optimizer.lossAvg];
      });
    const [one] = await run(1);
    for (const size of [2, 4]) expect(await run(size)).toEqual(alike(size, one as never));
  });

  test('ranks without examples bring none', async () => {
    const found = await onRanks(2, async (world) => {
      const optimizer = await DataParallel.create(new PolyakSGD(f32(1)), world);
      await optimizer.step(world.rank === 0 ? f32(2) : null, world.rank === 0 ? { loss: 1 } : {});
      return optimizer.unwrap().stepSize;
    });
    expect(found).toEqual(alike(2, 0.25 as never));
  });

  test('a loss that is missing is refused on its rank, before anything is added', async () => {
    const [world] = await onRanks(1, async (world) => {
      const optimizer = await DataParallel.create(new PolyakSGD(f32(1)), world);
      const error = new TypeError(
        'DataParallel: loss: undefined, expected a number: the loss of the micro-batch, whose gradient is grads',
      );
      expect(() => optimizer.accumulate(f32(1), {})).toThrow(error);
      await expect(optimizer.step(f32(1))).rejects.toThrow(error);
      const adam = await DataParallel.create(new Adam(f32(1)), world);
      await expect(adam.step(f32(1), { loss: 1 })).rejects.toThrow(/^DataParallel: loss: unknown option/);
      return optimizer.stepCount;
    });
    expect(world).toBe(0);
  });

  test('a loss that is not finite is the same error on every rank, or a skipped step', async () => {
    const found = await onRanks(2, async (world) => {
      const seen: unknown[] = [];
      for (const skipNonFinite of [false, true]) {
        const w = f32(1);
        const optimizer = await DataParallel.create(new MomoAdam(w, { skipNonFinite }), world);
        const loss = world.rank === 1 ? Number.NaN : 1;
        seen.push(await optimizer.step(f32(1), { loss }).catch(String), w[0], optimizer.skippedSteps);
      }
      return seen;
    });
    expect(found).toEqual(
      alike(2, [
        'RangeError: MomoAdam: loss: NaN, expected a finite number (skipNonFinite skips such a step)',
        1,
        0,
        { applied: false, gradNorm: 1, nonFiniteRanks: [1] },
        1,
        1,
      ] as never),
    );
  });
});

test('no step and no second load begins while a state is loaded', async () => {
  const world = worldsOf(1)[0] as World;
  const optimizer = await wrappers.DataParallel.create(new Adam(new Float32Array(4)), world);
  const dict = await optimizer.stateDict();
  const calls = [optimizer.loadStateDict(dict), optimizer.step(new Float32Array(4)), optimizer.stateDict()];
  const refused = expect.objectContaining({ message: expect.stringContaining('to await the pending step() first') });
  expect(await Promise.allSettled(calls)).toMatchObject([
    { status: 'fulfilled' },
    { status: 'rejected', reason: refused },
    { status: 'rejected', reason: refused },
  ]);
  expect(await optimizer.step(new Float32Array(4))).toEqual({ applied: true });
});
