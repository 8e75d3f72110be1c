/**
 * Optimizers for TensorFlow.js that update its variables in place. Requires `@tensorflow/tfjs-core`.
 *
 * @module schuss/tfjs
 */
export * from './index.js';
