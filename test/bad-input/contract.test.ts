// Every wrong value of every argument is refused, in one shape, and nothing has changed: by enumeration of the table.
import { inspect } from 'node:util';
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
} from '../support/rig.js';

type Bad = readonly [kind: typeof TypeError | typeof RangeError, value: unknown];

const wrongTypes = [null, '1', true, {}, [], [1], 1n, Symbol('x'), new Number(1), new Date(0)];
const boundsOf = (range: string): [number, number] =>
  range
    .slice(1, -1)
    .split(', ')
    .map((s) => Number(s.replace('inf', 'Infinity'))) as [number, number];

function badNumbers({ range = '(-inf, inf)', integer }: HyperParameter): Bad[] {
  const [min, max] = boundsOf(range);
  const outside = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  if (Number.isFinite(min)) outside.push(range.startsWith('(') ? min : min - 1e-9, min - 1);
  if (Number.isFinite(max)) outside.push(range.endsWith(')') ? max : max + 1e-9, max + 1);
  if (integer) outside.push(1.5);
  return outside.map((value) => [RangeError, value]);
}

/** All that a hyper-parameter must refuse. */
function badValues(h: HyperParameter): Bad[] {
  const types = wrongTypes.map((value): Bad => [TypeError, value]);
  if (typeof h.default === 'boolean') return [null, 0, 1, 'true', {}, () => true].map((value) => [TypeError, value]);
  if (h.choices !== undefined)
    return [
      [RangeError, 'velocitee'],
      [RangeError, ''],
      [TypeError, 1],
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

describe.each(classes)('$title', (c) => {
  const who = c.declaration.name;

  describe.each(entries(c))('%s', (name, h) => {
    test.each(badValues(h).map(([kind, value]) => [text(value), kind, value] as const))('%s', (_, kind, value) => {
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

    test('undefined is as if it were not given', () => {
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

  test.each(spots)('a Schedule of %s that returns nonsense', (path, name, h, index) => {
    const good = index < 0 ? (h.default ?? 0.5) : (h.default as Any)[index];
    const all = [
      ...badNumbers(h),
      ...[undefined, null, '1', true, 1n, [1], () => 1].map((value): Bad => [TypeError, value]),
    ];
    for (const [kind, value] of all) {
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
  });

  test('a Schedule that throws', () => {
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

  test("one group's good Schedule before another's bad one: neither param moves", () => {
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

  test('options of the optimizer alone are refused in a group, and wrong values of them everywhere', () => {
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
    // Rprop and FTRL have nothing that is near to it.
    const isNear = name !== 'weightdecay' || 'weightDecay' in decay(c, 0);
    refused(TypeError, isNear ? message : /weightdecay: unknown option/, () => c.make(numbers(4, 1), { [name]: 1 }));
    if (name !== 'params')
      refused(TypeError, `${name}: unknown option`, () => c.make([{ params: numbers(4, 1), [name]: 1 }]));
  });

  test('an unknown option of a step, an unknown member of a group', () => {
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

  test.each([[null], [1], ['x'], [[]], [() => 1]])('%s for options', (options) => {
    refused(TypeError, `${who}: options: `, () => new (classOf(c.declaration) as Any)(numbers(4, 1), options));
  });

  // ---- params ----

  const w = () => numbers(4, 1);
  test.each<[string, typeof TypeError | typeof RangeError, RegExp, unknown]>([
    ['undefined', TypeError, /params: undefined/, undefined],
    ['null', TypeError, /params: null/, null],
    ['a number', TypeError, /params: 1/, 1],
    ['a string', TypeError, /params: "w"/, 'w'],
    ['a function', TypeError, /params: a function/, () => w()],
    ['an empty list', RangeError, /params: nothing/, []],
    ['an empty record', RangeError, /params: nothing/, {}],
    ['an empty group', RangeError, /params\[0\]\.params: nothing/, [{ params: [] }]],
    ['Float64Array', TypeError, /params: Float64Array\(4\), expected .*Float32Array\.from/, new Float64Array(4)],
    [
      'Float64Array in a list',
      TypeError,
      /params\[1\]: Float64Array\(4\), expected .*Float32Array\.from/,
      [w(), new Float64Array(4)],
    ],
    ['Int32Array', TypeError, /params: Int32Array\(4\)/, new Int32Array(4)],
    ['DataView', TypeError, /params: DataView/, new DataView(new ArrayBuffer(16))],
    ['ArrayBuffer', RangeError, /params: nothing/, new ArrayBuffer(16)],
    ['number[]', TypeError, /params\[0\]: 1/, [1, 2, 3]],
    ['number[] in a record', TypeError, /params\["a"\]: \[1, 2\], expected .*Float32Array\.from/, { a: [1, 2] }],
    ['a hole', TypeError, /params\[1\]: undefined/, [w(), , w()]],
    ['only holes', TypeError, /params\[0\]: undefined/, new Array(2)],
    ['a proxy of an array', TypeError, /params/, new Proxy(w(), {})],
    ['a hollow Float32Array', RangeError, /params: nothing/, Object.create(Float32Array.prototype)],
    [
      'a shape that does not fit',
      RangeError,
      /params\.shape: \[2, 3\], expected a product of 4/,
      { data: w(), shape: [2, 3] },
    ],
    ['a shape of one', TypeError, /params\.shape: \[4\]/, { data: w(), shape: [4] }],
    ['no shape', TypeError, /params\.shape: undefined/, { data: w() }],
    ['a fractional shape', RangeError, /params\.shape\[0\]: 0\.5/, { data: w(), shape: [0.5, 8] }],
    ['a negative shape', RangeError, /params\.shape\[0\]: -2/, { data: w(), shape: [-2, -2] }],
    ['a shape with holes', RangeError, /params\.shape: \[undefined, undefined\]/, { data: w(), shape: new Array(2) }],
    ['a shaped Float64Array', TypeError, /params/, { data: new Float64Array(4), shape: [2, 2] }],
    ['a group beside a param', TypeError, /params\[1\]: Float32Array/, [{ params: w() }, w()]],
    ['a hole among groups', TypeError, /params\[1\]: undefined/, [{ params: w() }, ,]],
    ['groups in a group', TypeError, /params\[0\]\.params/, [{ params: [{ params: w() }] }]],
    ['named and unnamed groups', TypeError, /without a name/, [{ params: { a: w() } }, { params: w() }]],
    ['a name twice', RangeError, /a name used before/, [{ params: { a: w() } }, { params: { a: w() } }]],
  ])('params: %s', (_, kind, message, params) => {
    refused(kind, message, () => c.make(params));
  });

  test('addParamGroup: all or nothing', () => {
    const attack = (kind: typeof TypeError | typeof RangeError, message: RegExp, group: (a: Float32Array) => unknown) =>
      harmless(c, kind, message, ({ optimizer, a }) => optimizer.addParamGroup(group(a) as Any), { ema: 0.9 });
    attack(TypeError, /group: undefined/, () => undefined);
    attack(TypeError, /group: null/, () => null);
    attack(TypeError, /group: Float32Array/, () => w());
    attack(TypeError, /group: an object/, () => ({ c: w() }));
    attack(TypeError, /without a name/, () => ({ params: w() }));
    attack(RangeError, /a name used before/, () => ({ params: { a: w() } }));
    attack(RangeError, /paramGroups\[1\]\.params: nothing/, () => ({ params: {} }));
    attack(RangeError, /memory shared with params\["a"\]/, (a) => ({ params: { c: w(), d: a.subarray(1, 3) } }));
    attack(TypeError, /Float64Array/, () => ({ params: { c: w(), d: new Float64Array(1) } }));
    attack(TypeError, /unknown option/, () => ({ params: { c: w() }, learningRate: 1 }));
  });

  // ---- grads ----

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, unknown]>([
    ['undefined', TypeError, /grads: undefined, expected a record/, undefined],
    ['null for all', TypeError, /grads: null, expected a record/, null],
    ['one array', TypeError, /grads: Float32Array\(5\), expected a record/, numbers(5, 1)],
    [
      'a list',
      TypeError,
      /grads: \[Float32Array\(5\), Float32Array\(18\)\], expected a record/,
      [numbers(5, 1), numbers(18, 1)],
    ],
    ['a name missing', TypeError, /grads\["b"\]: undefined/, { a: numbers(5, 1) }],
    ['undefined for a name', TypeError, /grads\["b"\]: undefined/, { a: numbers(5, 1), b: undefined }],
    [
      'a name too many',
      TypeError,
      /grads\["c"\]: no such param, expected one of "a", "b"/,
      { a: numbers(5, 1), b: null, c: null },
    ],
    ['a wrong name', TypeError, /grads\["b"\]: undefined/, { a: numbers(5, 1), B: null }],
    ['too short', RangeError, /grads\["a"\]: length 4, expected 5 \("a"\)$/, { a: numbers(4, 1), b: null }],
    ['too long', RangeError, /grads\["b"\]: length 19, expected 18 \("b"\)$/, { a: null, b: numbers(19, 1) }],
    ['empty', RangeError, /grads\["a"\]: length 0, expected 5 \("a"\)$/, { a: numbers(0, 1), b: null }],
    [
      'Float64Array',
      TypeError,
      /grads\["a"\]: Float64Array\(5\), expected .*Float32Array\.from/,
      { a: new Float64Array(5), b: null },
    ],
    [
      'number[]',
      TypeError,
      /grads\["a"\]: an array of 5, expected .*Float32Array\.from/,
      { a: [1, 2, 3, 4, 5], b: null },
    ],
    ['Int32Array', TypeError, /grads\["a"\]: Int32Array\(5\)/, { a: new Int32Array(5), b: null }],
    ['DataView', TypeError, /grads\["a"\]: DataView/, { a: new DataView(new ArrayBuffer(20)), b: null }],
    ['a proxy', TypeError, /grads\["a"\]/, { a: new Proxy(numbers(5, 1), {}), b: null }],
    ['a number', TypeError, /grads\["a"\]: 0/, { a: 0, b: null }],
    ['false', TypeError, /grads\["a"\]: false/, { a: false, b: null }],
    ['the second wrong', RangeError, /grads\["b"\]: length 1, expected 18/, { a: numbers(5, 1), b: numbers(1, 1) }],
  ])('grads of a record: %s', (_, kind, message, grads) => {
    harmless(c, kind, message, ({ optimizer }) => optimizer.step(grads as Any), { zeroGrads: true, ema: 0.5 });
  });

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, unknown]>([
    ['undefined', TypeError, /grads: undefined, expected a list of 2/, undefined],
    ['null for all', TypeError, /grads: null/, null],
    ['one array', TypeError, /grads: Float32Array\(4\), expected a list of 2/, numbers(4, 1)],
    ['a record', TypeError, /grads: an object, expected a list of 2/, { 0: null, 1: null }],
    ['one too few', RangeError, /grads: 1 gradient\(s\), expected 2/, [null]],
    ['one too many', RangeError, /grads: 3 gradient\(s\), expected 2/, [null, null, null]],
    ['a hole', TypeError, /grads\[0\]: undefined/, [, null]],
    ['too short', RangeError, /grads\[1\]: length 3, expected 4$/, [null, numbers(3, 1)]],
  ])('grads of a list: %s', (_, kind, message, grads) => {
    const params = [numbers(4, 1), numbers(4, 2)];
    const optimizer = c.make(params);
    const before = snapshot(optimizer, params);
    refused(kind, message, () => optimizer.step(grads as Any));
    expect(snapshot(optimizer, params)).toBe(before);
  });

  test('grads of a single param', () => {
    const param = numbers(4, 1);
    const optimizer = c.make(param);
    const before = snapshot(optimizer, [param]);
    refused(TypeError, /grads: undefined/, () => optimizer.step(undefined as Any));
    refused(TypeError, /grads/, () => optimizer.step({ 0: numbers(4, 1) } as Any));
    refused(RangeError, /grads/, () => optimizer.step([null, null]));
    refused(RangeError, /grads: length 3, expected 4$/, () => optimizer.step(numbers(3, 1)));
    expect(snapshot(optimizer, [param])).toBe(before);
  });

  // ---- After dispose ----

  test('dispose: twice is fine, all else throws or rejects', async () => {
    const { optimizer, a } = rig(c, { ema: 0.5 });
    const group = optimizer.paramGroups[0] as Any;
    optimizer.dispose();
    optimizer.dispose();
    optimizer[Symbol.dispose]();
    const after = a.slice();
    const members: [string, () => unknown][] = [
      ['step', () => optimizer.step({ a: null, b: null })],
      ['paramGroups', () => optimizer.paramGroups],
      ['lr', () => optimizer.lr],
      ['lr =', () => (optimizer.lr = 1)],
      ['stepCount', () => optimizer.stepCount],
      ['skippedSteps', () => optimizer.skippedSteps],
      ['emaParams', () => optimizer.emaParams],
      ['addParamGroup', () => optimizer.addParamGroup({ params: { c: w() } })],
      ['stateDict', () => optimizer.stateDict()],
      ['loadStateDict', () => optimizer.loadStateDict(rig(c, { ema: 0.5 }).optimizer.stateDict())],
      ['toString', () => optimizer.toString()],
      ['group.lr =', () => (group.lr = 0.5)],
      ...['averagedParams', 'train', 'eval']
        .filter((name) => name in optimizer)
        .map((name): [string, () => unknown] => [name, () => (optimizer as Any)[name]()]),
    ];
    for (const [, use] of members) refused(TypeError, `${who}: this: a disposed optimizer`, use);
    expect(inspect(optimizer)).toBe(`${who} (disposed)`);
    await optimizer.stepAsync({ a: null, b: null }).then(
      () => expect.fail('stepAsync: no error'),
      (error) =>
        refused(TypeError, `${who}: this: a disposed optimizer`, () => {
          throw error;
        }),
    );
    expect(a).toEqual(after);
    // A member that is added later must be named here too.
    const prototype = Object.getOwnPropertyNames(Object.getPrototypeOf(Object.getPrototypeOf(optimizer)));
    const hooks = ['constructor', 'constants', 'kernel', 'initial', 'start', 'scalarsAfter', 'conflict', 'dispose'];
    hooks.push('stateArrays', 'forEachParam');
    const named = ['stepAsync', ...members.map(([name]) => name.split(' ')[0])];
    expect(prototype.filter((name) => !hooks.includes(name) && !named.includes(name))).toEqual([]);
  });
});

test('what has no default must be given', () => {
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

test('createOptimizer: an unknown name', () => {
  refused(TypeError, /^createOptimizer: name: "adm", expected "adam"/, () => createOptimizer('adm', numbers(4, 1)));
  refused(TypeError, /^createOptimizer: name: "zzzzzzzzzz", expected one of sgd, adagrad/, () =>
    createOptimizer('zzzzzzzzzz', numbers(4, 1)),
  );
  for (const name of ['constructor', 'toString', '__proto__', '', undefined, null, 1, {}]) {
    refused(TypeError, /^createOptimizer: name: /, () => createOptimizer(name as Any, numbers(4, 1)));
  }
  refused(TypeError, /^SGD: lr: undefined/, () => createOptimizer('sgd', numbers(4, 1)));
});

test('errors survive what is awkward to print', () => {
  const circular: unknown[] = [];
  circular.push(circular);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const bare = new Int32Array(1);
  Object.defineProperty(bare, 'constructor', { value: undefined });
  const adam = classes.find(({ title }) => title === 'Adam') as Case;
  for (const value of [circular, bare, Object.create(null), class A {}, /x/, new Map()]) {
    refused(TypeError, /^Adam: params/, () => adam.make([value]));
    refused(TypeError, /^Adam: eps: /, () =>
      adam.make(numbers(4, 1), { eps: value === circular ? circular : [value] }),
    );
  }
  expect(() => adam.make([proxy])).toThrow(TypeError);
});
