// DataParallel over real worker threads: one digest of the params at 1, 2, 4 and 8 ranks, for each class.
import { expect, test } from 'vitest';
import { dataParallel } from '../../support/distributed/programs.js';
import { job } from '../../support/job.js';

test('params have one digest, whatever the number of ranks', async () => {
  const all = new Set<string>();
  for (const size of [1, 2, 4, 8]) {
    const { said, status, err } = await job(size, dataParallel());
    expect([status, err]).toEqual([0, '']);
    expect(said.length).toBe(size);
    for (const [digests] of said) all.add(JSON.stringify(digests));
  }
  expect(all.size, [...all].join('\n')).toBe(1);
  expect(JSON.parse([...all][0] as string).adam[2]).toBe(4);
}, 300_000);
