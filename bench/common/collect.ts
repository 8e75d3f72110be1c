import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Frees what is no longer in use. To free hundreds of megabytes takes the time of many steps. */
export async function collect(): Promise<void> {
  gc();
  await turn();
  gc();
}
