// The thread that hashes and writes one file. It is started by background.ts and ends after the file.
import { type MessagePort, parentPort } from 'node:worker_threads';
import { faultOf, type SystemFault } from './errors.js';
import { type WriteJob, writeFile } from './write-file.js';

/** What the thread reports: that it is ready for a job, then how the job ended. */
export type Report = { readonly ready: true } | { readonly done: true } | { readonly fault: SystemFault };

function serve(port: MessagePort): void {
  const report = (message: Report): void => port.postMessage(message);
  port.once('message', (job: WriteJob) => {
    writeFile(job).then(
      () => report({ done: true }),
      (error: unknown) => report({ fault: faultOf(error) }),
    );
  });
  report({ ready: true });
}

if (parentPort !== null) serve(parentPort);
