// The contract of every class: structures of params and gradients, the order within a step, members, tables.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { commonHyperParameters, optimizerHyperParameters } from '../../lib/core/declaration.js';
import { withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { createOptimizer, type Optimizer, optimizers } from '../../lib/index.js';
import { classes as ours } from '../../lib/optimizers/index.js';
import { declarations } from '../support/classes.js';
import {
  type Any,
  betas,
  bits,
  type Case,
  classes,
  classOf,
  decay,
  hasClockOfItsOwn,
  movesByGroup,
  movesTogether,
  needed,
  numbers,
  type Options,
  refused,
  rig,
  snapshot,
  titled,
  variants,
} from '../support/rig.js';

const f = Math.fround;

/** The bits of a param after steps with these gradients. */
function after(c: Case, options: Options, gradients: readonly Float32Array[], step: Options = {}): string {
  const w = numbers(gradients[0]!.length, 1);
  const optimizer = c.make(w, options);
  for (const g of gradients) optimizer.step(g.slice(), step);
  return bits(w);
}

describe.each(titled(classes))('%s', (_, c) => {
  const { declaration } = c;

  // ---- Structures ----

  test('every structure of params gives the same bits', () => {
    const make = () => [numbers(6, 1), numbers(20, 2)] as const;
    const [g, h] = [numbers(6, 3), numbers(20, 4)];
    const shaped = (data: Float32Array, rows: number) => ({ data, shape: [rows, data.length / rows] });
    const structures: [string, (a: Float32Array, b: Float32Array) => unknown, unknown][] = [
      ['a list', (a, b) => [a, b], [g, h]],
      ['shaped', (a, b) => [shaped(a, 2), shaped(b, 5)], [g, h]],
      ['a record', (a, b) => ({ a, b }), { a: g, b: h }],
      ['a record in another order', (a, b) => ({ b, a }), { a: g, b: h }],
      ['a shaped record', (a, b) => ({ a: shaped(a, 3), b }), { b: h, a: g }],
      ['one group', (a, b) => ({ params: [a, b] }), [g, h]],
      ['groups of one', (a, b) => [{ params: a }, { params: b }], [g, h]],
      ['groups of lists', (a, b) => [{ params: [a] }, { params: [shaped(b, 4)] }], [g, h]],
      ['named groups', (a, b) => [{ params: { b } }, { params: { a } }], { a: g, b: h }],
    ];
    const results = structures.map(([, params, grads]) => {
      const [a, b] = make();
      const optimizer = c.make(params(a, b), { ema: 0.5 });
      for (let s = 0; s < 3; s++) expect(optimizer.step(grads as Any)).toEqual({ applied: true });
      const ema = optimizer.emaParams as Any;
      expect(Array.isArray(ema)).toBe(Array.isArray(grads));
      const [first, second] = Array.isArray(ema) ? ema : [ema.a, ema.b];
      return [a, b, first, second].map(bits);
    });
    // A shape must not matter, unless the formula uses rows and columns.
    const kernels = Object.values(declaration.kernels);
    const isFactored = declaration.denseOnly !== undefined && kernels.some((k) => k.layout ?? k.matrix);
    // Groups of one give the bits of params alone. Others do, too, unless params of a group share numbers.
    const split = structures.findIndex(([name]) => name === 'groups of one');
    const isSplit = (i: number): boolean => movesByGroup(c) && /groups/.test(structures[i]![0]);
    for (const [i, result] of results.entries())
      if (!(isFactored && String(structures[i]![1]).includes('shaped')))
        expect(result, structures[i]![0]).toEqual(results[isSplit(i) ? split : 0]);
    if (movesTogether(c)) return;
    const single = numbers(6, 1);
    const alone = c.make(single, { ema: 0.5 });
    for (let s = 0; s < 3; s++) alone.step(g);
    const expected = results[movesByGroup(c) ? split : 0]!;
    expect([bits(single), bits(alone.emaParams as Float32Array)]).toEqual([expected[0], expected[2]]);
  });

  test('the averages of a list of one are a list of one', () => {
    expect(c.make([numbers(6, 1)], { ema: 0.5 }).emaParams).toHaveLength(1);
  });

  test.skipIf(movesTogether(c))(
    'options of a group override those of the optimizer, and the others are inherited',
    () => {
      const [w, v] = [numbers(9, 1), numbers(9, 1)];
      const optimizer = c.make([{ params: w, lr: 0.3, clipValue: 0.1 }, { params: v }], { lr: 0.2, maximize: true });
      expect(optimizer.paramGroups.map((g) => [g.lr, g.maximize, g['clipValue']])).toEqual([
        [0.3, true, 0.1],
        [0.2, true, undefined],
      ]);
      optimizer.step([numbers(9, 2), numbers(9, 2)]);
      expect(bits(w)).toBe(after(c, { lr: 0.3, clipValue: 0.1, maximize: true }, [numbers(9, 2)]));
      expect(bits(v)).toBe(after(c, { lr: 0.2, maximize: true }, [numbers(9, 2)]));
    },
  );

  test.skipIf(hasClockOfItsOwn(c) || movesByGroup(c))(
    'a null gradient leaves param, state and t as if there had been no step',
    () => {
      const [a, b] = [numbers(7, 1), numbers(7, 5)];
      const fresh = b.slice();
      const options = { ema: 0.5, ...decay(c, 0.1) };
      const optimizer = c.make({ a, b }, options);
      for (let s = 0; s < 4; s++) optimizer.step({ a: numbers(7, s), b: null });
      expect(bits(b)).toBe(bits(fresh));
      optimizer.step({ a: null, b: numbers(7, 9) });
      const alone = c.make({ b: fresh }, options);
      alone.step({ b: numbers(7, 9) });
      expect(bits(b)).toBe(bits(fresh));
      expect(optimizer.stateDict().state['b']).toEqual(alone.stateDict().state['b']);
      expect([optimizer.stepCount, alone.stepCount]).toEqual([5, 1]);
      const before = snapshot(optimizer, [a, b]).replace('"stepCount": 5', '').replace(/^ 5,$/m, '');
      expect(optimizer.step({ a: null, b: null })).toEqual({ applied: true });
      expect(optimizer.stepCount).toBe(6);
      expect(snapshot(optimizer, [a, b]).replace('"stepCount": 6', '').replace(/^ 6,$/m, '')).toBe(before);
    },
  );

  // ---- The order within a step ----

  // Two gradients of different scales, because some formulas do not depend on the scale of a single one.
  const gs = [numbers(40, 6), numbers(40, 7).map((x) => f(x / 8))];
  const scaled = (by: number, from = gs) => from.map((g) => g.map((x) => f(f(by) * x)));
  const clamped = (by: number, from = gs) => from.map((g) => g.map((x) => Math.max(-f(by), Math.min(f(by), x))));

  test('the order is gradScale, clipValue, maximize, decay', () => {
    expect(after(c, {}, gs, { gradScale: 0.3 })).toBe(after(c, {}, scaled(0.3)));
    expect(after(c, { clipValue: 0.2 }, gs)).toBe(after(c, {}, clamped(0.2)));
    expect(after(c, { clipValue: 0.2 }, gs, { gradScale: 3 })).toBe(after(c, {}, clamped(0.2, scaled(3))));
    // The steps of these depend on signs only: that of SOAP is the first of Adam.
    if (!['Rprop', 'SignSGD', 'SOAP'].includes(declaration.name)) {
      expect(after(c, { clipValue: 0.2 }, gs, { gradScale: 3 })).not.toBe(after(c, {}, scaled(3, clamped(0.2))));
    }
    expect(after(c, { maximize: true }, gs)).toBe(after(c, {}, scaled(-1)));
    // Decay is neither clipped nor negated.
    const decaying = decay(c, 0.5);
    expect(after(c, { ...decaying, clipValue: 0.2, maximize: true }, gs, { gradScale: 3 })).toBe(
      after(c, decaying, scaled(-1, clamped(0.2, scaled(3)))),
    );
    if (!('weightDecay' in decaying)) return;
    if (declaration.decay === 'l2') {
      const w = numbers(40, 1);
      expect(after(c, decaying, gs.slice(0, 1))).toBe(
        after(c, { weightDecay: 0 }, [gs[0]!.map((x, i) => f(x + f(0.5 * w[i]!)))]),
      );
    }
    expect(after(c, decaying, gs)).not.toBe(after(c, { weightDecay: 0 }, gs));
  });

  test('clipNorm works as in PyTorch, over all tensors and after gradScale', () => {
    const [big, small] = [numbers(1000, 3), numbers(3, 4)];
    const norm = Math.sqrt([...big, ...small].reduce((sum, x) => sum + x * x, 0));
    for (const [max, scale] of [
      [1, 1],
      [1, 0.25],
      [2 * norm, 1],
      [norm, 2],
      [1e-3, -1],
    ] as const) {
      const total = norm * Math.abs(scale);
      const coefficient = f(scale * Math.min(1, max / (total + 1e-6)));
      const [w, v] = [numbers(1000, 1), numbers(3, 2)];
      const optimizer = c.make([w, v], { clipNorm: max });
      optimizer.step([new Float32Array(1000), new Float32Array(3).fill(1e-4)]); // below the bound: unchanged
      const { gradNorm } = optimizer.step([big, small], { gradScale: scale });
      expect(Math.abs(gradNorm! / total - 1)).toBeLessThan(1e-12);
      const [x, y] = [numbers(1000, 1), numbers(3, 2)];
      const plain = c.make([x, y]);
      plain.step([new Float32Array(1000), new Float32Array(3).fill(1e-4)]);
      plain.step([big.map((e) => f(coefficient * e)), small.map((e) => f(coefficient * e))]);
      expect([w, v].map(bits)).toEqual([x, y].map(bits));
    }
    // A null gradient does not count, and clipValue acts after the norm.
    const w = numbers(3, 2);
    expect(c.make([numbers(1000, 1), w], { clipNorm: 1e-3 }).step([null, small]).gradNorm).toBeCloseTo(
      Math.sqrt(small.reduce((s, x) => s + x * x, 0)),
      10,
    );
    expect(after(c, { clipNorm: 1e6, clipValue: 0.2 }, gs)).toBe(after(c, {}, clamped(0.2)));
    const norms = gs.map((g) => Math.sqrt(g.reduce((sum, x) => sum + x * x, 0)));
    expect(after(c, { clipNorm: 0.5, clipValue: 0.1 }, gs)).toBe(
      after(
        c,
        {},
        clamped(
          0.1,
          gs.map((g, i) => scaled(Math.min(1, 0.5 / (norms[i]! + 1e-6)), [g])[0]!),
        ),
      ),
    );
  });

  test('gradNorm is reported on request, and correct beyond the range of float32', () => {
    const huge = new Float32Array(50).fill(3e38);
    for (const [options, asked] of [
      [{}, false],
      [{ gradNorm: true }, true],
      [{ gradNorm: false }, false],
      [{ clipNorm: 1 }, true],
      [{ skipNonFinite: true }, true],
      [{ ema: 0.5, zeroGrads: true }, false],
    ] as const) {
      const result = c.make(numbers(50, 1), options).step(huge.slice(), { gradScale: 0.5 });
      expect(Object.keys(result)).toEqual(asked ? ['applied', 'gradNorm'] : ['applied']);
      if (asked) expect(result.gradNorm! / (0.5 * f(3e38) * Math.sqrt(50))).toBeCloseTo(1, 12);
    }
    expect(c.make(numbers(2, 1), { gradNorm: true }).step(new Float32Array([Number.NaN, 1])).gradNorm).toBeNaN();
    expect(
      c.make(numbers(2, 1), { gradNorm: true }).step(new Float32Array([Number.POSITIVE_INFINITY, 1])).gradNorm,
    ).toBe(Number.POSITIVE_INFINITY);
  });

  test('skipNonFinite: a skipped step changes nothing and is counted, and zeroGrads still zeroes', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 17]) {
        const options = { skipNonFinite: true, zeroGrads: true, ema: 0.5, clipNorm: 1 };
        const [{ optimizer, params, seen, step }, twin] = [rig(c, options), rig(c, options)];
        const before = seen();
        const grads = { a: numbers(5, 1), b: numbers(18, 2) };
        grads.b[at] = bad;
        expect(optimizer.step(grads)).toMatchObject({ applied: false });
        expect([optimizer.skippedSteps, optimizer.stepCount]).toEqual([1, 3]);
        expect(
          [...grads.a, ...grads.b].every((x) => Object.is(x, 0)),
          'zeroGrads must zero the gradients of a skipped step',
        ).toBe(true);
        expect(seen().replace('"skippedSteps": 1', '"skippedSteps": 0').replace(/^ 1,$/m, ' 0,')).toBe(before);
        expect(optimizer.stateDict().skippedSteps).toBe(1);
        for (const r of [{ step }, twin]) r.step();
        expect(params.map(bits)).toEqual(twin.params.map(bits));
      }
    }
    // The largest floats and the sum of their squares are finite. Without the option nothing is skipped.
    const optimizer = c.make(numbers(1000, 1), { skipNonFinite: true });
    expect(optimizer.step(new Float32Array(1000).fill(3.4e38))).toMatchObject({ applied: true });
    expect(c.make(numbers(2, 1)).step(new Float32Array([Number.NaN, 1]))).toEqual({ applied: true });
  });

  test('zeroGrads zeroes gradients after use; without it they stay as they are', () => {
    for (const zeroGrads of [true, false]) {
      const grads = { a: numbers(5, 1), b: numbers(18, 2) };
      const { optimizer, params } = rig(c, { zeroGrads });
      const plain = rig(c);
      optimizer.step(grads);
      plain.optimizer.step({ a: numbers(5, 1), b: numbers(18, 2) });
      expect(params.map(bits)).toEqual(plain.params.map(bits));
      if (zeroGrads)
        expect(
          [...grads.a, ...grads.b].every((x) => Object.is(x, 0)),
          'zeroGrads must zero the gradients',
        ).toBe(true);
      else expect([grads.a, grads.b]).toEqual([numbers(5, 1), numbers(18, 2)]);
      const kept = numbers(5, 4);
      optimizer.step({ a: kept, b: null });
      expect(kept.every((x) => x === 0)).toBe(zeroGrads);
    }
  });

  test('ema: a copy of w at the first step, then ema + (1−d)·(w − ema), in live arrays', () => {
    const w = numbers(9, 1);
    const optimizer = c.make(w, { ema: 0.75 });
    const ema = optimizer.emaParams as Float32Array;
    w.set(numbers(9, 8)); // such as loading weights after construction
    let expected = w.slice();
    for (let s = 0; s < 4; s++) {
      optimizer.step(numbers(9, s));
      expected = expected.map((e, i) => f(e + f(f(1 - 0.75) * f(w[i]! - e))));
      expect(optimizer.emaParams).toBe(ema);
      expect(bits(ema)).toBe(bits(expected));
    }
    expect(c.make(w.slice()).emaParams).toBeUndefined();
    const grown = c.make({ a: numbers(3, 1) }, { ema: 0.5 });
    const first = (grown.emaParams as Any).a;
    grown.addParamGroup({ params: { b: numbers(2, 1) } });
    expect(Object.keys(grown.emaParams as object)).toEqual(['a', 'b']);
    expect((grown.emaParams as Any).a).toBe(first);
    expect(() => ((grown.emaParams as Any).a = first)).toThrow(TypeError);
  });

  // ---- Members ----

  test('paramGroups are sealed, and assignments take effect at the next step', () => {
    const w = numbers(4, 1);
    const lr = () => 0.125;
    const { optimizer } = { optimizer: c.make(w, { lr }) };
    const group = optimizer.paramGroups[0] as Any;
    expect(Object.isSealed(group), 'a param group must be sealed').toBe(true);
    expect(Object.keys(group)).toEqual([
      'params',
      ...Object.keys(declaration.hyperParameters),
      ...Object.keys(commonHyperParameters),
    ]);
    expect([group.params, group.lr, optimizer.lr]).toEqual([w, lr, 0.125]);
    expect(group.params).toBe(w);
    group.lr = 0.5;
    group.clipValue = 0.1;
    optimizer.step(numbers(4, 2));
    expect(bits(w)).toBe(after(c, { lr: 0.5, clipValue: 0.1 }, [numbers(4, 2)]));
    group.clipValue = undefined;
    expect(group.clipValue).toBeUndefined();
    if ('betas' in declaration.hyperParameters) {
      const given = betas(c, 0.5, 0.6).betas;
      const expected = [...given];
      group.betas = given;
      given[0] = 7;
      expect(group.betas).toEqual(expected);
      expect(Object.isFrozen(group.betas), 'betas must be frozen').toBe(true);
      expect(() => (group.betas[0] = 0.1)).toThrow(TypeError);
    }
  });

  test('lr reads the value of the next step and sets all groups, and schedules get stepCount + 1', () => {
    const asked: number[] = [];
    const askedForAll: number[] = [];
    const optimizer = c.make(
      [
        {
          params: numbers(4, 1),
          lr: (step: number) => {
            asked.push(step);
            return step / 10;
          },
        },
        { params: numbers(4, 2), lr: movesTogether(c) ? 0 : 0.7 }, // classes whose params move together have one lr, or 0
      ],
      { skipNonFinite: true, clipNorm: (step: number) => askedForAll.push(step) },
    );
    const nan = new Float32Array(4).fill(Number.NaN);
    optimizer.step([numbers(4, 1), null]);
    optimizer.step([null, null]);
    optimizer.step([nan, numbers(4, 1)]);
    optimizer.step([numbers(4, 1), numbers(4, 1)]);
    expect(asked).toEqual([1, 2, 3, 3]); // a schedule is called again after a skipped step
    expect(askedForAll).toEqual([1, 2, 3, 3]);
    expect(optimizer.lr).toBe(0.4);
    optimizer.lr = 0.25;
    expect([optimizer.lr, ...optimizer.paramGroups.map(({ lr }) => lr)]).toEqual([0.25, 0.25, 0.25]);
    const schedule = () => 0.5;
    (optimizer as Any).lr = schedule;
    expect([optimizer.lr, optimizer.paramGroups[1]!.lr]).toEqual([0.5, schedule]);
  });

  test('params added after some steps behave as if their gradients had been null', () => {
    const [a, b] = [numbers(5, 1), numbers(6, 2)];
    const optimizer = c.make({ a }, { lr: 0.1 });
    const lr = movesTogether(c) ? 0.1 : 0.2;
    for (let s = 0; s < 3; s++) optimizer.step({ a: numbers(5, s) });
    optimizer.addParamGroup({ params: { b }, lr });
    refused(TypeError, /grads\["b"\]: undefined/, () => optimizer.step({ a: numbers(5, 1) }));
    const [x, y] = [numbers(5, 1), numbers(6, 2)];
    const whole = c.make([{ params: { a: x } }, { params: { b: y }, lr }], { lr: 0.1 });
    for (let s = 0; s < 3; s++) whole.step({ a: numbers(5, s), b: null });
    for (const o of [optimizer, whole]) for (let s = 3; s < 6; s++) o.step({ a: numbers(5, s), b: numbers(6, s) });
    expect(snapshot(optimizer, [a, b])).toBe(snapshot(whole, [x, y]));
  });

  test('toString, static members and tables match the declaration', () => {
    const { optimizer } = rig(c, {
      lr: function warm() {
        return 0.5;
      },
    });
    const text = String(optimizer);
    expect(text).toMatch(new RegExp(`^${declaration.name} \\(\n  stepCount: 3\n`));
    expect(text).toContain('lr: function warm');
    expect(inspect(optimizer)).toBe(text); // console.log
    for (const [name, value] of Object.entries(optimizer.paramGroups[0] as Any))
      if (name !== 'params') expect(text.includes(`    ${name}: `), name).toBe(value !== undefined);
    const Class = classOf(declaration) as Any;
    expect(Class.optimizerName).toBe(declaration.name);
    expect(Object.isFrozen(Class.defaults), 'defaults must be frozen').toBe(true);
    const tables = { ...declaration.hyperParameters, ...commonHyperParameters, ...optimizerHyperParameters } as Any;
    expect(Class.defaults).toEqual(
      Object.fromEntries(
        Object.entries<Any>(tables)
          .filter(([, h]) => h.default !== undefined)
          .map(([name, h]) => [name, h.default]),
      ),
    );
    // Passing the defaults is the same as leaving them out.
    const w = numbers(8, 1);
    new Class(w, { ...Class.defaults, ...needed(declaration) }).step(numbers(8, 2));
    expect(bits(w)).toBe(after(c, {}, [numbers(8, 2)]));
    if (!declarations.includes(declaration)) return; // TensorFlow.js's classes belong to schuss/tfjs only
    expect(Class.name).toBe(declaration.name);
    const [Own] = ours.find(([, known]) => known === declaration)!;
    for (const name of [declaration.name, declaration.name.toLowerCase(), declaration.name.toUpperCase()]) {
      expect(createOptimizer(name, numbers(4, 1), needed(declaration))).toBeInstanceOf(Own);
    }
  });
});

test('optimizers is a frozen record by lower-cased name', () => {
  expect(Object.isFrozen(optimizers), 'optimizers must be frozen').toBe(true);
  expect(Object.keys(optimizers)).toEqual(declarations.map(({ name }) => name.toLowerCase()));
  expect(() => ((optimizers as Any).mine = class {})).toThrow(TypeError);
  expect(optimizers).not.toHaveProperty('lbfgs');
});

test.each(titled(variants))('%s: the reference gives the same bits with all options at once', (_, c) => {
  const run = (): [string, Optimizer] => {
    const r = rig(c, {
      ema: (s: number) => 1 - 1 / (s + 1),
      clipNorm: 1,
      clipValue: 0.1,
      maximize: true,
      ...decay(c, 0.1),
      zeroGrads: true,
      lr: (s: number) => 0.1 / s,
    });
    return [r.seen(), r.optimizer];
  };
  expect(withEngine(referenceEngine, run)[0]).toBe(run()[0]);
});
