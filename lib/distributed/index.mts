/**
 * Training on many ranks: worker threads of one process, or processes of a cluster. One script runs alone, on threads and
 * on a cluster; only the launcher differs.
 *
 * @module schuss/distributed
 */
export * from './index.js';
