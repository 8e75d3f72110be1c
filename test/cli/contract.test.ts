// The command's other subcommands, and what it refuses.
import { expect, test } from 'vitest';
import manifest from '../../package.json';
import { schuss } from './command.js';

test('info shows the backend and the optimizers', () => {
  const { status, out } = schuss(['info', '--json']);
  expect(status).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    version: manifest.version,
    optimizers: expect.arrayContaining(['SGD', 'Adam']),
  });
  expect(schuss(['info']).out).toMatch(/^backend +(native|js)$/m);
});

test('--version is that of the package', () => {
  expect(schuss(['--version']).out.trim()).toBe(manifest.version);
});

test.each([
  ['buidl', '(Did you mean build?)'],
  ['study', "unknown command 'study'"],
])('%s is refused', (command, message) => {
  const { status, err } = schuss([command]);
  expect(err).toContain(message);
  expect(status).toBe(1);
});
