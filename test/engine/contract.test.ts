// Which engine runs, and that it fits the declarations.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Optimizer } from '../../lib/core/optimizer.js';
import { engine, withEngine } from '../../lib/engine/backend.js';
import { kernel } from '../../lib/engine/kernel.js';
import { loadAddon, nativeEngine } from '../../lib/engine/native.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { allocate, backend, setThreads } from '../../lib/index.js';
import { adam } from '../../lib/optimizers/adam.js';
import { declarations } from '../support/classes.js';
import { type Any, classes, numbers, refused, rig } from '../support/rig.js';
import { root } from '../support/root.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const isas = ['avx512', 'avx2', 'sse2', 'neon', 'scalar'] as const;
const here = loadAddon().isas;

test('the native engine runs on the widest instruction set', () => {
  expect(process.env['SCHUSS_BACKEND'] ?? '').not.toBe('js');
  const { name, isa, threads, version: own } = backend();
  expect(name).toBe('native');
  expect(isa).toBe(process.env['SCHUSS_ISA'] ?? here[0]);
  expect(threads).toBeGreaterThanOrEqual(1);
  expect(own).toBe(version);
  expect(here.at(-1)).toBe('scalar');
  expect([...here]).toEqual(isas.filter((i) => here.includes(i)));
});

test('allocate returns aligned zeros of the requested length', () => {
  for (const length of [0, 1, 3, 16, 1000, 1 << 20]) {
    const array = allocate(length);
    expect([array.length, array.every((x) => x === 0)]).toEqual([length, true]);
    if (length > 0) expect(engine().address(array) % 64).toBe(0);
  }
  for (const length of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32 + 1])
    refused(RangeError, /^allocate: length: /, () => allocate(length));
  for (const length of [undefined, null, '1', 1n, [1], {}])
    refused(TypeError, /^allocate: length: /, () => allocate(length as Any));
  expect(allocate(64).buffer).not.toBe(allocate(64).buffer);
});

test('setThreads accepts integers from 1 to 1024', () => {
  const { threads } = backend();
  setThreads(3);
  expect(backend().threads).toBe(3);
  for (const n of [0, -1, 1.5, Number.NaN, 1025])
    refused(RangeError, /^setThreads: n: .*\[1, 1024\]/, () => setThreads(n));
  for (const n of [undefined, null, '2', 2n]) refused(TypeError, /^setThreads: n: /, () => setThreads(n as Any));
  expect(backend().threads).toBe(3);
  setThreads(threads);
  withEngine(referenceEngine, () => expect(backend()).toEqual({ name: 'js', isa: 'scalar', threads: 1, version }));
});

describe('the loader compares the addon with the declarations', () => {
  const altered: Record<string, Any> = {
    'state in another order': { state: ['expAvgSq', 'expAvg'] },
    'a state missing': { state: ['expAvg'] },
    'a constant of another name': {
      constants: adam.kernels.adam.constants.map((name) => (name === 'eps' ? 'epsilon' : name)),
    },
    'constants in another order': { constants: [...adam.kernels.adam.constants].reverse() },
    'a constant too many': { constants: [...adam.kernels.adam.constants, 'more'] },
  };
  test.each(Object.entries(altered))('%s is refused, also by the class', (_, change) => {
    const mine = { ...adam.kernels.adam, ...change };
    expect(() => engine().confirm('adam', mine)).toThrow(
      /^schuss: the addon's kernel "adam" holds state \(expAvg, expAvgSq\) and constants \(beta1, .*\), expected state .*build it again$/,
    );
    const declaration = { ...adam, kernels: { adam: kernel(mine as Any) } };
    class Altered extends Optimizer<Any> {
      constructor(params: Any) {
        super(declaration as Any, params);
      }
      protected constants(): number[] {
        return [];
      }
    }
    expect(() => new Altered(numbers(4, 1))).toThrow(/kernel "adam" holds/);
  });

  test('a kernel that the addon lacks is refused', () => {
    expect(() => engine().confirm('adamant', adam.kernels.adam)).toThrow(/kernel "adamant" is missing, expected state/);
  });

  test('an addon of another version, which lacks a function, is refused', () => {
    const addon = loadAddon();
    const [isa] = addon.isas;
    const made = addon.engine(isa!) as Any;
    const names = Object.keys(made).filter((name) => typeof made[name] === 'function');
    expect(names).toEqual(expect.arrayContaining(['createPlan', 'dot', 'axpby', 'gram']));
    for (const name of names) {
      const { [name]: _, ...older } = made;
      expect(() => nativeEngine({ ...addon, engine: () => older }, isa!)).toThrow(
        `schuss: the addon lacks "${name}": it is of another version, build it again`,
      );
    }
    for (const name of ['threads', 'setThreads', 'allocate', 'address', 'owns'])
      expect(() => nativeEngine({ ...addon, [name]: undefined }, isa!)).toThrow(`the addon lacks "${name}"`);
  });

  test.each([...here])('every kernel of the table matches its declaration on %s', (isa) => {
    const native = nativeEngine(loadAddon(), isa);
    for (const { kernels } of declarations)
      for (const [name, k] of Object.entries(kernels)) expect(() => native?.confirm(name, k)).not.toThrow();
  });
});

test('an optimizer keeps the engine that it was created with', () => {
  for (const c of classes) {
    const [native, js] = [rig(c), withEngine(referenceEngine, () => rig(c))];
    for (const r of [native, js]) r.step();
    withEngine(referenceEngine, () => native.step(9));
    js.step(9);
    expect(native.seen()).toBe(js.seen());
  }
});
