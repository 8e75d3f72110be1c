// Ranks that do not come in time.
import { expect, test } from 'vitest';
import { job, joined, started } from '../../support/job.js';

test('the call rejects with the ranks that have not come, and every later call throws the same error', async () => {
  const code = `${started}
    if (world.rank === 2) await sleep(1500);
    let first;
    try {
      await world.allReduce(new Float32Array(3), { timeout: 400 });
    } catch (error) {
      first = error;
    }
    say([first instanceof TimeoutError, first.name, first.ranks, first.message]);
    let same = 0;
    for (const call of [() => world.barrier(), () => world.allGatherObject(1), async () => world.barrierSync()])
      await call().catch((error) => { same += error === first; });
    say(same);
    await world.close();`;
  const { said, status } = await job(3, code);
  const all = [[true, 'TimeoutError', [2], 'World: allReduce #2: rank 2 did not come within 400 ms'], 3];
  expect(said).toEqual([all, all, all]);
  expect(status).toBe(0);
});

test('a blocking call has a deadline too, and names several ranks', async () => {
  const code = `${started}
    if (world.rank > 0) await sleep(1000);
    try {
      world.barrierSync({ timeout: 200 });
    } catch (error) {
      say([error.ranks, error.message]);
    }`;
  const { said } = await job(3, code);
  expect(said[0]).toEqual([[[1, 2], 'World: barrier #2: ranks 1, 2 did not come within 200 ms']]);
});

test('the deadline of a call that waits behind others counts from the call', async () => {
  const code = `${started}
    if (world.rank === 1) await sleep(1500);
    const calls = [world.barrier(), world.allReduce(new Float32Array(1), { timeout: 300 })];
    say((await Promise.allSettled(calls)).map(({ reason }) => reason?.message));`;
  const { said } = await job(2, code);
  const message = 'World: barrier #2: rank 1 did not come within 300 ms';
  expect(said).toEqual([[[message, message]], [[message, message]]]);
});

test('SCHUSS_DIST_TIMEOUT and --timeout are the default', async () => {
  const given = { env: { SCHUSS_DIST_TIMEOUT: '123456' } };
  expect((await job(1, `${joined} say(world.timeout);`, given)).said).toEqual([[123456]]);
  const options = ['--timeout', '54321'];
  expect((await job(1, `${joined} say(world.timeout);`, { ...given, options })).said).toEqual([[54321]]);
  const late = `${joined} world.barrier(); await sleep(100);`;
  expect((await job(1, late, { options: ['--timeout', '0.1'] })).status).toBe(0); // nobody is missing in a world of one
});
