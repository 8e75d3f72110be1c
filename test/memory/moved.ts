// Run in another process by contract.slow.test.ts: memory of allocate() is moved out of a worker, and the worker ends.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { backend } from '../../lib/index.js';

backend();
const worker = new Worker(
  `require('tsx/cjs');
   const { allocate } = require(${JSON.stringify(join(__dirname, '..', '..', 'lib', 'index.ts'))});
   const { parentPort } = require('node:worker_threads');
   (async () => {
     const { buffer } = allocate(4e6).fill(1);
     allocate(10);
     const stream = new ReadableStream({ type: 'bytes', start: (c) => c.enqueue(new Uint8Array(buffer)) });
     const moved = (await stream.getReader().read()).value.buffer;
     if (buffer.byteLength !== 0) throw new Error('not moved');
     parentPort.postMessage(moved, [moved]);
   })();`,
  { eval: true },
);
let array = new Float32Array(0);
worker.on('message', (buffer: ArrayBuffer) => {
  array = new Float32Array(buffer);
});
worker.on('exit', () =>
  setTimeout(() => {
    for (let i = 0; i < 20; i++) new Float32Array(4e6).fill(7);
    if (array.length !== 4e6 || array.some((x) => x !== 1)) throw new Error('the memory is gone');
    array.fill(3);
    console.log('alive');
  }, 50),
);
