import { defineConfig } from 'vitest/config';

// `npm test` leaves out *.slow.test.ts and takes samples (test/support/sample.ts); `npm run test:all` runs everything.
export default defineConfig(({ mode }) => ({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', ...(mode === 'all' ? [] : ['**/*.slow.test.ts', 'test/bench/**'])],
    env: { SCHUSS_TEST_ALL: mode === 'all' ? '1' : '0' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: '100%',
    // In `npm test` the files of a worker share its modules, because importing them takes a third of the time.
    isolate: mode === 'all',
  },
}));
