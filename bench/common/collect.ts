import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Bytes of new arrays from which on a collection is worth its price. */
const enough = 64e6;
/** Bytes that the last collection has left. */
let kept = 0;

/**
 * Frees arrays that are no longer in use, once 64 MB are new. To free hundreds of megabytes takes the time of many steps. V8 drops
 * compiled code in a collection, and small steps are slow until it is compiled again: so not before each comparison.
 */
export async function collect(): Promise<void> {
  if (process.memoryUsage().external < kept + enough) return;
  gc();
  await turn();
  gc();
  kept = process.memoryUsage().external;
}
