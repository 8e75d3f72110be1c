// The same bits from the addon and from JavaScript, and whether calls wait or block.
import { expect, test } from 'vitest';
import { job, joined } from '../../support/job.js';
import { sample } from '../../support/sample.js';

const code = `${joined}
  let state = 12345 + world.rank;
  const next = () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return (state / 2 ** 31 - 1) * 2 ** (state & 15); };
  const all = [];
  for (const length of [3, 79, 81, 5000, 70_001])
    for (const op of ['sum', 'mean']) {
      const [a, b] = [Float32Array.from({ length }, next), new Float32Array(length)];
      b.set(a);
      await world.allReduce(a, { op });
      world.allReduceSync(b, { op });
      all.push(digest(a), digest(a) === digest(b));
    }
  say(all);`;

test.each(sample([4, 3], 1))('%i ranks', async (size) => {
  const [native, js] = await Promise.all([job(size, code), job(size, code, { env: { SCHUSS_BACKEND: 'js' } })]);
  expect(native.status).toBe(0);
  expect(native.said[0]).toBeDefined();
  for (const each of [native, js])
    for (let rank = 0; rank < size; rank++) expect(each.said[rank]).toEqual(native.said[0]);
});
