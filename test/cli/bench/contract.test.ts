// `schuss bench`: its output and its errors, and that all contenders compute the same update. No test asserts a speed.
import { describe, expect, test } from 'vitest';
import { checkAgreement, contendersOf, loopContender, type Task, updates } from '../../../lib/cli/bench/contenders.js';
import { loops } from '../../../lib/cli/bench/loops.js';
import type { BenchResults } from '../../../lib/cli/bench/results.js';
import { alternate, summaryOf } from '../../../lib/cli/bench/rounds.js';
import { backend } from '../../../lib/index.js';
import manifest from '../../../package.json';
import { all, sample } from '../../support/sample.js';
import { schuss } from '../command.js';

describe('the command', () => {
  test.runIf(all)('--json: the machine, and finite numbers for every row', () => {
    const { status, out, err } = schuss('bench --json --sizes 1e3 256'.split(' '));
    expect(err).toBe('');
    expect(status).toBe(0);
    const results = JSON.parse(out) as BenchResults;
    const { name, isa } = backend();
    expect(results).toMatchObject({ schuss: manifest.version, backend: name, isa, node: process.version, leftOut: [] });
    expect(results.date).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(results.rows.map((row) => [row.optimizer, row.tensors, row.elements])).toEqual(
      Object.keys(updates).flatMap((update) => [
        [update, 1, 256],
        [update, 1, 1000],
        [update, 200, 200_000],
      ]),
    );
    for (const { js, loop, native, jsOverNative, loopOverNative, rounds } of results.rows) {
      expect(rounds).toBeGreaterThanOrEqual(1);
      const expected = name === 'native' ? [js, loop, native, jsOverNative, loopOverNative] : [js, loop];
      for (const summary of expected) {
        const { low, median, high } = summary!;
        expect([low, median, high].every((value) => Number.isFinite(value) && value > 0)).toBe(true);
        expect(low <= median && median <= high).toBe(true);
      }
    }
  });

  test.runIf(all)('without an addon it says so, and measures JavaScript', () => {
    const { status, out } = schuss(['bench', '--sizes', '300'], { SCHUSS_BACKEND: 'js', SCHUSS_ISA: '' });
    expect(status).toBe(0);
    expect(out).toContain('no native backend (SCHUSS_BACKEND=js), so that only JavaScript is measured');
    expect(out).toMatch(/^optimizer +elements +JS backend +plain loop$/m);
    expect(out).toMatch(/^Adam +300 +\d/m);
    expect(out).not.toContain('null');
  });

  const refused: [args: string, message: string][] = [
    ['bench --sizes 0', 'schuss bench: --sizes: 0, expected an integer in [1, 1e9]'],
    ['bench --sizes 1e3 many', 'schuss bench: --sizes: many, expected an integer in [1, 1e9]'],
    ['bench --sizes 1.5', 'schuss bench: --sizes: 1.5, expected an integer in [1, 1e9]'],
    ['bench --colour', "error: unknown option '--colour'"],
  ];
  test.each(sample(refused, 1))('%s is refused', (args, message) => {
    const { status, out, err } = schuss(args.split(' '));
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
    expect(out).toBe('');
    expect(status).toBe(1);
  });
});

const tasks = (Object.keys(updates) as (keyof typeof updates)[]).flatMap((update): Task[] => [
  { update, elements: 1001, tensors: 1 },
  { update, elements: 900, tensors: 3 },
]);

describe('contenders compute the same update', () => {
  test.each(tasks)('$update, $tensors tensors', (task) => {
    const contenders = contendersOf(task);
    expect(contenders.map(({ name }) => name)).toEqual([
      ...(backend().name === 'native' ? ['native'] : []),
      'js',
      'loop',
    ]);
    expect(() => checkAgreement(task, contenders)).not.toThrow();
  });

  // Otherwise the check might be blind, and two different things compared.
  test.each([
    ['Adam: lr', loops.Adam({ ...updates.Adam, lr: 1.01e-3 })],
    ['Adam: betas[0]', loops.Adam({ ...updates.Adam, betas: [0.89, 0.999] })],
    ['Adam: betas[1]', loops.Adam({ ...updates.Adam, betas: [0.9, 0.99] })],
    ['Adam: eps', loops.Adam({ ...updates.Adam, eps: 1e-3 })],
    ['SGD: lr', loops.SGD({ lr: 0.0101 })],
    ['SGD, momentum: lr', loops['SGD, momentum']({ lr: 0.0101, momentum: 0.9 })],
    ['SGD, momentum: momentum', loops['SGD, momentum']({ lr: 0.01, momentum: 0.89 })],
  ] as const)('a loop with a wrong constant is found, %s', (what, loop) => {
    const update = what.split(':')[0] as keyof typeof updates;
    const task = { update, elements: 1001, tensors: 1 };
    const contenders = [...contendersOf(task).filter(({ name }) => name !== 'loop'), loopContender(task, loop)];
    expect(() => checkAgreement(task, contenders)).toThrow('the params of loop differ by');
  });

  test.each(tasks)('a contender that skips the last tensor is found, $update, $tensors tensors', (task) => {
    for (const lazy of contendersOf(task).map(({ name }) => name)) {
      const contenders = contendersOf(task).map((contender) => {
        const kept = contender.params.at(-1)!.slice();
        return contender.name === lazy
          ? {
              ...contender,
              step(grads: readonly Float32Array[]) {
                contender.step(grads);
                contender.params.at(-1)!.set(kept);
              },
            }
          : contender;
      });
      expect(() => checkAgreement(task, contenders), lazy).toThrow(/the params of \w+ differ by|changed nothing/);
    }
  });
});

test('rounds take turns; at least the fewest are made, and no more than the budget allows', () => {
  const calls: string[] = [];
  const wait = (name: string) => () => {
    calls.push(name);
    const end = performance.now() + 40;
    while (performance.now() < end);
  };
  const seconds = alternate([wait('a'), wait('b')], { budget: 0, fewestRounds: 3 });
  expect(seconds.map(({ length }) => length)).toEqual([3, 3]);
  for (const value of seconds.flat()) expect(value).toBeGreaterThanOrEqual(0.039);
  expect(calls.slice(-6).join('')).toBe('ababab');
});

test('median and quartiles', () => {
  expect(summaryOf([5, 1, 3, 2, 4])).toEqual({ low: 2, median: 3, high: 4 });
});
