export * from '../../dist/rows/index.mjs';
