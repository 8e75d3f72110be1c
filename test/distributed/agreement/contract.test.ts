// Collectives that differ between ranks, several at once, objects, and the end of a world.
import { describe, expect, test } from 'vitest';
import { job, joined, started } from '../../support/job.js';

/** What all ranks must say alike. */
const alike = (size: number, ...values: unknown[]): unknown[][] => Array.from({ length: size }, () => values);

test('a difference is the same RangeError on every rank, nothing has changed, and the world goes on', async () => {
  const code = `${joined}
    const { rank } = world, x = new Float32Array(rank === 2 ? 99 : 100).fill(rank + 1);
    const errors = [
      await attempt(() => world.allReduce(x)),
      await attempt(() => world.broadcast(new Float32Array(4), { root: rank === 1 ? 1 : 0 })),
      await attempt(() => world.allReduceSync(new Float32Array(4), { op: rank === 2 ? 'max' : 'sum' })),
      await attempt(() => world.allGather(rank === 1 ? new Int32Array(4) : new Float32Array(4))),
      await attempt(() => (rank === 2 ? world.barrier() : world.allReduce(new Float32Array(4)))),
      await attempt(() => (rank === 1 ? world.broadcastObject(1) : world.allGatherObject(1))),
      await attempt(() => (rank === 0 ? world.close() : world.barrier())),
    ];
    say(errors);
    say(x.every((v) => v === rank + 1));
    say([...(await world.allReduce(Float32Array.of(rank)))]);
    await world.close();`;
  const { status, said, err } = await job(3, code);
  expect(err).toBe('');
  expect(said).toEqual(
    alike(
      3,
      [
        'RangeError: World: allReduce #1: rank 0 length 100, rank 2 length 99',
        'RangeError: World: broadcast #2: rank 0 root 0, rank 1 root 1',
        'RangeError: World: allReduce #3: rank 0 op "sum", rank 2 op "max"',
        'RangeError: World: allGather #4: rank 0 Float32Array, rank 1 Int32Array',
        'RangeError: World: allReduce #5: rank 0 allReduce, rank 2 barrier',
        'RangeError: World: allGatherObject #6: rank 0 allGatherObject, rank 1 broadcastObject',
        'RangeError: World: close #7: rank 0 close, rank 1 barrier',
      ],
      true,
      [3],
    ),
  );
  expect(status).toBe(0);
});

test('several at once run in the order of the calls, and a blocking call completes those before it', async () => {
  const code = `${joined}
    const { rank } = world, settled = [];
    if (rank === 1) await sleep(200);
    const all = [1, 2, 3].map((k) => world.allReduce(Float32Array.of(k)).then(([v]) => settled.push(v)));
    const blocking = world.allReduceSync(Float32Array.of(10))[0];
    const later = world.broadcastObject({ rank }, { root: 1 });
    await Promise.all(all);
    say([settled, blocking, await later]);`;
  const { said } = await job(2, code);
  expect(said).toEqual(alike(2, [[2, 4, 6], 20, { rank: 1 }]));
});

test('the event loop goes on while a call waits, and is held by it', async () => {
  const code = `${started}
    if (world.rank === 1) await sleep(500);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    timer.unref();
    world.barrier().then(() => say(world.rank === 1 || ticks >= 5));`;
  const { said, status } = await job(2, code);
  expect(said).toEqual(alike(2, true));
  expect(status).toBe(0);
});

test('objects: plain data and typed arrays, from any root', async () => {
  const code = `${joined}
    const { rank } = world;
    const own = { rank, list: [null, 'ä', 2n ** 70n === 2n ** 70n], nested: { x: Float32Array.of(rank, 0.5) }, map: new Map([[1, 2]]) };
    const all = await world.allGatherObject(own);
    say(all.map(({ rank, list, nested, map }) => [rank, list, nested.x instanceof Float32Array, [...nested.x], [...map]]));
    say(all[rank] === own);
    say(await world.broadcastObject(rank === 2 ? undefined : rank, { root: 2 }) === undefined);
    say((await world.broadcastObject(new Float32Array(3).fill(rank), { root: 1 })).join());
`;
  const { said } = await job(3, code);
  const entry = (rank: number): unknown => [rank, [null, 'ä', true], true, [rank, 0.5], [[1, 2]]];
  for (let rank = 0; rank < 3; rank++)
    expect(said[rank]).toEqual([[entry(0), entry(1), entry(2)], true, true, '1,1,1']);
});

test('rank and size are in the environment, seeds differ, parts are the same', async () => {
  const code = `
    const { RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, SCHUSS_RESTART } = process.env;
    ${joined}
    const [a, b] = [world, await init()];
    say([RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, SCHUSS_RESTART, a === b, world.rank, world.size, world.localRank,
      world.transport, world.timeout]);
    say(new Set(await world.allGatherObject(world.seed(7))).size);
    say(world.partition(100));
    say(process.argv.slice(2));`;
  const { said } = await job(2, code, { args: ['--lr', '3', '-n', '9'], options: ['--timeout', '5000'] });
  const parts = [
    [0, 64],
    [64, 100],
  ];
  const of = (r: number): unknown[] => [
    [`${r}`, '2', `${r}`, '2', '0', true, r, 2, r, 'workers', 5000],
    2,
    parts,
    ['--lr', '3', '-n', '9'],
  ];
  expect(said).toEqual([of(0), of(1)]);
});

describe('the end', () => {
  test('close waits for the others, twice is fine, and another call after it is an Error', async () => {
    const code = `${started}
      const begun = performance.now();
      if (world.rank === 1) await sleep(300);
      await world.close();
      say(world.rank === 1 || performance.now() - begun > 200);
      await world.close();
      say(await attempt(() => world.barrier()));
      process.exit(0);`;
    const { said, status } = await job(2, code);
    expect(said).toEqual(alike(2, true, 'Error: World: barrier: the world is closed'));
    expect(status).toBe(0);
  });

  test('a natural end closes the world, also while others close it explicitly', async () => {
    const { status, err } = await job(3, `${joined} await world.barrier(); if (world.rank === 1) await world.close();`);
    expect([status, err]).toEqual([0, '']);
  });

  test('a script that needs no world ends as it likes', async () => {
    expect((await job(2, 'process.exit(0);')).status).toBe(0);
    expect((await job(2, 'say(1);')).said).toEqual(alike(2, 1));
  });
});

describe('signals', () => {
  test('a call that has not begun is cancelled; one that has begun goes on', async () => {
    // Rank 2 comes late and never makes the second call.
    const code = `${started}
      const controller = new AbortController();
      if (world.rank === 2) await sleep(300);
      const begun = world.allReduce(Float32Array.of(1), { signal: controller.signal });
      const waiting = world.rank === 2 ? 0 : world.allReduce(Float32Array.of(100), { signal: controller.signal });
      const after = world.allReduce(Float32Array.of(5));
      const cancelled = attempt(() => waiting);
      if (world.rank !== 2) controller.abort(new Error('enough'));
      say([(await begun)[0], await cancelled, (await after)[0]]);
      say(world.rank === 2 ? '' : await attempt(() => world.barrier({ signal: controller.signal })));`;
    const { said, status } = await job(3, code);
    expect(status).toBe(0);
    const cancelled = [[3, 'Error: enough', 15], 'Error: enough'];
    expect(said).toEqual([cancelled, cancelled, [[3, 'no error', 15], '']]);
  });
});
