// Random programs over the public API and over the addon's own functions: no call crashes or hangs, every error is ours, and
// a refused call changes nothing. `npm run fuzz` runs more of them.
import { expect, test } from 'vitest';
import { campaign, type Target } from './campaign.js';

test.each<Target>(['api', 'addon'])('%s', { timeout: 180_000 }, async (target) => {
  const { calls, crashes, findings } = await campaign({ target, calls: 1e6, seed: 1, maxTime: 20_000 });
  expect(calls, 'calls in the time allowed').toBeGreaterThan(500);
  expect({ crashes, findings }).toEqual({ crashes: [], findings: [] });
});
