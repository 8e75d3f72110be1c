// A whole run of `schuss bench`, and that a rebuild leaves the command's file executable.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { updates } from '../../lib/cli/bench/contenders.js';
import manifest from '../../package.json';
import { root } from '../support/root.js';
import { schuss } from './command.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('bench prints a table of every update and size in under 30 seconds, and nothing on stderr without a terminal', () => {
  // In seconds of a processor, because other tests run at the same time.
  const hook = join(folder, 'usage.cjs');
  const usage = join(folder, 'usage.json');
  writeFileSync(
    hook,
    `process.on('exit', () => require('fs').writeFileSync(${JSON.stringify(usage)}, JSON.stringify(process.cpuUsage())))`,
  );
  const { status, out, err } = schuss(['bench'], { NODE_OPTIONS: `--require ${JSON.stringify(hook)}` });
  expect(err).toBe('');
  expect(status).toBe(0);
  const { user, system } = JSON.parse(readFileSync(usage, 'utf8')) as NodeJS.CpuUsage;
  expect((user + system) / 1e6).toBeLessThan(25);
  for (const update of Object.keys(updates))
    for (const size of ['1e3', '1e4', '1e5', '1e6', '1e7', '200 × 1e3'])
      expect(out).toMatch(new RegExp(`^${update}(, ${size.split(' × ').at(-1)} left out: | +${size} )`, 'm'));
  expect(out).not.toMatch(/NaN|undefined|null|Infinity/);
}, 120_000);

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
