export * from '../../dist/tfjs/index.mjs';
