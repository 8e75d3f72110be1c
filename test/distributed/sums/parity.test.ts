// The same bits from the addon and from JavaScript, and whether calls wait or block.
import { expect, test } from 'vitest';
import { randomSums as code } from '../../support/distributed/programs.js';
import { job } from '../../support/job.js';
import { sample } from '../../support/sample.js';

test.each(sample([4, 3], 1))('%i ranks', async (size) => {
  const [native, js] = await Promise.all([job(size, code), job(size, code, { env: { SCHUSS_BACKEND: 'js' } })]);
  expect(native.status).toBe(0);
  expect(native.said[0]).toBeDefined();
  for (const each of [native, js])
    for (let rank = 0; rank < size; rank++) expect(each.said[rank]).toEqual(native.said[0]);
});
