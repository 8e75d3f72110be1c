// ShardedOptimizer: the bits of DataParallel with every class, at any number of ranks.
import { expect, test } from 'vitest';
import { type Case, perClass, run, special } from '../../support/distributed/sharded.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { all, sample } from '../../support/sample.js';

const ofClasses = sample(perClass, 7).flatMap((cases) => (all ? cases : sample(cases, 1, cases.length)));
const sizes = [1, 2, 3, 4];
const cases: readonly (readonly [name: string, given: Case])[] = [...ofClasses, ...special].map((given) => [
  given.name,
  given,
]);

test.each(cases)('%s', async (_, given) => {
  for (const size of all && special.includes(given) ? sizes : [all ? 2 : 3]) {
    const whole = await onRanks(size, (world) => run(world, given, false));
    const parts = await onRanks(size, (world) => run(world, given, true));
    for (const [rank, part] of parts.entries()) {
      expect(part.params).toEqual(whole[0]!.params);
      expect(part.results).toEqual(whole[0]!.results);
      expect(part.dict).toEqual(rank === 0 ? whole[0]!.dict : undefined);
    }
  }
});
