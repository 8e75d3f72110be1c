import { defineConfig } from 'vitest/config';

// `npm test` leaves out the files named *.slow.test.ts and takes samples where test/support/sample.ts is used.
// `npm run test:all` (vitest run --mode all) runs everything.
export default defineConfig(({ mode }) => ({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', ...(mode === 'all' ? [] : ['test/**/*.slow.test.ts', 'test/bench/**'])],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: '100%',
    isolate: false,
  },
}));
