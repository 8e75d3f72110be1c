// Runs the TypeScript module `workerData.module` in a worker thread: Node 20 does not pass the hooks of tsx on to workers.
import { workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
await import(workerData.module);
