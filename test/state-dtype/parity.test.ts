// State in bfloat16 has the same bits with every instruction set, with any number of threads and in JavaScript.
import { describe, expect, test } from 'vitest';
import { float32Because } from '../../lib/core/state-block.js';
import type { Engine } from '../../lib/engine/engine.js';
import type { OptimizerClass } from '../../lib/optimizers/index.js';
import { allClasses } from '../support/classes.js';
import { expectEqual, floats, nativeEngines, reference, type Trace, withEngine } from '../support/engines.js';
import { random } from '../support/random.js';
import { sample } from '../support/sample.js';

const classes = allClasses.filter(
  ([, declaration]) =>
    declaration.denseOnly === undefined &&
    Object.values(declaration.kernels).some((kernel) => float32Because(declaration, kernel) === undefined),
);
const longest = 2 * 16384 + 1029;
const rows = { names: new Uint32Array([7, 0, 3, 7, 1999]), length: 5 };

const required = ({ optimizerName }: OptimizerClass): object =>
  optimizerName === 'MomentumOptimizer' ? { momentum: 0.9 } : {};

/** Two dense params, a table, and options that touch every part of a step. */
function run(engine: Engine, Class: OptimizerClass, options: object, lengths: readonly number[], wild: boolean): Trace {
  return withEngine(engine, () => {
    const next = random(3);
    const params = [...lengths, 2000 * rows.length].map((length) => floats(length, next, wild));
    const table = params.at(-1)!;
    const optimizer = new Class(params, { lr: 0.1, ...options, ...required(Class), stateDtype: 'bfloat16' });
    for (let step = 0; step < 2; step++) {
      const grads = lengths.map((length) => floats(length, next, wild));
      const values = floats(rows.names.length * rows.length, next, wild);
      const last = step === 0 ? floats(table.length, next, wild) : { rows: rows.names, values };
      optimizer.step([...grads, last], { gradScale: 0.7 });
    }
    const states = Object.values(optimizer.stateDict().state) as Readonly<Record<string, unknown>>[];
    const arrays = states.flatMap((state) => Object.values(state).filter((v) => v instanceof Float32Array));
    return { arrays: [...params, ...(arrays as Float32Array[])], norms: [] };
  });
}

describe.each(sample(classes, 8).map(([Class, declaration]) => [declaration.name, Class] as const))(
  '%s',
  (_, Class) => {
    test('every instruction set has the bits of the reference', () => {
      for (const wild of [false, true]) {
        const options = { ema: 0.9, zeroGrads: true, clipValue: 5, clipNorm: 100 };
        const expected = run(reference, Class, options, [0, 1, 17, 1025], wild);
        for (const engine of nativeEngines)
          expectEqual(run(engine, Class, options, [0, 1, 17, 1025], wild), expected, `${engine.isa} wild ${wild}`);
      }
    });

    test('the number of threads changes no bit', () => {
      const engine = nativeEngines[0]!;
      const before = engine.threads();
      try {
        engine.setThreads(1);
        const expected = run(engine, Class, {}, [longest, 3], false);
        for (const threads of [2, 3, 7]) {
          engine.setThreads(threads, true);
          expectEqual(run(engine, Class, {}, [longest, 3], false), expected, `${threads} threads`);
        }
      } finally {
        engine.setThreads(before);
      }
    });
  },
);

test('a param of several chunks has the bits of the reference', () => {
  const [Class] = classes.find(([, { name }]) => name === 'Adam')!;
  const expected = run(reference, Class, { amsgrad: true }, [longest], false);
  for (const engine of nativeEngines)
    expectEqual(run(engine, Class, { amsgrad: true }, [longest], false), expected, engine.isa);
});

test('most classes are compared', () => {
  expect(classes.length).toBeGreaterThan(25);
});
