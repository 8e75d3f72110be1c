/**
 * Distributed training on several ranks: worker threads of one process, or processes of a cluster. The same script runs
 * alone, on threads and on a cluster; only the launch command differs.
 *
 * @module schuss/distributed
 */
export * from './index.js';
