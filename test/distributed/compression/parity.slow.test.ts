// Compressed gradients over real worker threads: the same bits from the addon and from JavaScript, and on every rank.
import { expect, test } from 'vitest';
import { dataParallel } from '../../support/distributed/programs.js';
import { job } from '../../support/job.js';

test('2 ranks', async () => {
  const code = dataParallel('bf16');
  const [native, js, exact] = await Promise.all([
    job(2, code),
    job(2, code, { env: { SCHUSS_BACKEND: 'js' } }),
    job(2, dataParallel()),
  ]);
  const digests = native.said[0]!;
  expect(digests).toHaveLength(1);
  for (const { said, status, err } of [native, js]) {
    expect([status, err]).toEqual([0, '']);
    expect(said).toEqual([digests, digests]);
  }
  expect(exact.said[0]).not.toEqual(digests);
}, 120_000);
