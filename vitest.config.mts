import { defineConfig } from 'vitest/config';

const slow = ['test/**/*.slow.test.ts', 'test/bench/**/*.test.ts'];
const exclude = ['**/node_modules/**'];

// The files of a worker share its modules, because importing them takes a third of the time.
const quick = { name: 'quick', include: ['test/**/*.test.ts'], exclude: [...exclude, ...slow], isolate: false };
// These change what a process has once: environment variables, loaded addons, memory.
const alone = { name: 'alone', include: slow, exclude, isolate: true };

// `npm test` leaves out slow files and takes samples (test/support/sample.ts); `npm run test:all` runs everything.
export default defineConfig(({ mode }) => ({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: '100%',
    // A project does not inherit `mode`.
    projects: (mode === 'all' ? [quick, alone] : [quick]).map((project) => ({
      extends: true,
      test: { ...project, env: { SCHUSS_TEST_ALL: mode === 'all' ? '1' : '0' } },
    })),
  },
}));
