// Resumes a run from a folder and saves it again and again, until it is killed. Prints the step of each save that ended.
// node child.cjs FOLDER LENGTH
const { join } = require('node:path');
const schuss = require('../../..');

const [folder, length] = [process.argv[2], Number(process.argv[3])];

async function main() {
  const params = { w: new Float32Array(length), b: new Float32Array(1) };
  const optimizer = new schuss.SGD(params, { lr: 1, momentum: 0.5 });
  const manager = new schuss.CheckpointManager(join(folder, 'managed'), { keep: 2 });
  const path = join(folder, 'single.safetensors');
  const found = await schuss.inspectCheckpoint(path).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (found !== undefined) await schuss.loadCheckpoint(path, { params, optimizer });
  const grads = { w: new Float32Array(length).fill(-1), b: new Float32Array(1).fill(-1) };
  let step = optimizer.stepCount;
  process.stdout.write('ready\n');
  for (;;) {
    step++;
    optimizer.step(grads); // every element of w is the same function of the step
    const [single, managed] = [
      schuss.saveCheckpoint(path, { params, optimizer }),
      manager.save(step, { params, optimizer }),
    ];
    grads.w.fill(-1);
    await single;
    process.stdout.write(`single ${step}\n`);
    await managed;
    process.stdout.write(`managed ${step}\n`);
  }
}

main().catch((error) => {
  process.stdout.write(`failed ${error.stack}\n`);
  process.exit(1);
});
