// The example, run as its first lines say.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { launch } from '../../support/job.js';
import { root } from '../../support/root.js';

test('examples/distributed/hogwild: the liked items are told apart, up to the noise', async () => {
  const file = join(root, 'examples', 'distributed', 'hogwild.mjs');
  expect(readFileSync(file, 'utf8')).toMatch(/^\/\/ npx schuss launch -n 2 examples\/distributed\/hogwild\.mjs$/m);
  const { status, out, err } = await launch(['-n', '2', file]);
  expect([status, err]).toEqual([0, '']);
  expect(Number(/accuracy ([\d.]+)/.exec(out)?.[1]), out).toBeGreaterThan(0.9);
});
