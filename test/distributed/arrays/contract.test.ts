// An array that is transferred or shrunk while it belongs to a collective.
import { expect, test } from 'vitest';
import { job, started } from '../../support/job.js';

test('before it begins: the same TypeError on every rank, nothing is written, and the world goes on', async () => {
  const code = `${started}
    const x = new Float32Array(4).fill(world.rank + 1);
    if (world.rank === 0) await sleep(200);
    const first = world.barrier();
    const second = attempt(() => world.allReduce(x));
    let moved = x;
    if (world.rank === 1) moved = structuredClone(x, { transfer: [x.buffer] }); // rank 0 has not come to the barrier yet
    await first;
    say(await second);
    say([...moved]);
    say((await world.allReduce(Float32Array.of(1)))[0]);`;
  const { said, status, err } = await job(2, code);
  expect([status, err]).toEqual([0, '']);
  const message =
    'TypeError: World: allReduce #3: x: a detached or out-of-bounds Float32Array, on rank 1, expected one that stays ' +
    'until the call settles (its buffer was transferred or resized)';
  expect(said).toEqual([
    [message, [1, 1, 1, 1], 2],
    [message, [2, 2, 2, 2], 2],
  ]);
});

test('after its values have left: only its rank gets the TypeError, and it is not written', async () => {
  const code = `${started}
    if (world.rank === 0) await sleep(200);
    const x = new Float32Array(4).fill(world.rank + 1);
    const sum = world.allReduce(x);
    let moved = x;
    if (world.rank === 1) moved = structuredClone(x, { transfer: [x.buffer] });
    say((await attempt(() => sum)).split(':')[0]);
    say([...moved]);
    say((await world.allReduce(Float32Array.of(1)))[0]);`;
  const { said, status } = await job(2, code);
  expect(status).toBe(0);
  expect(said).toEqual([
    ['no error', [3, 3, 3, 3], 2],
    ['TypeError', [2, 2, 2, 2], 2],
  ]);
});

test('an ArrayBuffer that was shrunk is not written', async () => {
  const code = `${started}
    if (world.rank === 0) await sleep(200);
    const buffer = new ArrayBuffer(16, { maxByteLength: 16 });
    const x = new Float32Array(buffer).fill(world.rank + 1);
    const sum = world.allReduce(x);
    if (world.rank === 1) buffer.resize(8);
    say((await attempt(() => sum)).split(':')[0]);
    say([...new Float32Array(buffer)]);`;
  const { said } = await job(2, code);
  expect(said).toEqual([
    ['no error', [3, 3, 3, 3]],
    ['TypeError', [2, 2]],
  ]);
});
