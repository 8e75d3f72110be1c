// Resumes a run of several ranks from a folder and saves it again and again, until it is killed. Rank 0 says the step of each
// save that ended.
// npx schuss launch -n RANKS child.mjs FOLDER LENGTH
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { init, ShardedOptimizer } from '../../../../dist/distributed/index.mjs';
import { AdamW, CheckpointManager, loadCheckpoint, saveCheckpoint } from '../../../../dist/index.mjs';
import { gradsOf, microBatches, newParams, options } from './run.mjs';

const [folder, length] = [process.argv[2], Number(process.argv[3])];
const world = await init();
const say = (text) => world.rank === 0 && console.log(text);

const params = newParams(length);
const optimizer = await ShardedOptimizer.create(AdamW, params, options, world, { microBatches });
const [single, managed] = [join(folder, 'single'), new CheckpointManager(join(folder, 'managed'), { keep: 2 })];
if (await world.broadcastObject(existsSync(join(single, 'LATEST'))))
  await loadCheckpoint(single, { params, optimizer, world });
say('ready');
const each = microBatches / world.size;
for (;;) {
  const step = optimizer.stepCount;
  for (let part = 0; part < each; part++) optimizer.accumulate(gradsOf(params, step, world.rank * each + part));
  await optimizer.step(null);
  await saveCheckpoint(single, { params, optimizer, world });
  say(`single ${step + 1}`);
  await managed.save(step + 1, { params, optimizer, world });
  say(`managed ${step + 1}`);
}
