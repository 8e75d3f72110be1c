/**
 * What a sparse model does around an optimizer's step: reads rows of embedding tables, and makes gradients from them.
 *
 * @module schuss/rows
 */
export * from './index.js';
