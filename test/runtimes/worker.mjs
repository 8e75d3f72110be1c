import { parentPort, workerData } from 'node:worker_threads';
import { SGD } from 'schuss';

const sgd = new SGD(workerData, { lr: 0.1, momentum: 0.9 });
for (let step = 0; step < 3; step++) sgd.step(new Float32Array(workerData.length).fill(step - 1));
parentPort.postMessage('done');
