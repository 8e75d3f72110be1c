/**
 * The library: optimizers, schedules, what stands around a training loop, ensembles, second order.
 *
 * @module schuss
 */
export * from './index.js';
