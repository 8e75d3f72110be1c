// The built package, by path: a workspace cannot depend on the package around it.
export * from '../../dist/index.mjs';
