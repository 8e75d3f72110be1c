// The world of one, and what every world refuses.
import { inspect } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { init } from '../../../lib/distributed/index.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import type { World } from '../../../lib/distributed/world/world.js';

const fresh = (): World => new OwnWorld(new SingleTransport(), 600_000);

afterEach(() => vi.unstubAllEnvs());

test('calls that are over at once leave the event loop its turns', async () => {
  const world = fresh();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  for (const begin = performance.now(); performance.now() - begin < 200; ) await world.barrier();
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(0);
});

describe('init', () => {
  test('alone it gives a world of one, and the same one again', async () => {
    const world = await init();
    expect(await init({ transport: 'auto' })).toBe(world);
    expect(world).toMatchObject({ rank: 0, size: 1, localRank: 0, transport: 'single', timeout: 600_000 });
    expect(world.interrupted.aborted).toBe(false);
    const { RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE } = process.env;
    expect([RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE]).toEqual(['0', '1', '0', '1']);
  });

  test.each<[string, () => Promise<unknown>, string]>([
    ['an unknown option', () => init({ ranks: 4 } as object), 'init: ranks: unknown option'],
    ["PyTorch's name", () => init({ backend: 'gloo' } as object), 'init: backend: unknown option, expected transport'],
    ['a transport', () => init({ transport: 'nccl' as 'mpi' }), 'init: transport: "nccl", expected "auto" or "mpi"'],
    ['a timeout of 0', () => init({ timeout: 0 }), 'init: timeout: 0, expected (0, inf]'],
    [
      'a timeout of another type',
      () => init({ timeout: '5' as unknown as number }),
      'init: timeout: "5", expected a number',
    ],
  ])('refuses %s', async (_, action, message) => {
    await expect(action()).rejects.toThrow(message);
  });

  test.each<[string, Record<string, string>, string]>([
    ['a bad transport', { SCHUSS_TRANSPORT: 'tcp' }, 'init: SCHUSS_TRANSPORT: "tcp", expected'],
    ['a bad deadline', { SCHUSS_DIST_TIMEOUT: 'soon' }, 'init: SCHUSS_DIST_TIMEOUT: "soon", expected'],
  ])('refuses %s in the environment', async (_, env, message) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    await expect(init()).rejects.toThrow(message);
  });
});

describe('init where other ranks are expected', () => {
  test.each<[string, Record<string, string>, Parameters<typeof init>[0], string]>([
    ['WORLD_SIZE', { WORLD_SIZE: '4' }, {}, 'init: WORLD_SIZE is 4, but no launcher'],
    [
      'Open MPI',
      { OMPI_COMM_WORLD_SIZE: '4' },
      {},
      'init: Open MPI (OMPI_COMM_WORLD_SIZE=4) launched this process, but',
    ],
    ['another MPI', { PMI_SIZE: '2' }, {}, 'npx schuss build --mpi'],
    ['srun', { SLURM_STEP_NUM_TASKS: '8' }, {}, 'srun (SLURM_STEP_NUM_TASKS=8)'],
    ['transport "workers"', {}, { transport: 'workers' }, 'npx schuss launch -n 4'],
    ['transport "mpi"', {}, { transport: 'mpi' }, 'has no MPI build'],
  ])('%s is an error that says what to run', async (_, env, options, message) => {
    vi.resetModules();
    // As in an installation without an MPI build, also where there is one.
    vi.doMock('../../../lib/distributed/mpi/addon.js', () => ({ findMpiAddon: () => undefined }));
    const { init: freshInit } = await import('../../../lib/distributed/index.js');
    for (const [name, value] of Object.entries({ WORLD_SIZE: '1', ...env })) vi.stubEnv(name, value);
    await expect(freshInit(options)).rejects.toThrow(message);
    vi.doUnmock('../../../lib/distributed/mpi/addon.js');
  });
});

describe('a world of one', () => {
  test('gives back what it was given', async () => {
    const world = fresh();
    const x = Float32Array.of(1, -2, Number.NaN);
    for (const op of ['sum', 'mean', 'max', 'min'] as const) {
      expect(await world.allReduce(x, { op })).toBe(x);
      expect(world.allReduceSync(x, { op })).toBe(x);
      expect(await world.reduceScatter(x, { op })).toEqual(x);
    }
    expect((await world.reduceScatter(x)).buffer).toBe(x.buffer);
    expect(world.reduceScatterSync(x)).toEqual(x);
    expect(await world.allGather(x)).toBe(x);
    expect(world.allGatherSync(x)).toBe(x);
    expect(await world.broadcast(x)).toBe(x);
    expect(world.broadcastSync(x, { root: 0 })).toBe(x);
    expect([...x]).toEqual([1, -2, Number.NaN]);
    await world.barrier();
    world.barrierSync();
    const value = { a: [1, 2], b: Int32Array.of(3) };
    expect(await world.broadcastObject(value)).toBe(value);
    expect(await world.allGatherObject(value)).toEqual([value]);
  });

  test('takes every type over every memory', async () => {
    const world = fresh();
    for (const Type of [Float32Array, Float64Array, Int32Array, Uint8Array])
      for (const buffer of [new ArrayBuffer(64), new SharedArrayBuffer(64)])
        expect(await world.allReduce(new Type(buffer as ArrayBuffer))).toHaveLength(64 / Type.BYTES_PER_ELEMENT);
  });

  test('close twice is fine, anything after it is an Error', async () => {
    const world = fresh();
    await world.close();
    await world.close();
    await expect(world.barrier()).rejects.toThrow('World: barrier: the world is closed');
    expect(() => world.allReduceSync(new Float32Array(1))).toThrow('World: allReduce: the world is closed');
    await expect(world.broadcastObject(1)).rejects.toThrow('World: broadcastObject: the world is closed');
  });

  test('a signal that is aborted rejects with its reason', async () => {
    const reason = new Error('stop');
    await expect(fresh().barrier({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('it prints', () => {
    expect(inspect(fresh())).toBe(
      "World (\n  rank: 0\n  size: 1\n  localRank: 0\n  transport: 'single'\n  timeout: 600000\n)",
    );
  });
});

describe('refused', () => {
  const detached = (): Float32Array => {
    const x = new Float32Array(4);
    structuredClone(x, { transfer: [x.buffer] });
    return x;
  };
  const x = new Float32Array(4);
  // biome-ignore lint/suspicious/noExplicitAny: bad input
  type Any = any;
  test.each<[string, (world: Any) => unknown, ErrorConstructor, string]>([
    [
      'a list',
      (w) => w.allReduce([1, 2]),
      TypeError,
      'World: allReduce: x: [1, 2], expected a Float32Array, Float64Array',
    ],
    [
      'a Uint32Array',
      (w) => w.broadcast(new Uint32Array(1)),
      TypeError,
      'World: broadcast: x: Uint32Array(1), expected',
    ],
    ['a detached array', (w) => w.allGather(detached()), TypeError, 'World: allGather: x: a detached'],
    ['mean of integers', (w) => w.allReduce(new Int32Array(1), { op: 'mean' }), TypeError, 'op "mean" is for floats'],
    ['avg', (w) => w.allReduce(x, { op: 'avg' }), RangeError, 'World: allReduce: op: "avg", expected "mean"'],
    ['SUM', (w) => w.reduceScatter(x, { op: 'SUM' }), RangeError, 'World: reduceScatter: op: "SUM", expected "sum"'],
    ['product', (w) => w.allReduce(x, { op: 'product' }), RangeError, 'expected "sum" or "mean" or "max" or "min"'],
    ['ReduceOp', (w) => w.allReduce(x, { op: 0 }), TypeError, 'World: allReduce: op: 0, expected "sum"'],
    ['an option', (w) => w.allReduce(x, { root: 0 }), TypeError, 'World: allReduce: root: unknown option'],
    ['src', (w) => w.broadcast(x, { src: 0 }), TypeError, 'World: broadcast: src: unknown option, expected root'],
    [
      'a root',
      (w) => w.broadcast(x, { root: 1 }),
      RangeError,
      'World: broadcast: root: 1, expected an integer in [0, 1)',
    ],
    ['a timeout', (w) => w.barrier({ timeout: -1 }), RangeError, 'World: barrier: timeout: -1, expected (0, inf]'],
    [
      'a signal',
      (w) => w.barrier({ signal: {} }),
      TypeError,
      'World: barrier: signal: an object, expected an AbortSignal',
    ],
    ['a signal in sync', async (w) => w.barrierSync({ signal: undefined }), TypeError, 'signal: unknown option'],
    ['a function', (w) => w.broadcastObject(() => 1), TypeError, 'World: broadcastObject: value: '],
    ['a base', async (w) => w.seed(0.5), RangeError, 'World: seed: base: 0.5, expected an integer'],
    ['a length', async (w) => w.partition(-1), RangeError, 'World: partition: length: -1, expected an integer'],
    ['a code of 0', async (w) => w.abort(0), RangeError, 'World: abort: code: 0, expected an integer in [1, 255]'],
    ['all_reduce', async (w) => w.all_reduce(x), TypeError, 'World: all_reduce: unknown method, expected allReduce'],
    ['Allreduce', async (w) => w.Allreduce(x), TypeError, 'World: Allreduce: unknown method, expected allReduce'],
  ])('%s', async (_, action, Type, message) => {
    const error = await Promise.resolve()
      .then(() => action(fresh()))
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Type);
    expect((error as Error).message).toContain(message);
  });
});
