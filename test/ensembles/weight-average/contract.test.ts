// averageWeights and WeightAverage: every wrong argument is refused, in the library's error shape, and changes nothing.
import { describe, expect, test } from 'vitest';
import * as ensembles from '../../../lib/ensembles/index.js';
import * as schuss from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { detached, thrown } from '../../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const e = ensembles as any;

const a = f32(1, 2, 3, 4, 5, 6);

const b = f32(6, 5, 4, 3, 2, 1);

describe('averageWeights', () => {
  test.each<[unknown, string]>([
    [a, 'TypeError: averageWeights: models: Float32Array(6), expected a list of lists or records of Float32Arrays'],
    [[], 'RangeError: averageWeights: models: nothing, expected at least one list or record of Float32Arrays'],
    [[a, b], 'TypeError: averageWeights: models[0]: Float32Array(6), expected a list or a record of Float32Arrays'],
    [
      [[a], []],
      'RangeError: averageWeights: models[1]: nothing, expected a Float32Array, { data, shape }, a list or a record of them',
    ],
    [[{ x: a }, { y: a }], 'TypeError: averageWeights: models[1]: no "x", expected the names of models[0]'],
    [[{ x: a }, [a]], 'TypeError: averageWeights: models[1]: no "x", expected the names of models[0]'],
    [[{ x: { y: a } }, { x: { y: f32(1) } }], 'RangeError: averageWeights: models[1]["x.y"]: length 1, expected 6'],
    [[[a], [a, b]], 'RangeError: averageWeights: models[1]: 2 array(s), expected 1, as models[0] has'],
    [
      [
        [a, b],
        [b, f32(1)],
      ],
      'RangeError: averageWeights: models[1][1]: length 1, expected 6',
    ],
    [
      [[a], [new Float64Array(6)]],
      'TypeError: averageWeights: models[1][0]: Float64Array(6), expected a Float32Array or { data, shape } (convert it with Float32Array.from(…))',
    ],
    [
      [[a], [detached(6)]],
      'TypeError: averageWeights: models[1][0]: a detached Float32Array, expected a Float32Array or { data, shape } (its buffer was transferred, resized or grown)',
    ],
  ])('invalid argument %# is refused', (models, message) => {
    expect(thrown(() => e.averageWeights(models))).toBe(message);
  });
});

describe('WeightAverage', () => {
  test.each([{ decay: 0.5 }, { decay: 0.5, debias: true }, { mode: 'swa' }])(
    '%j: averagedParams has the structure of the params, params their order',
    (options) => {
      const tree = () => ({ layers: [{ weight: f32(1, 2) }, { weight: f32(3) }], head: { data: f32(4), shape: [1] } });
      const model = tree();
      const average = new e.WeightAverage(model, options);
      expect(average.averagedParams).toEqual({ layers: [{ weight: f32(1, 2) }, { weight: f32(3) }], head: f32(4) });
      average.update();
      model.layers[1]!.weight.fill(5);
      average.update();
      const { averagedParams, params } = average;
      expect(averagedParams.layers[1].weight[0]).toBeCloseTo(options.debias ? 13 / 3 : 4, 5);
      const { layers, head } = averagedParams;
      [layers[0].weight, layers[1].weight, head].forEach((array, i) => {
        expect(array).toBe(params[i]);
      });
      expect(average.averagedParams).toBe(averagedParams);
      expect(new e.WeightAverage(f32(1), options).averagedParams).toEqual(f32(1));
      expect(new e.WeightAverage([f32(1), f32(2)], options).averagedParams).toEqual([f32(1), f32(2)]);
      const groups = [{ params: { a: f32(1) } }, { params: { b: f32(2) } }];
      expect(new e.WeightAverage(groups, options).averagedParams).toEqual({ a: f32(1), b: f32(2) });
    },
  );

  const { WeightAverage } = ensembles;

  test('stateDict names an average whose memory was taken', () => {
    const average = new WeightAverage({ w: f32(1, 2) }, { mode: 'swa' });
    average.update();
    structuredClone(average.params[0]!.buffer, { transfer: [average.params[0]!.buffer as ArrayBuffer] });
    expect(thrown(() => average.stateDict())).toMatch(
      /^TypeError: WeightAverage: average of params\["w"\]: a detached Float32Array, expected length 2/,
    );
  });

  test.each<[unknown, string]>([
    [{ decay: 1 }, 'RangeError: WeightAverage: decay: 1, expected [0, 1)'],
    [{ decay: -0.1 }, 'RangeError: WeightAverage: decay: -0.1, expected [0, 1)'],
    [{ decay: Number.NaN }, 'RangeError: WeightAverage: decay: NaN, expected [0, 1)'],
    [{ decay: '0.9' }, 'TypeError: WeightAverage: decay: "0.9", expected a number in [0, 1)'],
    [{ mode: 'ema' }, 'TypeError: WeightAverage: decay: undefined, expected a number in [0, 1)'],
    [{ decay: 0.9, debias: 1 }, 'TypeError: WeightAverage: debias: 1, expected true or false'],
    [{ mode: 'mean' }, 'RangeError: WeightAverage: mode: "mean", expected "ema" or "swa"'],
    [{ mode: 'swa', decay: 0.9 }, 'TypeError: WeightAverage: decay: 0.9, expected no decay with mode "swa"'],
    [{ mode: 'swa', debias: false }, 'TypeError: WeightAverage: debias: false, expected no debias with mode "swa"'],
  ])('refused %o', (options, message) => {
    expect(thrown(() => new e.WeightAverage(a, options))).toBe(message);
  });

  test.each<[unknown, string]>([
    [[], /RangeError: WeightAverage: params: nothing, expected /.source],
    [5, /TypeError: WeightAverage: params: 5, expected /.source],
    [
      [a, new Float64Array(2)],
      /TypeError: WeightAverage: params\[1\]: Float64Array\(2\), expected .*convert it/.source,
    ],
    [[a, a], /RangeError: WeightAverage: params\[1\]: memory shared with params\[0\], expected separate memory/.source],
    [{ x: a, y: a.subarray(3) }, /RangeError: WeightAverage: params\["y"\]: memory shared with params\["x"\]/.source],
    [{ data: a, shape: [2, 2] }, /RangeError: WeightAverage: params.shape: /.source],
    [
      [{ params: { x: a } }, { params: { x: f32(1) } }],
      /RangeError: WeightAverage: params\[1\].params\["x"\]: a name used before, /.source,
    ],
    [
      [{ params: { x: a } }, { params: f32(1) }],
      /TypeError: WeightAverage: params\[1\].params: a param without a name, /.source,
    ],
  ])('params %#', (params, message) => {
    expect(thrown(() => new e.WeightAverage(params, { mode: 'swa' }))).toMatch(new RegExp(`^${message}`));
  });

  test('it accepts every structure of params, including groups with options, and keeps their order', () => {
    const [x, y] = [f32(1, 2), f32(3)];
    const structures: ConstructorParameters<typeof WeightAverage>[0][] = [
      [x, y],
      { x, y },
      [{ data: x, shape: [1, 2] }, y],
      [{ params: x, lr: 1 }, { params: [y] }],
      new schuss.SGD([{ params: { x }, momentum: 0.9 }, { params: { y } }], { lr: 1 }).paramGroups,
    ];
    for (const params of structures) expect(new WeightAverage(params, { decay: 0.5 }).params).toEqual([x, y]);
    expect(new WeightAverage(x, { decay: 0.5 }).params).toEqual([x]);
  });

  test('before the first update count is 0, params are the initial weights, and swap is refused', () => {
    for (const options of [{ mode: 'swa' as const }, { decay: 0.5 }, { decay: 0.5, debias: true }]) {
      const w = f32(1, 2);
      const average = new WeightAverage(w, options);
      w.fill(9);
      expect(average.count).toBe(0);
      expect(average.params).toEqual([f32(1, 2)]);
      expect(thrown(() => average.swap())).toBe(
        'TypeError: WeightAverage: swap: no average yet, expected a call of update() first',
      );
      expect(w).toEqual(f32(9, 9));
    }
  });

  test('update changes no param, and `params` is always the same arrays', () => {
    for (const options of [{ mode: 'swa' as const }, { decay: 0.5 }, { decay: 0.5, debias: true }]) {
      const w = f32(1, 2);
      const average = new WeightAverage(w, options);
      const { params } = average;
      average.update();
      average.update();
      expect(w).toEqual(f32(1, 2));
      expect(average.params[0]).toBe(params[0]);
      expect(average.params[0]).not.toBe(w);
      expect(Object.isFrozen(params), 'params must be frozen').toBe(true);
    }
  });

  test('update, stateDict and loadStateDict are refused while the weights are swapped', () => {
    const w = f32(1);
    const average = new WeightAverage(w, { decay: 0.5, debias: true });
    average.update();
    const state = average.stateDict();
    w[0] = 7;
    average.swap();
    for (const [name, call] of Object.entries({
      update: () => average.update(),
      stateDict: () => average.stateDict(),
      loadStateDict: () => average.loadStateDict(state),
    })) {
      expect(thrown(call)).toBe(
        `TypeError: WeightAverage: ${name}: the average is swapped in, expected a call of swap() first`,
      );
    }
    expect(average.count).toBe(1);
    expect([w[0], average.params[0]![0]]).toEqual([1, 7]);
    average.swap();
    average.update();
    expect(average.count).toBe(2);
    expect(average.params[0]![0]).toBe(5); // (1/4 + 7/2) / (3/4)
  });

  test('detached memory is refused before anything changes', () => {
    const buffers = new ArrayBuffer(8);
    const [x, y] = [f32(1), new Float32Array(buffers)];
    const average = new WeightAverage([x, y], { decay: 0.5 });
    average.update();
    x[0] = 3;
    structuredClone(buffers, { transfer: [buffers] });
    const message = /^TypeError: WeightAverage: params\[1\]: a detached Float32Array, expected length 2/;
    expect(thrown(() => average.update())).toMatch(message);
    expect(thrown(() => average.swap())).toMatch(message);
    expect([average.count, x[0], average.params[0]![0]]).toEqual([1, 3, 1]);
  });

  describe('stateDict', () => {
    const make = (options: ConstructorParameters<typeof WeightAverage>[1]) => {
      const average = new WeightAverage({ x: f32(1, 2), y: f32(3) }, options);
      average.update();
      return average;
    };

    test('is a plain copy', () => {
      const average = make({ decay: 0.75, debias: true });
      const state = average.stateDict();
      expect(state).toEqual({
        version: 1,
        mode: 'ema',
        decay: 0.75,
        debias: true,
        count: 1,
        params: { x: f32(0.25, 0.5), y: f32(0.75) },
      });
      state.params['x']!.fill(99);
      expect(average.params[0]).toEqual(f32(1, 2));
      expect(make({ mode: 'swa' }).stateDict()).toEqual({
        version: 1,
        mode: 'swa',
        count: 1,
        params: { x: f32(1, 2), y: f32(3) },
      });
      expect(Object.keys(new WeightAverage([f32(1), f32(2)], { mode: 'swa' }).stateDict().params)).toEqual(['0', '1']);
    });

    test('takes over the decay, the count and the arrays', () => {
      const other = new WeightAverage({ y: f32(0), x: f32(0, 0) }, { decay: 0.1, debias: true });
      other.update();
      expect(other.params).toEqual([f32(0), f32(0, 0)]); // the arrays of the dict are not kept
      other.loadStateDict(make({ decay: 0.75, debias: true }).stateDict());
      expect(other.count).toBe(1);
      expect(other.params).toEqual([f32(3), f32(1, 2)]); // by name
      other.update();
      expect(other.stateDict()).toMatchObject({ count: 2, decay: 0.75 });
      other.loadStateDict(new WeightAverage({ x: f32(1, 2), y: f32(3) }, { decay: 0.75, debias: true }).stateDict());
      expect(other.params).toEqual([f32(0), f32(0, 0)]); // nothing is averaged yet: the weights
    });

    test.each<[string, object, string]>([
      ['another version', { version: 2 }, 'RangeError: $: version: 2, expected 1'],
      ['another mode', { mode: 'swa' }, 'TypeError: $: mode: "swa", expected "ema"'],
      ['another start', { debias: true }, 'TypeError: $: debias: true, expected false'],
      ['a decay out of range', { decay: 1 }, 'RangeError: $: decay: 1, expected [0, 1)'],
      ['a negative count', { count: -1 }, 'RangeError: $: count: -1, expected an integer in [0, inf)'],
      ['an unknown key', { counts: 1 }, 'TypeError: $: counts: unknown option, expected count '],
      ['no params', { params: null }, 'TypeError: $: params: options: null, expected an object with x, y'],
      [
        'a missing param',
        { params: { x: f32(1, 2) } },
        'TypeError: $: params["y"]: undefined, expected a Float32Array',
      ],
      [
        'another param',
        { params: { x: f32(1, 2), y: f32(1), z: f32(1) } },
        'TypeError: $: params: z: unknown option, expected ',
      ],
      [
        'another length',
        { params: { x: f32(1, 2), y: f32(1, 2) } },
        'RangeError: $: params["y"]: length 2, expected 1',
      ],
    ])('refuses %s, all or nothing', (_name, change, message) => {
      const average = make({ decay: 0.75 });
      const before = average.stateDict();
      const state = { ...before, count: 5, decay: 0.5, params: { x: f32(7, 7), y: f32(7) }, ...change };
      expect(thrown(() => average.loadStateDict(state as typeof before))).toContain(
        message.replace('$', 'WeightAverage.loadStateDict'),
      );
      expect(average.stateDict()).toEqual(before);
    });

    test('takes each array as it was when it was checked', () => {
      const average = make({ mode: 'swa' });
      const x = f32(7, 7);
      const params = {
        x,
        get y() {
          x.fill(Number.NaN);
          return f32(7);
        },
      };
      average.loadStateDict({ version: 1, mode: 'swa', count: 5, params });
      expect(average.params).toEqual([f32(7, 7), f32(7)]);
    });

    test('refuses a decay for SWA', () => {
      const average = make({ mode: 'swa' });
      expect(thrown(() => average.loadStateDict({ ...average.stateDict(), decay: 0.9 } as never))).toMatch(
        /^TypeError: WeightAverage.loadStateDict: decay: unknown option, /,
      );
    });
  });
});
