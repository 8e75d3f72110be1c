// Options of every class: each wrong value is refused in the library's error shape, and changes nothing.
import { describe, expect, test } from 'vitest';
import { commonHyperParameters, type HyperParameter, optimizerHyperParameters } from '../../lib/core/declaration.js';
import { createOptimizer } from '../../lib/index.js';
import {
  type Any,
  type Case,
  classes,
  classOf,
  decay,
  harmless,
  needed,
  numbers,
  type Options,
  refused,
  rig,
  snapshot,
  titled,
} from '../support/rig.js';
import { sample } from '../support/sample.js';

type Bad = readonly [kind: typeof TypeError | typeof RangeError, value: unknown];

const wrongTypes = [null, '1', true, {}, [], [1], 1n, Symbol('x'), new Number(1), new Date(0)];
const boundsOf = (range: string): [number, number] =>
  range
    .slice(1, -1)
    .split(', ')
    .map((s) => Number(s.replace('inf', 'Infinity'))) as [number, number];

function badNumbers({ range = '(-inf, inf)', integer }: HyperParameter): Bad[] {
  const [min, max] = boundsOf(range);
  const outside = [Number.NaN, Number.NEGATIVE_INFINITY];
  if (!range.endsWith('inf]')) outside.push(Number.POSITIVE_INFINITY);
  if (Number.isFinite(min)) outside.push(range.startsWith('(') ? min : min - 1e-9, min - 1);
  // 1e-9 is nothing beside a large number.
  const above = (x: number): number => x + Math.max(1e-9, x * 2 ** -51);
  if (Number.isFinite(max)) outside.push(range.endsWith(')') ? max : above(max), max + 1);
  if (integer) outside.push(1.5);
  return outside.map((value) => [RangeError, value]);
}

/** Every value that a hyper-parameter must refuse. */
function badValues(h: HyperParameter): Bad[] {
  const types = wrongTypes.map((value): Bad => [TypeError, value]);
  if (typeof h.default === 'boolean') return [null, 0, 1, 'true', {}, () => true].map((value) => [TypeError, value]);
  if (h.choices !== undefined)
    return [
      [RangeError, 'velocitee'],
      [RangeError, ''],
      ...(h.range === undefined ? [[TypeError, 1] as Bad] : badNumbers(h)), // with a range, it may be a number, too
      [TypeError, null],
      [TypeError, () => h.choices?.[0]],
    ];
  if (!Array.isArray(h.default)) return [...types, ...badNumbers(h), ...(h.fixed ? [[TypeError, () => 0] as Bad] : [])];
  const list = h.default as readonly number[];
  const inside = [...types.map(([kind, v]) => [kind, v] as Bad), ...badNumbers(h)];
  return [
    ...types,
    ...[
      list[0],
      list.slice(1),
      [...list, list[1]],
      new Float64Array(list),
      new Array(list.length),
      [undefined, ...list.slice(1)],
      () => list,
    ].map((value): Bad => [TypeError, value]),
    ...inside.flatMap(([kind, v]) => list.map((_, i): Bad => [kind, list.with(i, v as number)])),
  ];
}

const text = (value: unknown) =>
  typeof value === 'bigint'
    ? `${value}n`
    : typeof value === 'function'
      ? 'a function'
      : Array.isArray(value)
        ? `[${value.map(String)}]`
        : String(value);
const entries = ({ declaration }: Case) =>
  Object.entries<HyperParameter>({ ...declaration.hyperParameters, ...commonHyperParameters });
const groups = () => [{ params: { a: numbers(5, 1) } }, { params: { b: numbers(18, 2) } }];
describe.each(titled(sample(classes, 12)))('%s', (_, c) => {
  const who = c.declaration.name;

  describe.each(entries(c))('%s', (name, h) => {
    const bad = sample(badValues(h), 2).map(([kind, value]) => [text(value), kind, value] as const);
    test.each(bad)('%s', (_, kind, value) => {
      const path = new RegExp(`^${who}: ${name}(\\[[012]\\])?: `);
      refused(kind, path, () => c.make(numbers(4, 1), { [name]: value }));
      refused(kind, path, () => c.make([{ params: numbers(4, 1), [name]: value }]));
      harmless(c, kind, path, ({ optimizer }) =>
        optimizer.addParamGroup({ params: { c: numbers(3, 1) }, [name]: value }),
      );
      harmless(c, kind, path, ({ optimizer }) => {
        (optimizer.paramGroups[0] as Any)[name] = value;
      });
      if (name === 'lr') {
        harmless(c, kind, path, ({ optimizer }) => {
          (optimizer as Any).lr = value;
        });
      }
    });

    test('undefined means that the option is not given', () => {
      if (h.required)
        return refused(TypeError, `${who}: ${name}: undefined`, () => c.make(numbers(4, 1), { [name]: undefined }));
      const plain = c.make(numbers(4, 1));
      for (const given of [
        c.make(numbers(4, 1), { [name]: undefined }),
        c.make([{ params: numbers(4, 1), [name]: undefined }]),
      ]) {
        expect((given.paramGroups[0] as Any)[name]).toEqual((plain.paramGroups[0] as Any)[name]);
      }
      return undefined;
    });
  });

  // ---- Schedules ----

  const company: Record<string, Options> = { dampening: { momentumForm: 'buffer', momentum: 0.9 } };
  const scheduled = Object.entries<HyperParameter>({
    ...c.declaration.hyperParameters,
    ...commonHyperParameters,
    ...optimizerHyperParameters,
  }).filter(([, h]) => h.fixed === undefined && h.choices === undefined && typeof h.default !== 'boolean');
  type Spot = [path: string, name: string, h: HyperParameter, index: number];
  const spots = scheduled.flatMap(([name, h]): Spot[] =>
    Array.isArray(h.default) ? h.default.map((_, i): Spot => [`${name}[${i}]`, name, h, i]) : [[name, name, h, -1]],
  );

  test.each(spots)(
    'a Schedule of %s that returns an invalid value fails the step and changes nothing',
    (path, name, h, index) => {
      const good = index < 0 ? (h.default ?? 0.5) : (h.default as Any)[index];
      const wrong = [
        ...badNumbers(h),
        ...[undefined, null, '1', true, 1n, [1], () => 1].map((value): Bad => [TypeError, value]),
      ];
      for (const [kind, value] of sample(wrong, 2)) {
        let spoilt = false;
        const schedule = () => (spoilt ? value : good);
        const option = index < 0 ? schedule : Object.assign([...(h.default as Any)], { [index]: schedule });
        const attack = ({ step }: { step: () => void }) => {
          spoilt = true;
          try {
            step();
          } finally {
            spoilt = false;
          }
        };
        harmless(c, kind, `${who}: ${path}: `, attack, {
          ...company[name],
          [name]: option,
          ema: name === 'ema' ? schedule : 0.9,
        });
      }
    },
  );

  test('a Schedule that throws fails the step and changes nothing', () => {
    let spoilt = false;
    const lr = () => {
      if (spoilt) throw new Error('mine');
      return 0.1;
    };
    const [victim, twin] = [rig(c, { lr }), rig(c, { lr })];
    spoilt = true;
    expect(() => victim.step()).toThrow('mine');
    spoilt = false;
    expect(victim.seen()).toBe(twin.seen());
    for (const r of [victim, twin]) r.step();
    expect(victim.seen()).toBe(twin.seen());
  });

  test('a bad Schedule in one group leaves the params of all groups unchanged', () => {
    const [a, b] = groups() as Any[];
    let bad = 0.1;
    const optimizer = c.make([
      { ...a, lr: () => 0.1 },
      { ...b, lr: () => bad },
    ]);
    const grads = { a: numbers(5, 3), b: numbers(18, 4) };
    optimizer.step(grads);
    const before = snapshot(optimizer, [a.params.a, b.params.b]);
    bad = Number.NEGATIVE_INFINITY;
    refused(RangeError, /lr: -Infinity, expected ([[(]0|\(-inf), inf\) \(from its schedule at step 2\)/, () =>
      optimizer.step(grads),
    );
    expect(snapshot(optimizer, [a.params.a, b.params.b])).toBe(before);
  });

  // ---- Options ----

  test('options of the whole optimizer are refused in a group, and invalid values of them everywhere', () => {
    for (const [name, h] of Object.entries<HyperParameter>(optimizerHyperParameters)) {
      const good = h.default ?? 0.5;
      refused(TypeError, `${name}: an option of the optimizer as a whole`, () =>
        c.make([{ params: numbers(4, 1), [name]: good }]),
      );
      harmless(c, TypeError, `${name}: an option of the optimizer as a whole`, ({ optimizer }) =>
        optimizer.addParamGroup({ params: { c: numbers(4, 1) }, [name]: good } as Any),
      );
      for (const [kind, value] of badValues(h))
        refused(kind, `${who}: ${name}: `, () => c.make(numbers(4, 1), { [name]: value }));
    }
  });

  test.each([
    ['lerningRate', /lerningRate: unknown option, expected one of lr, /],
    ['weightdecay', /weightdecay: unknown option, expected weightDecay \(it has lr, /],
    ['LR', /LR: unknown option, expected lr \(it has lr, /],
    ['clipnorm', /clipnorm: unknown option, expected clipNorm \(it has lr, /],
    ['zerograd', /zerograd: unknown option, expected zeroGrads \(it has lr, /],
    ['params', /params: unknown option/],
    ['__proto__x', /__proto__x: unknown option/],
  ])('unknown option %s', (name, message) => {
    // Rprop and FTRL have no similar option to suggest.
    const isNear = name !== 'weightdecay' || 'weightDecay' in decay(c, 0);
    refused(TypeError, isNear ? message : /weightdecay: unknown option/, () => c.make(numbers(4, 1), { [name]: 1 }));
    if (name !== 'params')
      refused(TypeError, `${name}: unknown option`, () => c.make([{ params: numbers(4, 1), [name]: 1 }]));
  });

  test('an unknown option of step() and an unknown property of a group are refused', () => {
    harmless(c, TypeError, `${who}.step: gradscale: unknown option, expected gradScale`, ({ optimizer }) =>
      optimizer.step({ a: null, b: null }, { gradscale: 1 } as Any),
    );
    for (const options of [null, 1, 'x', [], () => 1])
      harmless(c, TypeError, `${who}.step: options: `, ({ optimizer }) =>
        optimizer.step({ a: null, b: null }, options as Any),
      );
    for (const [kind, gradScale] of [...wrongTypes.map((v): Bad => [TypeError, v]), ...badNumbers({})]) {
      harmless(c, kind, `${who}: gradScale: `, ({ optimizer }) =>
        optimizer.step({ a: null, b: null }, { gradScale } as Any),
      );
    }
    const { optimizer } = rig(c);
    expect(() => ((optimizer.paramGroups[0] as Any).lerningRate = 1)).toThrow(TypeError);
    expect(() => ((optimizer.paramGroups[0] as Any).params = 1)).toThrow(TypeError);
    expect(() => ((optimizer.paramGroups as Any)[0] = {})).toThrow(TypeError);
    expect(() => delete (optimizer.paramGroups[0] as Any).lr).toThrow(TypeError);
  });

  test.each([[null], [1], ['x'], [[]], [() => 1]])('options must be an object: %s is refused', (options) => {
    refused(TypeError, `${who}: options: `, () => new (classOf(c.declaration) as Any)(numbers(4, 1), options));
  });
});

test('an option without a default must be given', () => {
  for (const { declaration } of classes) {
    const required = Object.keys(needed(declaration));
    const Class = classOf(declaration) as Any;
    for (const name of required) {
      const { [name]: given, ...others } = needed(declaration);
      const who = `${declaration.name}: ${name}: undefined`;
      refused(TypeError, who, () => new Class(numbers(4, 1), others));
      refused(
        TypeError,
        who,
        () => new Class([{ params: numbers(4, 1), [name]: given }, { params: numbers(4, 1) }], others),
      );
      expect(() => new Class([{ params: numbers(4, 1), [name]: given }], others)).not.toThrow();
    }
    if (required.length === 0) expect(() => new Class(numbers(4, 1))).not.toThrow();
  }
  expect(Object.keys(needed(classes[0]!.declaration))).toEqual(['lr']);
});

test('createOptimizer refuses an unknown name', () => {
  refused(TypeError, /^createOptimizer: name: "adm", expected "adam"/, () =>
    createOptimizer('adm' as Any, numbers(4, 1)),
  );
  refused(TypeError, /^createOptimizer: name: "zzzzzzzzzz", expected one of sgd, adagrad/, () =>
    createOptimizer('zzzzzzzzzz' as Any, numbers(4, 1)),
  );
  for (const name of ['constructor', 'toString', '__proto__', '', undefined, null, 1, {}]) {
    refused(TypeError, /^createOptimizer: name: /, () => createOptimizer(name as Any, numbers(4, 1)));
  }
  refused(TypeError, /^SGD: lr: undefined/, () => createOptimizer('sgd' as string, numbers(4, 1)));
});
