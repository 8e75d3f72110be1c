// Run in another process by test/memory/contract.slow.test.ts: prints how many bytes a step allocates, by structure of the
// params. Young memory is so large that no collection runs in between.
import { Adam, SGD } from '../../lib/index.js';
import type { Any } from '../support/rig.js';

const collect = (globalThis as Any).gc as () => void;
const small = () => new Float32Array(4).fill(0.5);

/** Each has 100 arrays. */
const structures: Record<string, () => Any> = {
  list: () => Array.from({ length: 100 }, small),
  record: () => Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`p${i}`, small()])),
  tree: () => ({ layers: Array.from({ length: 50 }, () => ({ weight: small(), bias: small() })) }),
};

function bytesPerStep(step: () => void): number {
  for (let i = 0; i < 20_000; i++) step(); // until it is compiled
  collect();
  const steps = 2000;
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < steps; i++) step();
  return (process.memoryUsage().heapUsed - before) / steps;
}

const found: Record<string, number> = {};
for (const Class of [SGD, Adam] as Any[])
  for (const [name, make] of Object.entries(structures)) {
    const optimizer = new Class(make(), { lr: 1e-9 });
    const grads = make();
    found[`${Class.optimizerName}, ${name}`] = Math.round(bytesPerStep(() => optimizer.step(grads)));
  }
console.log(JSON.stringify(found));
