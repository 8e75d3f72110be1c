// The command: its other subcommands, and that a rebuild leaves its file executable.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import manifest from '../../package.json';

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'schuss-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function schuss(...args: string[]): { status: number | null; out: string; err: string } {
  const main = join(root, manifest.bin.schuss);
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });
  return { status, out: stdout, err: stderr };
}

test('info shows the backend and the optimizers', () => {
  const { status, out } = schuss('info', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    version: manifest.version,
    optimizers: expect.arrayContaining(['SGD', 'Adam']),
  });
  expect(schuss('info').out).toMatch(/^backend +(native|js)$/m);
});

test('--version is that of the package', () => {
  expect(schuss('--version').out.trim()).toBe(manifest.version);
});

test.each([
  ['buidl', '(Did you mean build?)'],
  ['study', "unknown command 'study'"],
])('%s is refused', (command, message) => {
  const { status, err } = schuss(command);
  expect(err).toContain(message);
  expect(status).toBe(1);
});

// tsc writes files without the executable bit, and `npx schuss` and a shell run the file itself.
test.skipIf(process.platform === 'win32')('its file is executable after build:ts', { timeout: 300_000 }, () => {
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'binding.gyp', 'lib', 'scripts'])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'build:ts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(status, stdout + stderr).toBe(0);
  expect((statSync(join(folder, manifest.bin.schuss)).mode & 0o777).toString(8)).toBe('755');
});
