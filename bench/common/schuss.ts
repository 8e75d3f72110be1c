// The built package, by path: npm would run the root's `prepare` a second time for a dependency that links to the root.
export * from '../../dist/index.mjs';
