// Linear algebra of the addon: calls that once crashed the process, each in a process of its own.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { findAddon, root } from '../../lib/engine/prebuilds.js';

describe('calls that once crashed the process', () => {
  const run = (code: string, shell = ''): string => {
    const program = `const addon = require('./${findAddon().file}'), native = addon.engine(addon.isas[0]);
      try { ${code}; } catch (error) { console.log(error.name, error.message); }`;
    const [command, ...args] = [...(shell === '' ? [] : ['sh', '-c', `${shell}; exec "$0" "$@"`]), process.execPath];
    const options = { cwd: root, encoding: 'utf8', timeout: 60_000 } as const;
    const { stdout, stderr, status, signal } = spawnSync(command as string, [...args, '-e', program], options);
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
    return stdout;
  };

  test('two wrong arguments, no arguments, and a length that overflows', () => {
    const calls = ['native.stepAsync()', 'native.createPlan([], new Float64Array(0), [])'];
    for (const call of calls) expect(run(call)).toMatch(/^\w*Error \w/);
    expect(run('console.log(addon.allocate(2 ** 62))')).toBe('RangeError schuss: length: not an integer in range\n');
  });

  test('as many columns as an array can have, all of them holes', { timeout: 300_000 }, () => {
    for (const call of ['gram(all, one)', 'project(all, one, one)', 'gemmInPlace([one], all)'])
      expect(run(`const all = new Array(2 ** 32 - 1), one = new Float64Array(1); native.${call}`)).toMatch(
        /^TypeError schuss: (columns|q): not a list of the objects expected here/,
      );
  });

  test.skipIf(process.platform !== 'linux')('more columns than there is memory for the weights', () => {
    const code = `const n = 20_000, all = (length) => new Array(n).fill(new Float64Array(length));
      native.gemmInPlace(all(100), all(n))`;
    expect(run(code, 'ulimit -v 1500000')).toBe('RangeError schuss: not enough memory\n');
  });
});
