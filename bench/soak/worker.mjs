// A worker of the soak: steps on other threads until it is terminated.
import { parentPort } from 'node:worker_threads';
import { Adam, allocate } from '../../dist/index.mjs';

const [w, g] = [allocate(100_000), allocate(100_000).fill(0.1)];
const adam = new Adam(w, { ema: 0.9 });
const moved = allocate(1000).buffer;
parentPort.postMessage('started');
while (moved.byteLength > 0) await adam.stepAsync(g);
