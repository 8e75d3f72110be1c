import { setImmediate } from 'node:timers';

/** The `setImmediate` of Node. The global one may be missing, or be the fake of a test, which would hold a step back for ever. */
export const soon = setImmediate;
