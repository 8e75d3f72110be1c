/**
 * Optimizers for TensorFlow.js, whose variables they update in place. It needs `@tensorflow/tfjs-core`.
 *
 * @module schuss/tfjs
 */
export * from './index.js';
