import { Worker } from 'node:worker_threads';
import type { Dice } from './dice.js';

const source = `
  require(${JSON.stringify(require.resolve('tsx/cjs'))});
  require(${JSON.stringify(require.resolve('./worker.ts'))});
`;

/**
 * Keeps a worker at work on shared memory, and terminates it in the middle of whatever it does, again and again. Returns a
 * function that ends this and resolves to the number of workers that were terminated.
 */
export function terminateWorkers(data: object, dice: Dice): () => Promise<number> {
  let [count, isOver] = [0, false];
  async function loop(): Promise<void> {
    while (!isOver) {
      // The flags of V8 hold for the whole process. The worker compiles by tsx/cjs, without the loader's own thread.
      const worker = new Worker(source, { eval: true, workerData: { ...data, seed: dice.int(2 ** 30) }, execArgv: [] });
      worker.on('error', () => {}); // user code that throws where nobody catches
      await new Promise((resolve) => worker.once('message', resolve).once('exit', resolve));
      await new Promise((resolve) => setTimeout(resolve, dice.int(100)));
      await worker.terminate();
      count++;
    }
  }
  const ended = loop();
  return async () => {
    isOver = true;
    await ended;
    return count;
  };
}
