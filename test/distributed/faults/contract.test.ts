// A fault of one rank in the middle of a call is an error of every rank: nobody steps, nobody waits, and the world goes on.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Optimizer } from '../../../lib/core/optimizer.js';
import { hashOf } from '../../../lib/distributed/differences.js';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import { SandblasterLBFGS } from '../../../lib/distributed/sandblaster/sandblaster-lbfgs.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adagrad, AdamW, allocate, DoG, Prodigy, SAM, ScheduleFreeSGD, SGD } from '../../../lib/index.js';
import { onRanks, worldsOf } from '../../support/distributed/worlds.js';
import { numbers } from '../../support/random.js';

afterEach(() => vi.restoreAllMocks());

const size = 3;
const faulty = 1;
const newParams = () => ({ w: numbers(100, 1), b: numbers(40, 2) });
type Params = ReturnType<typeof newParams>;
type Grads = Params | { w: { rows: Int32Array; values: Float32Array }; b: null };

const dense = (step: number): Params => ({ w: numbers(100, step + 10), b: numbers(40, step + 20) });
const sparse = (step: number): Grads => ({ w: { rows: Int32Array.of(1), values: numbers(10, step) }, b: null });

interface Given {
  readonly step: (grads: Grads) => Promise<unknown>;
  readonly stateDict: () => Promise<unknown>;
  readonly unwrap: () => unknown;
}

/** Makes the next call of a method throw. */
function failOnce<T extends object>(object: T, method: keyof T & string): void {
  const own = (object as Record<string, unknown>)[method] as (...args: unknown[]) => unknown;
  Object.defineProperty(object, method, {
    configurable: true,
    writable: true,
    value: (): never => {
      Object.defineProperty(object, method, { configurable: true, writable: true, value: own.bind(object) });
      throw new RangeError('no memory');
    },
  });
}

/** The error of a call as text. */
const errorOf = (call: Promise<unknown>): Promise<string> => call.then(() => 'no error', String);

/**
 * On each rank: a step that goes well, one in which a rank fails, and one that goes well. Returns the error, whether state or
 * params have changed by it, and what came out.
 */
async function train(
  create: (world: World, params: Params) => Promise<Given>,
  grads: (step: number) => Grads,
  fail: ((given: Given) => void) | undefined,
  isFirst = false,
): Promise<{ error: string; hasChanged: boolean; end: string }[]> {
  return onRanks(size, async (world) => {
    const params = newParams();
    const given = await create(world, params);
    const state = async (): Promise<string> => hashOf([(await given.stateDict()) ?? null, params]);
    if (!isFirst) await given.step(grads(0));
    const before = await state();
    let error = '';
    if (fail !== undefined) {
      if (world.rank === faulty) fail(given);
      error = await errorOf(given.step(grads(1)));
    }
    const hasChanged = (await state()) !== before;
    await given.step(grads(2));
    return { error, hasChanged, end: await state() };
  });
}

const sharded =
  (Class: unknown, options: object = {}) =>
  (world: World, params: Params): Promise<Given> =>
    ShardedOptimizer.create(Class as typeof AdamW, params, options, world) as unknown as Promise<Given>;
const parallel =
  (Class: unknown, options: object = {}) =>
  (world: World, params: Params): Promise<Given> =>
    DataParallel.create(new (Class as typeof AdamW)(params, options), world) as unknown as Promise<Given>;

const storeOf = (given: Given) => Optimizer.internals(given.unwrap() as Optimizer).store;
const hook = (given: Given): void => {
  const remove = (given.unwrap() as AdamW).registerStepPreHook(() => {
    remove();
    throw new RangeError('no memory');
  });
};
const inMeasure = (given: Given): void => failOnce(storeOf(given).plan, 'measureSums');
const inCheck = (given: Given): void => failOnce(storeOf(given), 'checkParams');

describe.each([false, true])('in the first step: %s', (isFirst) => {
  test.each<
    [string, (world: World, params: Params) => Promise<Given>, (step: number) => Grads, (given: Given) => void]
  >([
    ['ShardedOptimizer of DoG measures', sharded(DoG), dense, inMeasure],
    ['ShardedOptimizer of Prodigy has a hook', sharded(Prodigy), dense, hook],
    ['ShardedOptimizer has a hook', sharded(AdamW), dense, hook],
    ['ShardedOptimizer has a hook, and clips', sharded(AdamW, { clipNorm: 1 }), dense, hook],
    ['ShardedOptimizer checks', sharded(AdamW), dense, inCheck],
    ['DataParallel has a hook', parallel(AdamW), dense, hook],
    ['DataParallel has a hook, and sums rows', parallel(Adagrad), sparse, hook],
    ['DataParallel checks', parallel(AdamW), dense, inCheck],
  ])(
    '%s: every rank has an error, nothing has changed, and the next step is as ever',
    async (_, create, grads, fail) => {
      const [failed, whole] = [
        await train(create, grads, fail, isFirst),
        await train(create, grads, undefined, isFirst),
      ];
      const others = expect.stringMatching(/^Error: \w+\.step: rank 1 failed: RangeError: no memory$/);
      expect(failed.map(({ error }) => error)).toEqual([others, 'RangeError: no memory', others]);
      expect(failed.map(({ hasChanged }) => hasChanged)).toEqual([false, false, false]);
      expect(failed.map(({ end }) => end)).toEqual(whole.map(({ end }) => end));
    },
  );
});

test('where one rank has no memory to measure, no rank changes params or counts a step, and the world goes on', async () => {
  const seen = await onRanks(size, async (world) => {
    const params = newParams();
    const given = await sharded(Prodigy, { clipNorm: 1 })(world, params);
    await given.step(dense(0));
    const before = hashOf(params);
    if (world.rank === faulty) inMeasure(given);
    const error = await errorOf(given.step(dense(1)));
    return [
      error,
      hashOf(params) === before,
      storeOf(given).params.map(({ step }) => step),
      await given.step(dense(1)),
    ];
  });
  const others = 'Error: ShardedOptimizer.step: rank 1 failed: RangeError: no memory';
  for (const [rank, [error, ...rest]] of seen.entries()) {
    expect(error).toBe(rank === faulty ? 'RangeError: no memory' : others);
    expect(rest).toEqual([true, [1, 1], expect.objectContaining({ applied: true })]);
  }
});

test('a SAM whose climb has no memory, or whose second step has a hook that throws, climbs and steps nowhere', async () => {
  // Ranks share the engine, so the climb of one rank fails where it asks for its memory.
  const hasNoMemory = new Set<unknown>();
  const { internals } = SAM;
  vi.spyOn(SAM, 'internals').mockImplementation((sam) => {
    const own = internals(sam);
    const reserve: typeof own.reserve = (params) => {
      if (hasNoMemory.delete(sam)) throw new RangeError('no memory');
      own.reserve(params);
    };
    return { ...own, reserve };
  });
  const run = (fails: boolean) =>
    onRanks(size, async (world) => {
      const params = newParams();
      const inner = new SGD(params, { lr: 0.1 });
      const sam = await DataParallel.create(new SAM(inner), world);
      const isFaulty = fails && world.rank === faulty;
      const errors: string[] = [];
      const before = hashOf(params);
      if (isFaulty) hasNoMemory.add(sam.unwrap());
      if (fails) errors.push(await errorOf(sam.firstStep(dense(0))));
      expect(hashOf(params)).toBe(before);
      await sam.firstStep(dense(0));
      expect(hashOf(params)).not.toBe(before);
      if (isFaulty) hook({ unwrap: () => inner } as unknown as Given);
      if (fails) {
        errors.push(await errorOf(sam.secondStep(dense(1))));
        expect(hashOf(params)).toBe(before);
        await sam.firstStep(dense(0));
      }
      await sam.secondStep(dense(1));
      return { errors, end: hashOf(params) };
    });
  const [failed, whole] = [await run(true), await run(false)];
  const others = Array(2).fill('Error: DataParallel.step: rank 1 failed: RangeError: no memory');
  expect(failed.map(({ errors }) => errors)).toEqual([others, Array(2).fill('RangeError: no memory'), others]);
  expect(failed.map(({ end }) => end)).toEqual(whole.map(({ end }) => end));
});

test.each([
  ['DataParallel', parallel(AdamW)],
  ['ShardedOptimizer', sharded(AdamW)],
] as const)('%s: a state that one rank cannot give is an error of every rank', async (name, create) => {
  const errors = await onRanks(size, async (world) => {
    const given = await create(world, newParams());
    await given.step(dense(0));
    if (world.rank === faulty) failOnce(given.unwrap() as AdamW, 'stateDict');
    const error = await errorOf(given.stateDict());
    await given.stateDict();
    return error;
  });
  const others = `Error: ${name}: rank 1 failed: RangeError: no memory`;
  expect(errors).toEqual([others, 'RangeError: no memory', others]);
});

test('create: a rank that cannot load what rank 0 has is an error of every rank', async () => {
  const errors = await onRanks(size, async (world) => {
    const optimizer = new AdamW(newParams());
    if (world.rank === faulty) failOnce(optimizer, 'loadStateDict');
    const error = await errorOf(DataParallel.create(optimizer, world));
    await DataParallel.create(optimizer, world);
    return error;
  });
  const others = 'Error: DataParallel.create: rank 1 failed: RangeError: no memory';
  expect(errors).toEqual([others, 'RangeError: no memory', others]);
});

test('a fault while the others make another call, and faults of all ranks', async () => {
  const errors = await onRanks(size, async (world) => {
    const given = await parallel(AdamW)(world, newParams());
    await given.step(dense(0));
    if (world.rank === faulty) inCheck(given);
    const first = await errorOf(world.rank === faulty ? given.step(dense(1)) : world.barrier());
    inCheck(given);
    const second = await errorOf(given.step(dense(1)));
    return [first, second, await world.allReduce(Int32Array.of(1))];
  });
  const others = 'Error: DataParallel.step: rank 1 failed: RangeError: no memory';
  for (const [rank, [first, ...rest]] of errors.entries()) {
    expect(first).toBe(rank === faulty ? 'RangeError: no memory' : others);
    expect(rest).toEqual(['RangeError: no memory', Int32Array.of(size)]);
  }
});

describe('a step of another optimizer that one rank has in flight on the params', () => {
  const length = 200_000; // too long for a step on this thread
  const inFlight = 'memory of a step in flight';

  test.each([
    ['DataParallel', (world: World, w: Float32Array) => DataParallel.create(new SGD(w, { lr: 1 }), world)],
    ['ShardedOptimizer', (world: World, w: Float32Array) => ShardedOptimizer.create(SGD, w, { lr: 1 }, world)],
  ] as const)('%s: no rank steps', async (name, create) => {
    const found = await onRanks(2, async (world) => {
      const [w, g] = [allocate(length), allocate(length).fill(1)];
      const given = await create(world, w);
      const pending = world.rank === 1 ? new SGD(w, { lr: 3 }).stepAsync(allocate(length).fill(1)) : undefined;
      const error = await errorOf(given.step(g));
      await pending;
      return [error, [...new Set(w)], (await given.step(g)).applied];
    });
    expect(found).toEqual([
      [expect.stringContaining(`Error: ${name}.step: rank 1 failed: TypeError: `), [0], true],
      [expect.stringContaining(inFlight), [-3], true],
    ]);
  });

  test('eval: no rank switches', async () => {
    const found = await onRanks(2, async (world) => {
      const [w, g] = [allocate(length), allocate(length).fill(1)];
      const given = await ShardedOptimizer.create(ScheduleFreeSGD, w, { lr: 1 }, world);
      await given.step(g);
      const pending = world.rank === 1 ? new SGD(w, { lr: 0 }).stepAsync(allocate(length)) : undefined;
      const error = await errorOf(given.eval());
      const mode = given.unwrap().stateDict().mode;
      await pending;
      await given.eval();
      return [error, mode, given.unwrap().stateDict().mode];
    });
    expect(found).toEqual([
      [expect.stringContaining('rank 1 failed: TypeError: '), 'train', 'eval'],
      [expect.stringContaining(inFlight), 'train', 'eval'],
    ]);
  });
});

test('a hook that is registered on one rank while a step is pending runs from the next step on', async () => {
  const counts = await onRanks(2, async (world) => {
    const given = await parallel(AdamW)(world, newParams());
    const pending = given.step(dense(0));
    let runs = 0;
    if (world.rank === 1) (given.unwrap() as AdamW).registerStepPreHook(() => runs++);
    await pending;
    const before = runs;
    await given.step(dense(1));
    return [before, runs];
  });
  expect(counts).toEqual([
    [0, 0],
    [0, 1],
  ]);
});

test.each([
  ['DataParallel', parallel(AdamW)],
  ['DataParallel that clips', parallel(AdamW, { clipNorm: 1 })],
  ['ShardedOptimizer', sharded(AdamW)],
  ['ShardedOptimizer that clips', sharded(AdamW, { clipNorm: 1 })],
] as const)('%s: a param that is transferred while its rank waits for the others: no rank steps', async (_, create) => {
  let transferred = (): void => {};
  const others = new Promise<void>((resolve) => (transferred = resolve));
  const seen = await onRanks(size, async (world) => {
    const params = newParams();
    const given = await create(world, params);
    await given.step(dense(0));
    const [w, b] = [hashOf(params.w), hashOf(params.b)];
    if (world.rank !== faulty) await others;
    const stepping = errorOf(given.step(dense(1)));
    if (world.rank === faulty) {
      params.w = structuredClone(params.w, { transfer: [params.w.buffer as ArrayBuffer] });
      transferred();
    }
    return { error: await stepping, hasChanged: hashOf(params.w) !== w || hashOf(params.b) !== b };
  });
  const failed = expect.stringMatching(/^Error: \w+\.step: rank 1 failed: TypeError: AdamW: params\["w"\]: a detached/);
  const own = expect.stringMatching(/^TypeError: AdamW: params\["w"\]: a detached/);
  expect(seen.map(({ error }) => error)).toEqual([failed, own, failed]);
  expect(seen.map(({ hasChanged }) => hasChanged)).toEqual([false, false, false]);
});

describe('a world of the user', () => {
  /** One that hands on to ours, as a wrapper that counts calls would. */
  const worldOver = (world: World, fail: World['fail']): World => {
    const { rank, size, localRank, transport, timeout, interrupted } = world;
    const names = ['seed', 'partition', 'allReduce', 'reduceScatter', 'allGather', 'broadcast', 'barrier'] as const;
    const ofObjects = ['broadcastObject', 'allGatherObject', 'close'] as const;
    const methods = [...names, ...ofObjects].map((name) => [name, (world[name] as () => unknown).bind(world)]);
    const data = { rank, size, localRank, transport, timeout, interrupted };
    return { ...data, ...Object.fromEntries(methods), ...(fail === undefined ? {} : { fail }) } as World;
  };

  test.each([
    ['DataParallel', parallel(AdamW)],
    ['ShardedOptimizer', sharded(AdamW)],
  ] as const)(
    '%s: with fail(), a fault of one rank is an error of every rank, and the world goes on',
    async (_, create) => {
      const errors = await onRanks(size, async (world) => {
        const given = await create(
          worldOver(world, (error) => world.fail!(error)),
          newParams(),
        );
        if (world.rank === faulty) hook(given);
        const error = await errorOf(given.step(dense(0)));
        await given.step(dense(1));
        return error;
      });
      const others = 'Error: World: rank 1 failed: RangeError: no memory';
      expect(errors).toEqual([others, 'RangeError: no memory', others]);
    },
  );

  test('what needs messages between ranks refuses it', async () => {
    const world = worldOver(worldsOf(2)[0]!, undefined);
    const options = { portions: 4, f: () => 0 };
    expect(await errorOf(SandblasterLBFGS.create(world, new Float32Array(1), options))).toBe(
      'TypeError: SandblasterLBFGS: world: an object, expected the World that init() returned',
    );
  });

  test('without it, the others wait until their deadline', async () => {
    const errors = await Promise.all(
      worldsOf(2, 300).map(async (world) => {
        const given = await parallel(AdamW)(worldOver(world, undefined), newParams());
        if (world.rank === faulty) hook(given);
        return errorOf(given.step(dense(0)));
      }),
    );
    expect(errors).toEqual([expect.stringContaining('TimeoutError: World: '), 'RangeError: no memory']);
  });
});
