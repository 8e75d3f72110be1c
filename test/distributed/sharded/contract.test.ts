// ShardedOptimizer: memory, states of any number of ranks, bad input, and failures of one rank.
import { expect, test } from 'vitest';
import { hashOf } from '../../../lib/distributed/differences.js';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import type { Call } from '../../../lib/distributed/world/transport.js';
import { Adam, AdamW, DoG, LAMB, Lookahead, Momo, Muon, ScheduleFreeSGD, SGD } from '../../../lib/index.js';
import { arraysOf, type Case, create, newParams, special, train } from '../../support/distributed/sharded.js';
import { errorsOn, onRanks, worldsOf } from '../../support/distributed/worlds.js';
import { numbers } from '../../support/random.js';

const adam: Case = { name: 'Adam', Class: Adam as never, options: { lr: 0.01, ema: 0.9 }, isSparse: false };
const muon = special.find(({ name }) => name.startsWith('Muon')) as Case;

test('each rank has its part of element-wise state', async () => {
  const whole = new Adam(newParams(), { ema: 0.9 });
  const bytes = arraysOf(newParams()).reduce((sum, { length }) => sum + 4 * length, 0);
  expect(whole.stateDict().optimizer).toBe('Adam');
  for (const size of [1, 2, 4]) {
    const own = await onRanks(size, async (world) => (await create(world, newParams(), adam, true)).stateBytes);
    const arrays = 3 * arraysOf(newParams()).length;
    expect(own.reduce((a, b) => a + b)).toBe(3 * bytes);
    for (const each of own) expect(each).toBeLessThanOrEqual((3 * bytes) / size + 256 * arrays);
  }
});

test('whole matrices are dealt out, the largest first', async () => {
  const params = () => [30, 10, 20, 40].map((n) => ({ data: numbers(4 * n, n), shape: [n, 4] as const }));
  const own = await onRanks(2, async (world) => (await ShardedOptimizer.create(Muon, params(), {}, world)).stateBytes);
  expect(own).toEqual([16 * (40 + 10), 16 * (30 + 20)]);
});

test.each([adam, muon])('a state of any number of ranks continues on any other: $name', async (given) => {
  const states: unknown[] = [];
  const start = async (size: number, dict: unknown, plain: boolean) =>
    onRanks(size, async (world) => {
      const params = newParams();
      const optimizer = await create(world, params, given, !plain);
      if (dict !== undefined) await optimizer.loadStateDict((world.rank === 0 || plain ? dict : undefined) as never);
      const loaded = await optimizer.stateDict();
      states.push(loaded && hashOf(loaded));
      await train(world, optimizer, params, given, 0, 2);
      const after = await optimizer.stateDict();
      return { params: arraysOf(params).map(hashOf), after };
    });
  const { after } = (await start(3, undefined, false))[0]!;
  states.length = 0;
  const [two] = await start(2, after, false);
  const [plain] = await start(2, after, true);
  expect(new Set(states.filter((state) => state !== undefined))).toEqual(new Set([hashOf(after)]));
  expect(hashOf(two!.after)).toBe(hashOf(plain!.after));
  expect(two!.params).toEqual(plain!.params);
});

test('a state that does not fit changes nothing on any rank, and is the same error', async () => {
  const errors = await onRanks(3, async (world) => {
    const params = newParams();
    const optimizer = await create(world, params, muon, true);
    await train(world, optimizer, params, muon, 0, 2);
    const before = await optimizer.stateDict();
    const bad = structuredClone(before) as { state: Record<string, Record<string, unknown>> } | undefined;
    if (bad !== undefined) bad.state['table']!['momentumBuffer'] = new Float32Array(5);
    const error = await optimizer.loadStateDict(bad as never).catch(String);
    const differing = await optimizer.loadStateDict({ rank: world.rank } as never).catch(String);
    expect(hashOf(await optimizer.stateDict())).toBe(hashOf(before));
    return [error, differing];
  });
  expect(new Set(errors.map(String)).size).toBe(1);
  expect(errors[0]![0]).toMatch(
    /RangeError: Muon\.loadStateDict: state\["table"\]\.momentumBuffer: length 5, expected 36/,
  );
  expect(errors[0]![1]).toMatch(/RangeError: ShardedOptimizer\.loadStateDict: dict: rank 0 one with SHA-256/);
});

test('bad input is refused before anything has changed', async () => {
  const w = () => new Float32Array(40);
  const make =
    (...given: readonly unknown[]) =>
    (world: unknown) =>
      (ShardedOptimizer.create as (...args: unknown[]) => Promise<unknown>)(...given, world);
  expect(await errorsOn(2, make(Lookahead, w(), {}))).toEqual(
    Array(2).fill(expect.stringContaining('TypeError: ShardedOptimizer: Class')),
  );
  expect(await errorsOn(2, make(new Adam(w()), w(), {}))).toEqual(
    Array(2).fill(expect.stringContaining('a class of optimizers')),
  );
  expect(await errorsOn(2, make(Adam, w(), { lrr: 1 }))).toEqual(
    Array(2).fill(expect.stringContaining('TypeError: Adam: lrr: unknown option')),
  );
  expect(await errorsOn(2, (world) => ShardedOptimizer.create(Adam, w(), { lr: world.rank }, world))).toEqual(
    Array(2).fill('RangeError: ShardedOptimizer: paramGroups[0].lr: rank 0 0, rank 1 1'),
  );
  expect(
    await errorsOn(2, (world) =>
      ShardedOptimizer.create((world.rank === 0 ? Adam : AdamW) as typeof Adam, w(), {}, world),
    ),
  ).toEqual(Array(2).fill('RangeError: ShardedOptimizer: class: rank 0 Adam, rank 1 AdamW'));
  expect(
    await errorsOn(2, (world) =>
      ShardedOptimizer.create(SGD, numbers(40, world.rank), { lr: 1 }, world, { broadcast: false }),
    ),
  ).toEqual(Array(2).fill(expect.stringMatching(/RangeError: ShardedOptimizer: params\S*: rank 0 with SHA-256/)));
});

test('a class that needs whole gradients refuses sparse ones on every rank', async () => {
  const errors = await errorsOn(3, async (world) => {
    const optimizer = await ShardedOptimizer.create(
      LAMB,
      { w: { data: new Float32Array(40), shape: [10, 4] } },
      {},
      world,
    );
    await optimizer.step({ w: { rows: Int32Array.of(1), values: new Float32Array(4) } });
  });
  expect(errors).toEqual(
    Array(3).fill(expect.stringContaining('grads["w"]: a sparse gradient, expected a Float32Array or null')),
  );
});

test.each([
  ['Adam', Adam, {}],
  ['Momo', Momo, { loss: 1 }],
] as const)('where one rank fails before its step no rank steps: %s', async (_, Class, given) => {
  const run = (fails: boolean) =>
    onRanks(3, async (world) => {
      const w = new Float32Array(100);
      const optimizer = await ShardedOptimizer.create(Class as typeof Adam, w, { clipNorm: 1 }, world);
      const step = () => optimizer.step(numbers(100, 1), given).then(() => 'stepped', String);
      const remove = optimizer.registerStepPreHook(() => {
        if (world.rank === 1) throw new Error('a hook');
      });
      const first = fails ? await step() : 'none';
      expect(w.every((x) => x === 0)).toBe(true);
      remove();
      return { first, second: await step(), params: hashOf(w) };
    });
  const [failed, whole] = [await run(true), await run(false)];
  const others = 'Error: ShardedOptimizer.step: rank 1 failed: Error: a hook';
  expect(failed.map(({ first }) => first)).toEqual([others, 'Error: a hook', others]);
  for (const [rank, { second, params }] of failed.entries())
    expect([second, params]).toEqual(['stepped', whole[rank]!.params]);
});

test('an option cannot select a kernel that needs the whole of a divided param', async () => {
  const errors = await errorsOn(2, async (world) => {
    const optimizer = await ShardedOptimizer.create(
      Muon,
      { w: { data: new Float32Array(8), shape: [2, 4] } },
      { useMuon: false },
      world,
    );
    optimizer.paramGroups[0]!['useMuon'] = true;
  });
  expect(errors).toEqual(
    Array(2).fill(expect.stringContaining('params["w"]: options that select muon, which needs the whole param')),
  );
});

test('params have the averaged weights in evaluation mode', async () => {
  const seen = await onRanks(2, async (world) => {
    const w = numbers(64, 1);
    const optimizer = await ShardedOptimizer.create(ScheduleFreeSGD, w, { lr: 0.5 }, world);
    for (let step = 0; step < 3; step++) await optimizer.step(numbers(64, step));
    const trained = hashOf(w);
    await optimizer.eval();
    const evaluated = hashOf(w);
    await optimizer.train();
    expect(hashOf(w)).toBe(trained);
    return evaluated;
  });
  const w = numbers(64, 1);
  const plain = new ScheduleFreeSGD(w, { lr: 0.5 });
  for (let step = 0; step < 3; step++) plain.step(numbers(64, step));
  plain.eval();
  expect(seen).toEqual([hashOf(w), hashOf(w)]);
});

test('a param group is divided, too', async () => {
  const digests = await onRanks(3, async (world) => {
    const [a, b] = [numbers(50, 1), numbers(70, 2)];
    const optimizer = await ShardedOptimizer.create(Adam, [a], {}, world);
    await optimizer.step([numbers(50, 3)]);
    optimizer.addParamGroup({ params: [b], lr: 0.1 });
    await optimizer.step([numbers(50, 4), numbers(70, 5)]);
    return hashOf([a, b]);
  });
  const [a, b] = [numbers(50, 1), numbers(70, 2)];
  const plain = new Adam([a]);
  plain.step([numbers(50, 3)]);
  plain.addParamGroup({ params: [b], lr: 0.1 });
  plain.step([numbers(50, 4), numbers(70, 5)]);
  // Three equal gradients: their sum times 1/3 is not always the gradient.
  expect(new Set(digests).size).toBe(1);
});

test.each([true, false])('DoG has the bits of DataParallel when layerWise changes to %s', async (isLayerWise) => {
  const run = (isSharded: boolean): Promise<unknown[]> =>
    onRanks(2, async (world) => {
      const params = { a: numbers(40, 1), b: numbers(24, 2) };
      const options = { repsRel: 0.1, layerWise: !isLayerWise };
      const optimizer = isSharded
        ? await ShardedOptimizer.create(DoG, params, options, world)
        : await DataParallel.create(new DoG(params, options), world);
      for (let step = 0; step < 6; step++) {
        if (step === 3) optimizer.paramGroups[0]!.layerWise = isLayerWise;
        await optimizer.step({ a: numbers(40, step + world.rank), b: numbers(24, step) });
      }
      return [hashOf(params), (optimizer.unwrap() as DoG).G];
    });
  expect(await run(true)).toEqual(await run(false));
});

test.each<[when: string, options: object, due: number, isDue: (call: Call) => boolean, v: number[]]>([
  // The rank does not step then: its part of v stays.
  [
    'gradients are measured',
    { clipNorm: 1e6 },
    1,
    ({ kind, type }) => kind + type === 'allReduceFloat64Array',
    [0, -1],
  ],
  ['params travel', {}, 1, ({ kind, type }) => kind + type === 'allGatherFloat32Array', [-1]],
])('a param is transferred while %s: an error of its rank, and nobody waits', async (_, options, due, isDue, all) => {
  const found = await Promise.all(
    worldsOf(2, 3000).map(async (world) => {
      const params = { v: new Float32Array(20).fill(1), w: new Float32Array(100).fill(1) };
      const optimizer = await ShardedOptimizer.create(SGD, params, { lr: 1, ...options }, world, { bucketBytes: 64 });
      const step = () => optimizer.step({ v: new Float32Array(20).fill(1), w: new Float32Array(100).fill(1) });
      await step();
      const transport = OwnWorld.transportOf(world)!;
      const run = transport.run.bind(transport);
      let count = 0;
      if (world.rank === 0)
        transport.run = (call) => {
          const running = run(call);
          if (isDue(call) && ++count === due) structuredClone(params.w, { transfer: [params.w.buffer] });
          return running;
        };
      const result = await step().catch(String);
      return [result, [...new Set(params.v)], params.w.length === 0 ? [] : [...new Set(params.w.subarray(64))]];
    }),
  );
  expect(found).toEqual([
    [expect.stringMatching(/^TypeError: .* params\["w"\]: a detached Float32Array/), all, []],
    [expect.objectContaining({ applied: true }), all, [-1]],
  ]);
});
