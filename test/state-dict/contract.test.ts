// stateDict and loadStateDict: a resumed run continues bit for bit; a damaged dict is refused and changes nothing.
import { describe, expect, test, vi } from 'vitest';
import { type HyperParameter, optimizerHyperParameters } from '../../lib/core/declaration.js';
import { Optimizer } from '../../lib/core/optimizer.js';
import { createOptimizer, SGD, type StateDict } from '../../lib/index.js';
import {
  type Any,
  betas,
  bits,
  type Case,
  classes,
  decay,
  expectRefusal,
  expectSame,
  harmless,
  movesTogether,
  numbers,
  type Options,
  refused,
  rig,
  sampledVariants,
  shape,
  snapshot,
  titled,
  variants,
} from '../support/rig.js';
import { all, sample } from '../support/sample.js';

/** Options combined with a variant: options with state, and options that change from step to step. */
function surroundings(c: Case): [string, Options][] {
  const { declaration, options } = c;
  const momentum = (step: number) => [0.5, 0.9, 0.3, 0, 0.99][step % 5] as number;
  return [
    ['plain', {}],
    ['ema', { ema: 0.9, clipValue: 0.5 }],
    ['scheduled lr', { lr: (step: number) => 0.1 / step, ...decay(c, 0.1), maximize: true }],
    ...('momentum' in declaration.hyperParameters && options['momentum'] !== 0
      ? [['scheduled momentum', { momentum, ema: (step: number) => 1 / (step + 1) }] as [string, Options]]
      : []),
    ...('betas' in declaration.hyperParameters
      ? [['scheduled betas', { ...betas(c, momentum, 0.9), clipNorm: 1 }] as [string, Options]]
      : []),
  ];
}

const steps = 7;
const shapes: Record<
  string,
  (of: Case) => { params: unknown; arrays: Float32Array[]; grads: (step: number) => unknown }
> = {
  named(of) {
    const [a, b, c] = [numbers(5, 1), numbers(18, 2), numbers(3, 3)];
    // Each param skips other steps, so their t differ.
    return {
      params: [{ params: { a, b } }, { params: { c }, lr: movesTogether(of) ? 0 : 0.3 }],
      arrays: [a, b, c],
      grads: (s) => ({ a: numbers(5, s), b: s % 2 ? null : numbers(18, s), c: s < 3 ? null : numbers(3, s) }),
    };
  },
  list() {
    const [a, b] = [numbers(17, 1), numbers(2, 2)];
    return { params: [a, b], arrays: [a, b], grads: (s) => [s === 2 ? null : numbers(17, s), numbers(2, s)] };
  },
  single() {
    const data = numbers(6, 1);
    return { params: { data, shape: [2, 3] }, arrays: [data], grads: (s) => numbers(6, s) };
  },
};

describe.each(titled(sampledVariants))('%s', (_, c) => {
  test.each(sample(surroundings(c), 2))(
    'a resumed run continues bit for bit after any number of steps: %s',
    (_, more) => {
      for (const make of sample(Object.values(shapes), 1)) {
        const run = make(c);
        const whole = c.make(run.params, more);
        for (let saved = 0; saved < steps; saved++) {
          // As from a file: a new optimizer over copies of the params, which has taken other steps before.
          const dict = structuredClone(whole.stateDict());
          const again = make(c);
          const resumed = c.make(again.params, more);
          for (let s = 1; s <= saved % 3; s++) resumed.step(again.grads(s + 20) as Any);
          for (const [i, array] of run.arrays.entries()) again.arrays[i]!.set(array);
          resumed.loadStateDict(dict);
          expectSame(snapshot(resumed, again.arrays), snapshot(whole, run.arrays));
          whole.step(run.grads(saved) as Any);
          resumed.step(again.grads(saved) as Any);
          expectSame(snapshot(resumed, again.arrays), snapshot(whole, run.arrays));
        }
      }
    },
  );
});

describe.each(titled(sample(classes, 5)))('%s', (_, c) => {
  const who = c.declaration.name;
  const dictOf = (more: Options = { ema: 0.5 }) => structuredClone(rig(c, more, 5).optimizer.stateDict()) as Any;

  test('a state dict has the documented form', () => {
    const lr = (step: number) => 0.1 / step;
    const { optimizer } = rig(c, { lr, ema: 0.5, clipValue: 2 });
    const dict = optimizer.stateDict() as Any;
    const mode = 'mode' in dict ? ['mode'] : [];
    const counts = ['version', 'optimizer', 'stepCount', 'skippedSteps'];
    expect(Object.keys(dict)).toEqual([...counts, 'options', ...mode, 'paramGroups', 'state']);
    expect(dict.options).toEqual({
      ema: 0.5,
      flushDenormals: false,
      gradNorm: false,
      skipNonFinite: false,
      zeroGrads: false,
    });
    expect([dict.version, dict.optimizer, dict.stepCount, dict.skippedSteps]).toEqual([1, who, 3, 0]);
    expect(dict.paramGroups).toHaveLength(1);
    expect(dict.paramGroups[0]).toMatchObject({
      lr: { schedule: true },
      clipValue: 2,
      maximize: false,
      params: ['a', 'b'],
    });
    expect(Object.keys(dict.state)).toEqual(['a', 'b']);
    expect([dict.state.a.step, dict.state.b.step]).toEqual([3, 2]);
    const { kernel } = Optimizer.internals(optimizer).store.params[1]!;
    const { state, layout } = c.declaration.kernels[kernel]!;
    for (const name of [...state, 'ema'].filter((name) => layout?.[name] !== 'own'))
      expect(dict.state.b[name]).toHaveLength(layout?.[name] === 'block' ? 1 : 18); // b has no shape: it is one block
    expect(structuredClone(dict)).toEqual(dict);
    const list = c.make([numbers(2, 1), numbers(3, 1)]).stateDict();
    expect([list.paramGroups[0]!.params, Object.keys(list.state)]).toEqual([
      [0, 1],
      ['0', '1'],
    ]);
  });

  test('saving and loading copy the arrays', () => {
    const { optimizer, step, seen } = rig(c, { ema: 0.5 });
    const dict = optimizer.stateDict();
    const text = JSON.stringify(dict);
    step();
    expect(JSON.stringify(dict)).toBe(text);
    optimizer.loadStateDict(dict);
    const before = seen();
    for (const state of Object.values(dict.state))
      for (const array of Object.values(state)) if (array instanceof Float32Array) array.fill(7);
    expect(seen()).toBe(before);
  });

  test('loading restores numbers and flags, and keeps a live Schedule', () => {
    const lr = () => 0.25;
    const from = rig(c, { lr: () => 0.5, clipValue: 3, maximize: true }).optimizer;
    const to = rig(c, { lr }).optimizer;
    to.loadStateDict(from.stateDict());
    expect(to.paramGroups[0]).toMatchObject({ lr, clipValue: 3, maximize: true });
    if ('betas' in c.declaration.hyperParameters) {
      const scheduled = rig(c, betas(c, lr, 0.5)).optimizer;
      expect(scheduled.stateDict().paramGroups[0]).toMatchObject(betas(c, { schedule: true }, 0.5));
      scheduled.loadStateDict(
        rig(
          c,
          betas(c, () => 0.1, 0.2),
        ).optimizer.stateDict(),
      );
      expect(scheduled.paramGroups[0]).toMatchObject(betas(c, lr, 0.2));
    }
  });

  test("a Schedule on one side only is a TypeError; { schedules: 'keep' } keeps the live value", () => {
    const lr = () => 0.25;
    const scheduled = () => rig(c, { lr });
    const constant = () => rig(c, { lr: 0.5 });
    const pairs: [live: Options, dict: Any, given: RegExp][] = [
      [{ lr: 0.5 }, scheduled().optimizer.stateDict(), /lr: a Schedule, expected a number.* 0\.5 \(.*'keep'/],
      [{ lr }, constant().optimizer.stateDict(), /lr: 0\.5, expected a Schedule.*'keep'/],
      [{ lr: 0.5, clipValue: lr }, constant().optimizer.stateDict(), /clipValue: off, expected a Schedule/],
      [{ lr: 0.5, clipNorm: lr }, constant().optimizer.stateDict(), /options\.clipNorm: off, expected a Schedule/],
    ];
    for (const [live, dict, given] of pairs) {
      harmless(c, TypeError, given, ({ optimizer }) => optimizer.loadStateDict(dict), live);
      const { optimizer } = rig(c, live);
      optimizer.loadStateDict(dict, { schedules: 'keep' });
      expect(optimizer.paramGroups[0]).toMatchObject('clipNorm' in live ? { lr: 0.5 } : live);
    }
    const { optimizer } = constant();
    refused(RangeError, /schedules: "Keep", expected "check" or "keep"/, () =>
      optimizer.loadStateDict(optimizer.stateDict(), { schedules: 'Keep' as 'keep' }),
    );
    if ('betas' in c.declaration.hyperParameters)
      refused(TypeError, /betas\[0\]: 0\.1, expected a Schedule/, () =>
        rig(c, betas(c, lr, 0.5)).optimizer.loadStateDict(rig(c, betas(c, 0.1, 0.2)).optimizer.stateDict()),
      );
  });

  test.each<[string, Options]>([
    ['clipNorm', { clipNorm: 0.1 }],
    ['ema', { ema: 0.9 }],
    ['clipValue', { clipValue: 0.05 }],
    ['skipNonFinite', { skipNonFinite: true }],
    ['zeroGrads', { zeroGrads: true }],
    ['gradNorm', { gradNorm: true }],
    ['none', {}],
  ])('the resumed run has the options of the saved one, whatever it had before: %s', (_, options) => {
    const others = { clipNorm: 7, ema: 0.3, zeroGrads: true, gradNorm: true, skipNonFinite: true };
    for (const before of [{}, others]) {
      const [source, target] = [rig(c, options), rig(c, before)];
      for (const [i, array] of source.params.entries()) target.params[i]!.set(array);
      target.optimizer.loadStateDict(structuredClone(source.optimizer.stateDict()));
      expect(target.seen()).toBe(source.seen());
      const hasEma = 'ema' in options;
      if (hasEma) expect(target.optimizer.emaParams).toEqual(source.optimizer.emaParams);
      else expect(target.optimizer.emaParams).toBeUndefined();
      const of = (value: number) => ({ a: numbers(5, 3), b: numbers(18, 4).fill(value, 0, 1) });
      for (const value of [30, Number.NaN]) {
        const [x, y] = [of(value), of(value)];
        expect(target.optimizer.step(y)).toEqual(source.optimizer.step(x));
        expect(bits(y.b)).toBe(bits(x.b));
      }
      expect(target.seen()).toBe(source.seen());
    }
  });

  test('names in any order', () => {
    const dict = dictOf({}) as Any;
    dict.paramGroups[0].params.reverse();
    const { optimizer } = rig(c);
    optimizer.loadStateDict({ ...dict, state: { b: dict.state.b, a: dict.state.a } });
    expect(optimizer.stateDict().state).toEqual(dictOf({}).state);
  });

  test('a dict of version 0.1, which has no options: the optimizer keeps its own', () => {
    const { options: _, mode: __, ...old } = dictOf({ ema: 0.5, clipNorm: 2 });
    const { optimizer } = rig(c, { ema: 0.25, clipNorm: 3 });
    optimizer.loadStateDict(old);
    expect(optimizer.stateDict().options).toMatchObject({ ema: 0.25, clipNorm: 3 });
    harmless(c, TypeError, /ema: unknown option/, ({ optimizer }) => optimizer.loadStateDict(old), {});
  });

  test('loading flags switches the kernel', () => {
    for (const form of variants.filter(({ declaration }) => declaration === c.declaration)) {
      const [source, target] = [rig(form), rig(c)];
      for (const [i, array] of source.params.entries()) target.params[i]!.set(array);
      target.optimizer.loadStateDict(source.optimizer.stateDict());
      expect(target.seen()).toBe(source.seen());
      for (const r of [source, target]) r.step();
      expect(target.seen()).toBe(source.seen());
    }
  });

  test('switching momentum off and on again gives the bits of saving and loading in between', () => {
    if (!('momentum' in c.declaration.hyperParameters)) return;
    const [live, saved] = [rig(c, { momentum: 0.9 }), rig(c, { momentum: 0 })];
    (live.optimizer.paramGroups[0] as Any).momentum = 0;
    for (const [i, array] of live.params.entries()) saved.params[i]!.set(array);
    saved.optimizer.loadStateDict(live.optimizer.stateDict());
    for (const r of [live, saved]) {
      r.step();
      (r.optimizer.paramGroups[0] as Any).momentum = 0.9;
      r.step();
    }
    expect(live.params.map(bits)).toEqual(saved.params.map(bits));
  });

  // ---- Damage ----

  const load =
    (spoil: (dict: Any) => unknown) =>
    ({ optimizer }: { optimizer: Optimizer }) => {
      const dict = dictOf();
      const other = spoil(dict);
      optimizer.loadStateDict((other === undefined ? dict : other) as StateDict);
    };

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, (dict: Any) => unknown]>([
    ['null', TypeError, /dict: null, expected what stateDict\(\) returned/, () => null],
    ['a list', TypeError, /options: /, () => []],
    ['nothing in it', RangeError, /version: undefined, expected 1/, () => ({})],
    ['another version', RangeError, /version: 2, expected 1/, (d) => void (d.version = 2)],
    ['another class', TypeError, /optimizer: "Nadam", expected "/, (d) => void (d.optimizer = 'Nadam')],
    ['a field too many', TypeError, /stepcount: unknown option, expected stepCount/, (d) => void (d.stepcount = 1)],
    [
      'a group too many',
      RangeError,
      /paramGroups: 2 group\(s\), expected 1/,
      (d) => void d.paramGroups.push(d.paramGroups[0]),
    ],
    ['another name', TypeError, /paramGroups\[0\]\.params: /, (d) => void (d.paramGroups[0].params[1] = 'c')],
    ['an unknown option', TypeError, /beta0: unknown option/, (d) => void (d.paramGroups[0].beta0 = 0.9)],
    [
      'an option out of range',
      RangeError,
      /lr: -Infinity, expected ([[(]0, inf\)|a finite number)/,
      (d) => void (d.paramGroups[0].lr = Number.NEGATIVE_INFINITY),
    ],
    ['an option of another type', TypeError, /maximize: "x"/, (d) => void (d.paramGroups[0].maximize = 'x')],
    ['a param missing', TypeError, /state\["b"\]: undefined/, (d) => void delete d.state.b],
    ['a param too many', TypeError, /state\["c"\]: no such param/, (d) => void (d.state.c = d.state.a)],
    ['a negative step', RangeError, /state\["a"\]\.step: -1/, (d) => void (d.state.a.step = -1)],
    ['half a step', RangeError, /state\["b"\]\.step: 1\.5/, (d) => void (d.state.b.step = 1.5)],
    ['no ema', TypeError, /state\["b"\]\.ema: undefined/, (d) => void delete d.state.b.ema],
    [
      'an ema too short',
      RangeError,
      /state\["b"\]\.ema: length 17, expected 18/,
      (d) => void (d.state.b.ema = d.state.b.ema.subarray(1)),
    ],
    [
      'an ema of another type',
      TypeError,
      /state\["b"\]\.ema: Float64Array\(18\)/,
      (d) => void (d.state.b.ema = Float64Array.from(d.state.b.ema)),
    ],
    [
      'a detached ema',
      TypeError,
      /state\["b"\]\.ema: a detached/,
      (d) => void structuredClone(d.state.b.ema.buffer, { transfer: [d.state.b.ema.buffer] }),
    ],
  ])('damaged: %s', (_, kind, message, spoil) => {
    harmless(c, kind, message, load(spoil), { ema: 0.5 });
  });

  test('a getter in a dict may detach arrays that were read before it', () => {
    const attack = load((dict) => {
      const { a, b } = dict.state;
      dict.state = {
        a,
        get b() {
          structuredClone(a.ema.buffer, { transfer: [a.ema.buffer] });
          return { ...b, step: -1 };
        },
      };
    });
    harmless(c, RangeError, /state\["b"\]\.step/, attack, { ema: 0.5 });
    const { optimizer } = rig(c, { ema: 0.5 });
    const dict = dictOf();
    const { a, b } = dict.state;
    const expected = bits(a.ema);
    dict.state = {
      a,
      get b() {
        structuredClone(a.ema.buffer, { transfer: [a.ema.buffer] });
        return b;
      },
    };
    optimizer.loadStateDict(dict); // the arrays were intact when they were read
    expect(bits((optimizer.emaParams as Any).a)).toBe(expected);
    expect(bits((optimizer.emaParams as Any).b)).toBe(bits(b.ema));
  });
});

// ---- Each field of a dict, damaged in each way ----

type Path = readonly (string | number)[];

function paths(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [path];
  return [path, ...Object.entries(value).flatMap(([key, v]) => paths(v, [...path, key]))];
}

const damages: Record<string, (holder: Any, key: string | number) => void> = {
  deleted: (h, k) => (Array.isArray(h) ? h.splice(Number(k), 1) : delete h[k]),
  renamed: (h, k) => {
    h[`${k}_`] = h[k];
    delete h[k];
  },
  'with another beside it': (h, k) =>
    void (Array.isArray(h) ? h.push(structuredClone(h[Number(k)])) : (h[`${k}_`] = structuredClone(h[k]))),
  ...Object.fromEntries(
    [
      undefined,
      null,
      true,
      'x',
      '1',
      -1,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      [],
      {},
      [1, 2, 3],
      new Float32Array(1),
      new Float32Array(40),
      new Float64Array(5),
      new Int32Array(5),
      7n,
    ].map((value) => [
      `set to ${typeof value === 'bigint' ? '7n' : ArrayBuffer.isView(value) ? `${value.constructor.name}(${(value as Float32Array).length})` : (JSON.stringify(value) ?? 'undefined')}`,
      (h: Any, k: string | number) => void (h[k] = value),
    ]),
  ),
};

test.each(titled(sampledVariants))(
  '%s: a dict with one damaged field is refused and changes nothing, unless it is still valid',
  (_, c) => {
    const good = rig(c, { ema: 0.5, clipValue: 1 }, 5).optimizer.stateDict();
    const { optimizer, params, step } = rig(c, { ema: 0.5, clipValue: 1 });
    const before = snapshot(optimizer, params);
    const own = structuredClone(optimizer.stateDict());
    const table: Record<string, HyperParameter> = {
      ...c.declaration.hyperParameters,
      maximize: { default: false },
      clipValue: {},
    };
    let refusals = 0;
    for (const path of paths(good).slice(1)) {
      for (const [how, damage] of sample(Object.entries(damages), 2, refusals)) {
        const dict = structuredClone(good) as Any;
        damage(
          path.slice(0, -1).reduce((h, key) => h[key], dict),
          path.at(-1) as string,
        );
        const title = `${path.join('.')} ${how}`;
        let error: Error | undefined;
        try {
          optimizer.loadStateDict(dict);
        } catch (e) {
          error = e as Error;
        }
        if (error !== undefined) {
          refusals++;
          expectRefusal(error, title);
          expect(error.message, title).toMatch(shape);
          expectSame(snapshot(optimizer, params), before, title);
        } else {
          // A dict that is accepted lacks an option or has a valid one, or has another valid count. A param that is one block has
          // one number.
          const [top, , option] = path;
          if (top === 'paramGroups') expect(Object.keys(table), title).toContain(option);
          else if (top === 'options') expect([undefined, ...Object.keys(optimizerHyperParameters)]).toContain(path[1]);
          else if (top === 'mode') expect(title).toMatch(/^mode (deleted|set to undefined)$/);
          else
            expect(title).toMatch(
              /^state\.\w\.(momentum|muProduct|eta|mu|lrMax|weightSum|interpolation|expAvgSq|d|dMax|numerator|r|G|distance|distanceSq|gradSq|initialNorm|stepSize|lossAvg|gamma|updates) set to (-1|0\.5)$|^state\.\w\.expAvgSq set to Float32Array\(1\)$/,
            );
          optimizer.loadStateDict(own);
          expectSame(snapshot(optimizer, params), before, title);
        }
      }
    }
    expect(refusals).toBeGreaterThan(all ? 200 : 20);
    const twin = rig(c, { ema: 0.5, clipValue: 1 });
    for (const r of [{ step }, twin]) r.step();
    expect(snapshot(optimizer, params)).toBe(twin.seen());
  },
);

test('a dict of another class is refused', () => {
  for (const from of classes) {
    for (const to of sample(classes, 3)) {
      if (from === to) continue;
      const dict = rig(from).optimizer.stateDict();
      harmless(
        to,
        TypeError,
        `${to.declaration.name}.loadStateDict: optimizer: "${from.declaration.name}", expected "${to.declaration.name}"`,
        ({ optimizer }) => optimizer.loadStateDict(dict),
      );
    }
  }
});

test('params may have names such as constructor and __proto__', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '0', ''];
  for (const c of classes) {
    const of = (seed: number) => Object.fromEntries(names.map((name, i) => [name, numbers(3, seed + i)]));
    const params = of(1);
    const optimizer = c.make(params, { ema: 0.5 });
    optimizer.step(of(20));
    expect(Object.keys(optimizer.stateDict().state).sort()).toEqual([...names].sort());
    const copy = Object.fromEntries(names.map((name) => [name, (params[name] as Float32Array).slice()]));
    const again = c.make(copy, { ema: 0.5 });
    again.loadStateDict(structuredClone(optimizer.stateDict()));
    for (const o of [optimizer, again]) o.step(of(30));
    expect(Object.values(copy).map(bits)).toEqual(Object.values(params).map(bits));
    refused(TypeError, /grads\["/, () => optimizer.step({}));
  }
});

test('loading warns of the options that it switches off, once', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    const plain = createOptimizer('adam', numbers(3, 1)).stateDict();
    const build = () => createOptimizer('adam', numbers(3, 1), { clipNorm: 1, skipNonFinite: true });
    build().loadStateDict(build().stateDict());
    expect(warn).not.toHaveBeenCalled();
    for (let i = 0; i < 2; i++) build().loadStateDict(plain);
    expect(warn.mock.calls).toEqual([
      [
        'Adam.loadStateDict: switches off clipNorm, skipNonFinite, which the saved run did not have (to turn on what you need: const s = stateDict(); loadStateDict({ ...s, options: { ...s.options, clipNorm, skipNonFinite } }))',
        { type: 'SchussWarning', code: 'SCHUSS_OPTION_OFF' },
      ],
    ]);
  } finally {
    warn.mockRestore();
  }
});

test('zeroGrads that a load turns on: gradients that overlap each other are refused from then on', () => {
  const memory = new Float32Array(6).fill(1);
  const grads = [memory.subarray(0, 4), memory.subarray(2, 6)];
  const optimizer = new SGD([new Float32Array(4), new Float32Array(4)], { lr: 1 });
  optimizer.step(grads);
  const dict = optimizer.stateDict();
  optimizer.loadStateDict({ ...dict, options: { ...dict.options, zeroGrads: true } });
  expect(() => optimizer.step(grads)).toThrow('memory shared with grads[0]');
  expect(memory).toEqual(new Float32Array(6).fill(1));
});
