// The line of stderr for a lost rank: it names the line of the script, and none of the package or of Node.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { uncaughtText } from '../../../../lib/distributed/world/exit.js';

test('the line of the script, below lines of every folder of the package and of Node', () => {
  const lib = join(__dirname, '..', '..', '..', '..', 'lib');
  const stack = [
    'RankError: World: rank 1: Error: no',
    `    at World.wait (${join(lib, 'distributed', 'own-world.js')}:1:2)`,
    `    at async save (${join(lib, 'checkpoint', 'set.js')}:52:33)`,
    '    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)',
    '    at async node:internal/modules/run_main:5:5',
    '    at async file:///home/me/train.mjs:7:1',
  ];
  const error = Object.assign(new Error('World: rank 1: Error: no'), { name: 'RankError', stack: stack.join('\n') });
  expect(uncaughtText(error)).toBe('RankError: World: rank 1: Error: no (at train.mjs:7:1)');
  error.stack = stack.slice(0, -1).join('\n');
  expect(uncaughtText(error)).toBe('RankError: World: rank 1: Error: no');
});
