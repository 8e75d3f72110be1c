// ParameterServer and DownpourWorker: what they do in one thread, and what they refuse.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import * as wrappers from '../../../lib/distributed/index.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adam, groupBy, Momo, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { onRanks, worldsOf } from '../../support/distributed/worlds.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const { DownpourWorker, ParameterServer } = wrappers as any;

// biome-ignore lint/suspicious/noExplicitAny: params of any form
const sgd = (params: any) => new SGD(params, { lr: 1 });

/** Rank 0 serves w with SGD of rate 1, the others work. Returns what each rank returns; rank 0 its statistics. */
function train<T>(
  size: number,
  work: (worker: InstanceType<typeof wrappers.DownpourWorker>, w: Float32Array, world: World) => Promise<T>,
  { server = {}, worker = {}, length = 1 } = {},
): Promise<[wrappers.ParameterServerStatistics, ...T[]]> {
  return onRanks<unknown>(size, async (world) => {
    const w = new Float32Array(length);
    if (world.rank === 0) return new ParameterServer(world, w, { optimizer: sgd, ...server }).serve();
    return work(new DownpourWorker(world, w, { lr: 1, ...worker }), w, world);
  }) as Promise<[wrappers.ParameterServerStatistics, ...T[]]>;
}

async function errorOf(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'no error';
  } catch (error) {
    return String(error);
  }
}

/** Worlds with a deadline of 100 ms. */
const impatient = (size: number): [World, World] => {
  const [first, second] = worldsOf(size).map((world) => new OwnWorld(OwnWorld.transportOf(world)!, 100));
  return [first!, second!];
};

describe('a worker', () => {
  test('steps on its own between fetches, and pushes the sum', async () => {
    const seen = async (worker: InstanceType<typeof DownpourWorker>, w: Float32Array) => {
      const list: number[] = [];
      for (let step = 0; step < 6; step++) {
        await worker.step(f32(1));
        list.push(w[0] as number);
      }
      await worker.close();
      return [...list, w[0]];
    };
    // lr 0.25 here and 1 on the server: fetched values are whole.
    const options = { worker: { lr: 0.25, fetchEvery: 3, pushEvery: 2 } };
    const [statistics, values] = await train(2, seen, options);
    expect(values).toEqual([-0.25, -0.5, -2, -2.25, -2.5, -6, -6]);
    expect(statistics).toEqual({ pushes: 3, fetches: 3, staleness: [2, 1], stale: 0, nonFinite: 0, lost: [] });
  });

  test('begins from the params of the server, with a fetch or without', async () => {
    const results = await onRanks(3, async (world) => {
      const w = f32(world.rank === 0 ? 10 : 0);
      if (world.rank === 0) await new ParameterServer(world, w, { optimizer: sgd, order: 'roundRobin' }).serve();
      else {
        const worker = new DownpourWorker(world, w, { lr: 1, fetchEvery: 5 });
        if (world.rank === 1) {
          await worker.fetch();
          expect(w[0]).toBe(10);
        }
        await worker.step(f32(1));
        expect(w[0]).toBe(9);
        await worker.close();
      }
      return w[0];
    });
    expect(results).toEqual([8, 8, 8]);
  });

  test('close pushes what is left, twice is fine, and nothing may follow', async () => {
    const [statistics, errors] = await train(
      2,
      async (worker, w) => {
        for (let step = 0; step < 5; step++) await worker.step(f32(1));
        await Promise.all([worker.close(), worker.close()]);
        expect(w[0]).toBe(-5);
        return [
          await errorOf(() => worker.step(f32(1))),
          await errorOf(() => worker.fetch()),
          await errorOf(() => worker.push()),
        ];
      },
      { worker: { pushEvery: 4, fetchEvery: 100 } },
    );
    expect(statistics.pushes).toBe(2);
    expect(errors).toEqual(
      ['step', 'fetch', 'push'].map((name) => `Error: DownpourWorker: ${name}: the worker is closed`),
    );
  });

  test('push sends what is there, and nothing if nothing is', async () => {
    const [statistics] = await train(
      2,
      async (worker) => {
        await worker.push();
        await worker.step(f32(1));
        await worker.push();
        await worker.push();
        await worker.close();
      },
      { worker: { pushEvery: 10, fetchEvery: 10 } },
    );
    expect(statistics.pushes).toBe(1);
  });

  test('closing the world closes it', async () => {
    const [statistics] = await onRanks<unknown>(2, async (world) => {
      const w = f32(0);
      let result: unknown;
      if (world.rank === 0) result = await new ParameterServer(world, w, { optimizer: sgd }).serve();
      else await new DownpourWorker(world, w, { lr: 1 }).step(f32(1));
      await world.close();
      return result;
    });
    expect(statistics).toMatchObject({ pushes: 1, lost: [] });
  });

  test('closing the world keeps its deadline, and an aborted signal leaves everything as it was', async () => {
    // The server lets the worker in, and waits for a second worker that does not come.
    const [server, world] = worldsOf(3) as [World, World];
    void new ParameterServer(server, f32(0), { optimizer: sgd }).serve().catch(() => {});
    const worker = new DownpourWorker(world, f32(0), { lr: 1 });
    const aborted = AbortSignal.abort(new Error('no time'));
    expect(await errorOf(() => world.close({ signal: aborted }))).toBe('Error: no time');
    expect(await errorOf(() => world.close({ timeout: 50 }))).toBe(
      'TimeoutError: World: close: servers and workers were not done within 50 ms',
    );
    expect(await errorOf(() => worker.step(f32(1)))).toContain('the worker is closed');
    expect(await errorOf(() => world.barrier())).toContain('TimeoutError: World: close');
  });

  test('a natural end tells the error of a worker, unless the world is broken', async () => {
    const [world] = worldsOf(2) as [OwnWorld];
    OwnWorld.beforeClose(world, async () => {
      throw new Error('the last push failed');
    });
    expect(await errorOf(() => world.leave())).toBe('Error: the last push failed');
    const [broken] = worldsOf(2) as [OwnWorld];
    OwnWorld.beforeClose(broken, async () => {
      OwnWorld.transportOf(broken)!.mail!.giveUp('no answer', []);
      throw new Error('no answer');
    });
    expect(await errorOf(() => broken.leave())).toBe('no error');
  });

  test('null leaves a param and its state on the server', async () => {
    const results = await onRanks(2, async (world) => {
      const params = { a: f32(1, 2), b: f32(3), c: f32(4) };
      if (world.rank > 0) {
        const worker = new DownpourWorker(world, params, { lr: 0.5 });
        await worker.step({ a: f32(1, 1), b: null, c: f32(1) });
        await worker.step({ a: null, b: null, c: f32(1) });
        await worker.close();
        return Object.values(params).map((array) => [...array]);
      }
      const server = new ParameterServer(world, params, {
        optimizer: (part: typeof params) => new Adam(part, { lr: 0.5 }),
      });
      await server.serve();
      const { state } = server.optimizer.stateDict();
      expect([state.a.step, state.b.step, state.c.step]).toEqual([1, 0, 2]);
      return Object.values(params).map((array) => [...array]);
    });
    expect(results).toEqual([0, 1].map(() => [[0.5, 1.5], [3], [3]]));
  });

  test('a gradient that does not fit changes nothing, here and there', async () => {
    const [statistics, errors] = await train(
      2,
      async (worker, w) => {
        const list: string[] = [];
        for (const grads of [f32(1, 2), f32(), [f32(1), f32(1)], { v: f32(1) }, 3, [[1]], new Float64Array(1)])
          list.push(await errorOf(() => worker.step(grads as never)));
        list.push(await errorOf(() => worker.step({ rows: Int32Array.of(0), values: f32(1) })));
        expect(w[0]).toBe(0);
        await worker.step(f32(1));
        await worker.close();
        expect(w[0]).toBe(-1);
        return list;
      },
      {},
    );
    expect(statistics).toMatchObject({ pushes: 1, nonFinite: 0, lost: [] });
    expect(errors).toEqual([
      'RangeError: DownpourWorker: grads: length 2, expected 1',
      'RangeError: DownpourWorker: grads: length 0, expected 1',
      'RangeError: DownpourWorker: grads: 2 gradient(s), expected 1',
      'TypeError: DownpourWorker: grads: an object, expected a Float32Array or null',
      'TypeError: DownpourWorker: grads: 3, expected a Float32Array or null',
      'TypeError: DownpourWorker: grads: [1], expected a Float32Array or null (convert it with Float32Array.from(…))',
      'TypeError: DownpourWorker: grads: Float64Array(1), expected a Float32Array or null (convert it with Float32Array.from(…))',
      'TypeError: DownpourWorker: grads: a sparse gradient, expected a Float32Array or null',
    ]);
  });

  test('one call at a time', async () => {
    await train(2, async (worker, w) => {
      const step = worker.step(f32(1));
      expect(await errorOf(() => worker.fetch())).toBe(
        'TypeError: DownpourWorker: fetch: a call while another one is pending, expected to await that one first',
      );
      const closed = worker.close(); // waits for the step
      await step;
      await closed;
      expect(w[0]).toBe(-1);
    });
  });

  test('a push with a value that is not finite is dropped and counted', async () => {
    const [statistics, ended] = await train(3, async (worker, w) => {
      for (const x of [1, Number.NaN, 1, Number.POSITIVE_INFINITY]) await worker.step(f32(x));
      expect(Number.isFinite(w[0])).toBe(true);
      await worker.close();
      return w[0];
    });
    expect(statistics).toMatchObject({ pushes: 4, nonFinite: 4, stale: 0 });
    expect(ended).toBe(-4);
  });

  test('a sum that overflows is dropped', async () => {
    const [statistics, ended] = await train(
      2,
      async (worker, w) => {
        for (const x of [3e38, 3e38, 1, 1]) await worker.step(f32(x));
        await worker.close();
        return w[0];
      },
      { worker: { lr: 0, pushEvery: 2 } },
    );
    expect(statistics).toMatchObject({ pushes: 1, nonFinite: 1 });
    expect(ended).toBe(-2);
  });
});

describe('a server', () => {
  test('drops pushes that are older than maxStaleness', async () => {
    const [statistics] = await train(
      3,
      async (worker) => {
        for (let step = 0; step < 4; step++) await worker.step(f32(1));
        await worker.close();
      },
      { server: { order: 'roundRobin', maxStaleness: 2 }, worker: { fetchEvery: 100 } },
    );
    // Versions 0, 1, 2 are applied, and all later pushes of both are based on version 0.
    expect(statistics).toEqual({ pushes: 3, fetches: 2, staleness: [1, 1, 1], stale: 5, nonFinite: 0, lost: [] });
  });

  test('warms up with its first worker, then serves the others', async () => {
    const first: number[] = [];
    const [statistics] = await train(
      3,
      async (worker, w, world) => {
        await worker.fetch();
        if (world.rank === 2) first.push(w[0] as number);
        for (let step = 0; step < 8; step++) await worker.step(f32(1));
        await worker.close();
      },
      { server: { warmStart: 5 } },
    );
    expect(statistics.pushes).toBe(16);
    expect(first[0]).toBeLessThanOrEqual(-5);
  });

  test('a first worker that ends early ends the warm start', async () => {
    const [statistics, ...ended] = await train(
      3,
      async (worker, w, world) => {
        for (let step = 0; step < world.rank; step++) await worker.step(f32(1));
        await worker.close();
        return w[0];
      },
      { server: { warmStart: 100 } },
    );
    expect(statistics.pushes).toBe(3);
    expect(ended).toEqual([-3, -3]);
  });

  test('several servers have a part of every param each, and all end with the whole', async () => {
    const own: number[][] = [];
    const results = await onRanks(4, async (world) => {
      const params = { a: new Float32Array(40_000), b: f32(1, 2, 3), c: new Float32Array(20) };
      if (world.rank < 2) {
        const server = new ParameterServer(world, params, {
          servers: 2,
          optimizer: (part: typeof params) => {
            own[world.rank] = Object.values(part).map(({ length }) => length);
            return new SGD(
              groupBy(part, (name) => (name === 'b' ? { lr: 0.5 } : {})),
              { lr: 1 },
            );
          },
        });
        await server.serve();
      } else {
        const worker = new DownpourWorker(world, params, { lr: 0, servers: 2 });
        for (let step = 0; step < 3; step++)
          await worker.step({ a: new Float32Array(40_000).fill(1), b: f32(2, 2, 2), c: new Float32Array(20).fill(1) });
        await worker.close();
      }
      return [params.a.every((x) => x === -6), [...params.b], params.c.every((x) => x === -6)];
    });
    expect(own).toEqual([
      [20_000, 3, 16],
      [20_000, 0, 4],
    ]);
    expect(results).toEqual([0, 1, 2, 3].map(() => [true, [-5, -4, -3], true]));
  });

  test('one server gets params as they were given', async () => {
    const shapes: unknown[] = [];
    const results = await onRanks(2, async (world) => {
      const params = { m: { data: new Float32Array(6), shape: [2, 3] } };
      if (world.rank === 0) {
        const optimizer = (part: typeof params) => {
          shapes.push(part.m.shape);
          return new SGD(part, { lr: 1 });
        };
        await new ParameterServer(world, params, { optimizer }).serve();
      } else {
        const worker = new DownpourWorker(world, params, { lr: 1 });
        await worker.step({ m: new Float32Array(6).fill(1) });
        await worker.close();
      }
      return [...params.m.data];
    });
    expect(shapes).toEqual([[2, 3]]);
    expect(results[1]).toEqual([-1, -1, -1, -1, -1, -1]);
  });

  test('an error of its optimizer is that of serve', async () => {
    const [world, other] = worldsOf(2) as [World, World];
    const optimizer = (params: Float32Array) => {
      const inner = sgd(params);
      inner.registerStepPreHook(() => {
        throw new Error('on purpose');
      });
      return inner;
    };
    const server = new ParameterServer(world, f32(0), { optimizer });
    const worker = new DownpourWorker(other, f32(0), { lr: 1, fetchEvery: 9 });
    await Promise.all([expect(server.serve()).rejects.toThrow('on purpose'), worker.step(f32(1))]);
    expect(server.serve()).toBe(server.serve());
  });

  test('refuses workers whose params differ, and goes on with the others', async () => {
    const results = await onRanks<unknown>(5, async (world) => {
      const forms = [{ a: f32(1) }, { a: f32(1) }, { a: f32(1, 2) }, { b: f32(1) }, { a: f32(1), b: f32(2) }];
      const params = forms[world.rank] as object;
      if (world.rank === 0) return new ParameterServer(world, params, { optimizer: sgd }).serve();
      const worker = new DownpourWorker(world, params, { lr: 1 });
      const error = await errorOf(() => worker.fetch());
      expect(await errorOf(() => worker.push())).toBe(error);
      await worker.close();
      return error;
    });
    const at = 'RangeError: DownpourWorker: params';
    expect(results).toEqual([
      { pushes: 0, fetches: 1, staleness: [], stale: 0, nonFinite: 0, lost: [2, 3, 4] },
      'no error',
      `${at}[0]: rank 0 'a' of length 1, rank 2 'a' of length 2`,
      `${at}[0]: rank 0 'a' of length 1, rank 3 'b' of length 1`,
      `${at}: rank 0 1, rank 4 2`,
    ]);
  });

  test.each(['arrival', 'roundRobin'] as const)(
    'a rank that makes no worker is a TimeoutError that names it: %s',
    async (order) => {
      const [world, second] = impatient(3);
      const server = new ParameterServer(world, f32(0), { optimizer: sgd, order });
      const worker = new DownpourWorker(second, f32(0), { lr: 1 });
      const message = 'TimeoutError: ParameterServer: serve: rank 2 did not come within 100 ms';
      expect(await Promise.all([errorOf(() => server.serve()), errorOf(() => worker.fetch())])).toEqual([
        message,
        order === 'arrival' ? 'no error' : message, // by arrival it is served at once
      ]);
      expect(await errorOf(() => worker.step(f32(1)))).toBe(message);
    },
  );

  test('a server that does not serve is a TimeoutError that names it', async () => {
    const [, second] = impatient(2);
    const worker = new DownpourWorker(second, f32(0), { lr: 1 });
    expect(await errorOf(() => worker.step(f32(1)))).toBe(
      'TimeoutError: DownpourWorker: fetch: rank 0 did not come within 100 ms',
    );
  });
});

describe('refuses', () => {
  test('a second worker on a rank, until the first one is closed', async () => {
    const errors = await onRanks(2, async (world) => {
      const w = f32(0);
      if (world.rank === 0) return String((await new ParameterServer(world, w, { optimizer: sgd }).serve()).pushes);
      const worker = new DownpourWorker(world, w, { lr: 1 });
      const error = await errorOf(() => new DownpourWorker(world, w, { lr: 1 }));
      await worker.step(f32(1));
      await worker.close();
      return error;
    });
    expect(errors).toEqual([
      '1',
      'TypeError: DownpourWorker: world: a rank with a DownpourWorker that is not closed, expected close() of that one first',
    ]);
  });

  test('to serve on after an error: its workers do not wait for ever', async () => {
    const errors = await onRanks(3, async (world) => {
      const w = f32(0);
      if (world.rank > 0) {
        const worker = new DownpourWorker(world, w, { lr: 1 });
        await worker.fetch();
        return errorOf(async () => {
          for (;;) await worker.step(f32(1));
        });
      }
      let pushes = 0;
      const server = new ParameterServer(world, w, {
        optimizer: (part: Float32Array) => {
          const optimizer = new SGD(part, { lr: 1 });
          optimizer.registerStepPreHook(() => {
            if (++pushes === 3) throw new Error('a hook');
          });
          return optimizer;
        },
      });
      return errorOf(() => server.serve());
    });
    const given = 'TimeoutError: ParameterServer: rank 0 serves no more: Error: a hook';
    expect(errors).toEqual(['Error: a hook', given, given]);
  });

  test('an optimizer whose steps need the loss', async () => {
    const [world] = worldsOf(2) as [World, World];
    const optimizer = (part: Float32Array) => new Momo(part);
    expect(await errorOf(() => new ParameterServer(world, f32(1), { optimizer }))).toMatch(
      /^TypeError: ParameterServer: optimizer: .*, expected an optimizer whose steps need no loss$/,
    );
  });

  const one = new OwnWorld(new SingleTransport(), 1000);
  const [first, second] = worldsOf(2) as [World, World];
  const serve = (options: object = {}, world: unknown = first, params: unknown = f32(1)) =>
    errorOf(() => new ParameterServer(world, params, { optimizer: sgd, ...options }));
  const work = (options: object = {}, world: unknown = second, params: unknown = f32(1)) =>
    errorOf(() => new DownpourWorker(world, params, { lr: 1, ...options }));

  test.each<[string, () => Promise<string>, string]>([
    ['no world', () => serve({}, 3), 'TypeError: ParameterServer: world: 3, expected a World (await init())'],
    [
      'a world of one',
      () => serve({}, one),
      'Error: ParameterServer: world: a world of one, expected worker threads or MPI (run npx schuss launch -n 4 script.mjs)',
    ],
    [
      'a world of one, for a worker',
      () => work({}, one),
      'Error: DownpourWorker: world: a world of one, expected worker threads or MPI (run npx schuss launch -n 4 script.mjs)',
    ],
    [
      'a server on another rank',
      () => serve({}, second),
      'RangeError: ParameterServer: world: rank 1, expected a rank below 1',
    ],
    [
      'a worker on a server',
      () => work({}, first),
      'RangeError: DownpourWorker: world: rank 0, expected a rank from 1 on',
    ],
    [
      'no worker left',
      () => serve({ servers: 2 }),
      'RangeError: ParameterServer: servers: 2, expected an integer in [1, 1]',
    ],
    [
      'servers of 0',
      () => work({ servers: 0 }),
      'RangeError: DownpourWorker: servers: 0, expected an integer in [1, 1]',
    ],
    [
      'an unknown option',
      () => serve({ warmstart: 1 }),
      'TypeError: ParameterServer: warmstart: unknown option, expected warmStart',
    ],
    [
      'a negative warm start',
      () => serve({ warmStart: -1 }),
      'RangeError: ParameterServer: warmStart: -1, expected an integer in [0, inf)',
    ],
    [
      'a fraction',
      () => serve({ maxStaleness: 0.5 }),
      'RangeError: ParameterServer: maxStaleness: 0.5, expected an integer',
    ],
    [
      'an order',
      () => serve({ order: 'random' }),
      'RangeError: ParameterServer: order: "random", expected "arrival" or "roundRobin"',
    ],
    [
      'an optimizer that is made',
      () => serve({ optimizer: sgd(f32(1)) }),
      'TypeError: ParameterServer: optimizer: a SGD, expected a function of the params',
    ],
    [
      'no optimizer',
      () => serve({ optimizer: () => 3 }),
      'TypeError: ParameterServer: optimizer: 3, expected an optimizer',
    ],
    [
      'an optimizer of other params',
      () => serve({ optimizer: () => sgd(f32(1)) }),
      'TypeError: ParameterServer: optimizer: a SGD, expected an optimizer of the params that the function is given',
    ],
    ['params', () => serve({}, first, [1, 2]), 'TypeError: ParameterServer: params'],
    [
      'no lr',
      () => work({ lr: undefined }),
      'TypeError: DownpourWorker: lr: undefined, expected a number in [0, inf) or a Schedule',
    ],
    ['a negative lr', () => work({ lr: -1 }), 'RangeError: DownpourWorker: lr: -1, expected [0, inf)'],
    [
      'fetchEvery of 0',
      () => work({ fetchEvery: 0 }),
      'RangeError: DownpourWorker: fetchEvery: 0, expected an integer in [1, inf)',
    ],
    [
      'pushEvery of a string',
      () => work({ pushEvery: '1' }),
      'TypeError: DownpourWorker: pushEvery: "1", expected an integer in [1, inf)',
    ],
  ])('%s', async (_, action, message) => {
    expect(await action()).toContain(message);
  });
});

test('console.log and toString name the class, the rank and the options', () => {
  const [first, second] = worldsOf(2) as [World, World];
  const server = new ParameterServer(first, f32(1), { optimizer: sgd, maxStaleness: 3 });
  const worker = new DownpourWorker(second, { w: f32(1) }, { lr: 0.5, fetchEvery: 2 });
  for (const text of [inspect(server), `${server}`]) {
    expect(text).toMatch(/^ParameterServer \(\n {2}rank: 0\n {2}size: 2\n {2}servers: 1\n {2}warmStart: 0\n/);
    expect(text).toContain("\n  maxStaleness: 3\n  order: 'arrival'\n");
    expect(text).toContain('SGD (');
  }
  for (const text of [inspect(worker), `${worker}`]) {
    expect(text).toMatch(/^DownpourWorker \(\n {2}rank: 1\n {2}size: 2\n {2}lr: 0.5\n {2}servers: 1\n/);
    expect(text).toContain('\n  fetchEvery: 2\n  pushEvery: 1\n');
    expect(text).toContain('w: [1]');
  }
});
