// Slips that would train each rank alone, or end in an error that names nothing of the user's.
import { describe, expect, test } from 'vitest';
import * as distributed from '../../../lib/distributed/index.js';
import * as wrappers from '../../../lib/distributed/optimizers/data-parallel.js';
import { Adam, AdamW, Lookahead, SAM, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { onRanks, worldsOf } from '../../support/distributed/worlds.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const all = { ...distributed, ...wrappers } as any;
const { DataParallel, init, SandblasterLBFGS, ShardedOptimizer } = all;

describe('an optimizer inside a DataParallel', () => {
  const held = 'AdamW: this: an optimizer inside a DataParallel, expected the step() of the DataParallel';

  test('refuses its own steps, between those of the wrapper too', async () => {
    const results = await onRanks(2, async (world) => {
      const w = f32(0);
      const inner = new AdamW(w, { lr: 0.5, weightDecay: 0 });
      const optimizer = await DataParallel.create(inner, world);
      expect(() => inner.step(f32(1))).toThrow(held);
      await expect(inner.stepAsync(f32(1))).rejects.toThrow(held);
      await optimizer.step(f32(1));
      expect(() => inner.step(f32(1))).toThrow(held);
      await expect(optimizer.step(f32(world.rank), { gradScale: 1 + world.rank })).rejects.toThrow('gradScale');
      expect(() => inner.step(f32(1))).toThrow(held);
      return [w[0], inner.stepCount];
    });
    expect(results).toEqual([
      [-0.5, 1],
      [-0.5, 1],
    ]);
  });

  test('does so inside a Lookahead', async () => {
    const lookahead = new Lookahead(new AdamW(f32(0)));
    const optimizer = await DataParallel.create(lookahead, worldsOf(1)[0]);
    expect(() => lookahead.step(f32(1))).toThrow(held);
    expect(await optimizer.step(f32(1))).toEqual({ applied: true });
  });

  test('is given back by unwrap(), until the next step of the wrapper', async () => {
    const inner = new AdamW(f32(0));
    const optimizer = await DataParallel.create(inner, worldsOf(1)[0]);
    expect(optimizer.unwrap()).toBe(inner);
    expect(inner.step(f32(1))).toEqual({ applied: true });
    await optimizer.step(f32(1));
    expect(() => inner.step(f32(1))).toThrow(held);
  });

  test.each(['DataParallel', 'ShardedOptimizer'])('refuses its own steps while one of a %s is pending', async (who) => {
    const found = await onRanks(2, async (world) => {
      const w = new Float32Array(64);
      const options = { lr: 1, clipNorm: 100 };
      const optimizer =
        who === 'DataParallel'
          ? await DataParallel.create(new SGD(w, options), world)
          : await ShardedOptimizer.create(SGD, w, options, world);
      const inner = optimizer.unwrap();
      let isPending = true;
      const step = optimizer.step(new Float32Array(64).fill(1)).finally(() => {
        isPending = false;
      });
      const errors: unknown[] = [];
      for (; isPending; await new Promise((resolve) => setImmediate(resolve))) {
        optimizer.unwrap();
        errors.push(await inner.stepAsync(new Float32Array(64)).then(() => 'a step', String));
      }
      return [await step, new Set(errors), inner.stepCount, new Set(w)];
    });
    const error = `TypeError: SGD: this: an optimizer inside a ${who}, expected the step() of the ${who}, which create() returned (unwrap() gives the optimizer back)`;
    const each = [{ applied: true, gradNorm: 8 }, new Set([error]), 1, new Set([-1])];
    expect(found).toEqual([each, each]);
  });

  test('has one wrapper at a time', async () => {
    const [world] = worldsOf(1);
    const adam = new Adam(f32(0));
    const optimizer = await DataParallel.create(adam, world);
    await expect(DataParallel.create(adam, world)).rejects.toThrow(
      'DataParallel: optimizer: one inside a DataParallel, expected one of its own (unwrap() gives it back)',
    );
    await DataParallel.create(optimizer.unwrap(), world);
  });

  test('is free where the ranks did not agree', async () => {
    await onRanks(2, async (world) => {
      const adam = new Adam(f32(0), { lr: 1 + world.rank });
      await expect(DataParallel.create(adam, world)).rejects.toThrow(RangeError);
      expect(adam.step(f32(1))).toEqual({ applied: true });
    });
  });
});

test.each([
  ['DataParallel', () => new DataParallel(new SGD(f32(0), { lr: 1 }), worldsOf(1)[0])],
  ['DataParallel', () => new DataParallel()],
  ['ShardedOptimizer', () => new ShardedOptimizer(SGD, f32(0), { lr: 1 }, worldsOf(1)[0])],
  ['SandblasterLBFGS', () => new SandblasterLBFGS(worldsOf(1)[0], f32(0), { portions: 1, f: () => 0 })],
])('new %s() names create()', (who, make) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(`${who}: new: new ${who}(…), expected await ${who}.create(`);
});

test('init() without await: rank and size of the promise throw', async () => {
  const world = init();
  for (const name of ['rank', 'size'])
    expect(() => world[name]).toThrow(`init: ${name}: a member of a promise, expected await init()`);
  expect((await world).size).toBe(1);
});

describe('names of other libraries', () => {
  // biome-ignore lint/suspicious/noExplicitAny: names that are not there
  const world: any = worldsOf(1)[0];

  test.each([
    ['send', 'World: send: unknown method, expected a collective'],
    ['reduce', 'World: reduce: unknown method, expected allReduce'],
    ['gather', 'World: gather: unknown method, expected allGather'],
    ['scatter', 'World: scatter: unknown method, expected broadcast'],
    ['new_group', 'World: new_group: unknown method, expected one world of all ranks'],
  ])('world.%s()', (name, message) => {
    expect(() => world[name]()).toThrow(message);
  });

  test('world.world_size', () => {
    expect(() => world.world_size).toThrow('World: world_size: unknown member, expected size');
  });

  test.each([
    ['noSync', 'noSync: unknown method, expected accumulate('],
    ['no_sync', 'no_sync: unknown method, expected accumulate('],
    ['zero_grad', 'zero_grad: unknown method, expected nothing: step() copies'],
    ['consolidate_state_dict', 'consolidate_state_dict: unknown method, expected await stateDict() on every rank'],
    ['set_epoch', 'set_epoch: unknown method, expected the option epoch of shardBatches'],
  ])('%s() of a wrapper', async (name, message) => {
    const data = await DataParallel.create(new Adam(f32(0)), world);
    expect(() => data[name]()).toThrow(`DataParallel: ${message}`);
    const sharded = await ShardedOptimizer.create(Adam, f32(0), {}, world);
    expect(() => sharded[name]()).toThrow(`ShardedOptimizer: ${message}`);
    const sam = await DataParallel.create(new SAM(new SGD(f32(0), { lr: 1 })), world);
    expect(() => sam[name]()).toThrow(`DataParallelSAM: ${message}`);
  });

  test.each([
    ['bucket_cap_mb', 'unknown option, expected bucketBytes'],
    ['find_unused_parameters', 'unknown option, expected none: give null for a param without a gradient'],
  ])('create(…, { %s })', async (name, message) => {
    const call = DataParallel.create(new Adam(f32(0)), world, { [name]: 1 });
    await expect(call).rejects.toThrow(`DataParallel: ${name}: ${message}`);
  });

  test.each(['batch_size', 'batchSize'])('shardBatches(…, { %s })', (name) => {
    const call = () => distributed.shardBatches(10, world, { [name]: 2, epoch: 0 } as never);
    expect(call).toThrow(`shardBatches: ${name}: unknown option, expected batch`);
  });

  test.each(['world_size', 'rank'])('init({ %s })', async (name) => {
    await expect(init({ [name]: 1 })).rejects.toThrow(
      `init: ${name}: unknown option, expected none: the launcher decides`,
    );
  });
});

test('step() without an argument says that null will do', async () => {
  const optimizer = await DataParallel.create(new Adam({ w: f32(0) }), worldsOf(1)[0]);
  optimizer.accumulate({ w: f32(1) });
  await expect(optimizer.step()).rejects.toThrow('DataParallel: grads: undefined, expected gradients, or null to step');
});

test('a world in the place of the options of a class', async () => {
  const call = ShardedOptimizer.create(Adam, f32(0), worldsOf(1)[0]);
  await expect(call).rejects.toThrow(
    'ShardedOptimizer: options: a World, expected the options of the class, then the world',
  );
});

test('a world that is closed: nobody waits for the others', async () => {
  const w = () => f32(0);
  const sgd = (params: Float32Array) => new SGD(params, { lr: 1 });
  const found = await onRanks(2, async (world) => {
    const server = world.rank === 0 ? new all.ParameterServer(world, w(), { optimizer: sgd }) : undefined;
    const lbfgs = await SandblasterLBFGS.create(world, w(), { portions: 4, f: () => 0 });
    await world.close();
    const calls: (() => unknown)[] = [
      () => server?.serve() ?? world.barrier(),
      () => lbfgs.step(),
      () => (world.rank === 0 ? new all.ParameterServer(world, w(), { optimizer: sgd }) : undefined) ?? world.barrier(),
      () => (world.rank === 1 ? new all.DownpourWorker(world, w(), { lr: 1 }) : undefined) ?? world.barrier(),
      () => SandblasterLBFGS.create(world, w(), { portions: 4, f: () => 0 }),
      () => all.hogwild(world, w(), sgd),
      () => DataParallel.create(sgd(w()), world),
      () => ShardedOptimizer.create(SGD, w(), { lr: 1 }, world),
    ];
    const errors: string[] = [];
    for (const call of calls)
      errors.push(
        await (async () => call())().then(
          () => 'no error',
          (error: unknown) => String(error).replace(/World: \w+: /, ''),
        ),
      );
    return errors;
  });
  const closed = 'Error: the world is closed';
  const own = (who: string) => `Error: ${who}: the world is closed`;
  expect(found).toEqual([
    [own('ParameterServer: serve'), closed, own('ParameterServer'), ...Array(5).fill(closed)],
    [closed, closed, closed, own('DownpourWorker'), ...Array(4).fill(closed)],
  ]);
});
