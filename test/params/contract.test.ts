// Params as trees, and shapes of any rank: names are paths, and everything that takes or returns arrays has the same
// tree.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  Adafactor,
  Adagrad,
  AdamW,
  ASGD,
  allocate,
  clipGradNorm,
  findNonFinite,
  GradAccumulator,
  gradNorm,
  groupBy,
  inspectCheckpoint,
  LBFGS,
  Lookahead,
  loadCheckpoint,
  lrRangeTest,
  SFO,
  SGD,
  saveCheckpoint,
  WeightAverage,
} from '../../lib/index.js';
import { f32 } from '../support/arrays.js';
import { thrown } from '../support/bad-input.js';
import { type Any, classes, harmless, refused, snapshot, titled } from '../support/rig.js';

const model = () => ({
  layers: [
    { weight: f32(1, 2), bias: f32(3) },
    { weight: f32(4, 5), bias: f32(6) },
  ],
  head: f32(7),
});
const names = ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias', 'head'];
const arraysOf = (tree: unknown): Float32Array[] =>
  tree instanceof Float32Array ? [tree] : Object.values(tree as object).flatMap(arraysOf);
const grads = (value: number) => ({
  layers: [
    { weight: f32(value, value), bias: f32(value) },
    { weight: f32(value, value), bias: null },
  ],
  head: f32(value),
});
const flat = (value: number) => ({
  'layers.0.weight': f32(value, value),
  'layers.0.bias': f32(value),
  'layers.1.weight': f32(value, value),
  'layers.1.bias': null,
  head: f32(value),
});

describe.each(titled(classes))('%s', (_, c) => {
  test('a tree steps as a flat record of its paths does, with gradients in either form', () => {
    const [tree, mixed, record] = [model(), model(), model()];
    const [a, b] = [c.make(tree, { ema: 0.5 }), c.make(mixed, { ema: 0.5 })];
    const params = Object.fromEntries(arraysOf(record).map((array, i) => [names[i], array]));
    const plain = c.make(params, { ema: 0.5 });
    for (const value of [1, -2, 3]) {
      a.step(grads(value) as Any);
      b.step((value < 0 ? grads(value) : flat(value)) as Any);
      plain.step(flat(value) as Any);
    }
    expect(snapshot(a, arraysOf(tree))).toBe(snapshot(b, arraysOf(mixed)));
    expect(tree).toEqual(record);
    expect(a.stateDict()).toEqual(plain.stateDict());
    expect(Object.keys(a.stateDict().state)).toEqual(names);
    expect(arraysOf(a.emaParams)).toEqual(Object.values(plain.emaParams as object));
    expect((a.emaParams as Any).layers[1].weight).toBeInstanceOf(Float32Array);
  });

  test('the dict of a flat record loads into a tree of the same paths', () => {
    const [tree, record] = [model(), model()];
    const params = Object.fromEntries(arraysOf(record).map((array, i) => [names[i], array]));
    const [from, to] = [c.make(params), c.make(tree)];
    from.step(flat(1) as Any);
    to.step(grads(5) as Any);
    to.loadStateDict(structuredClone(from.stateDict()));
    expect(to.stateDict()).toEqual(from.stateDict());
  });

  test('null for a branch is null for all params in it; null for the whole is an error', () => {
    const [byBranch, byLeaf] = [model(), model()];
    const [a, b] = [c.make(byBranch), c.make(byLeaf)];
    const { layers } = grads(1);
    const nothing = { weight: null, bias: null };
    for (const head of [f32(1), f32(2)]) {
      a.step({ layers: [layers[0], null], head } as Any);
      b.step({ layers: [layers[0], nothing], head } as Any);
      a.step({ layers: null, head });
      b.step({ layers: [nothing, nothing], head });
    }
    expect(snapshot(a, arraysOf(byBranch))).toBe(snapshot(b, arraysOf(byLeaf)));
    refused(TypeError, /grads: null, expected a record/, () => a.step(null as Any));
  });

  test('a shape of any rank is taken, and Adafactor takes the other dimensions as columns', () => {
    for (const shape of [[8], [2, 4], [2, 2, 2], [2, 1, 2, 2]]) {
      const [plain, shaped] = [new Float32Array(8).fill(1), new Float32Array(8).fill(1)];
      const two = shape.length > 1 ? { data: plain, shape: [shape[0], 8 / shape[0]!] } : plain;
      const optimizers = [c.make(two), c.make({ data: shaped, shape })];
      for (const optimizer of optimizers) optimizer.step(f32(1, 2, 3, 4, 5, 6, 7, 8));
      expect(snapshot(optimizers[0]!, [plain])).toBe(snapshot(optimizers[1]!, [shaped]));
    }
  });

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, (tree: Any) => unknown]>([
    [
      'a Map',
      TypeError,
      /params\["layers"\]: a Map, .*Object\.fromEntries\(map\)/,
      (t) => ({ ...t, layers: new Map() }),
    ],
    ['a Set', TypeError, /params\["layers"\]: a Set/, (t) => ({ ...t, layers: new Set() })],
    ['a Proxy of an array', TypeError, /params\["head"\]: a Proxy/, (t) => ({ ...t, head: new Proxy(t.head, {}) })],
    [
      'a Proxy of a branch',
      TypeError,
      /params\["layers\.0"\]: a Proxy/,
      (t) => ({ layers: [new Proxy(t.layers[0], {})] }),
    ],
    ['a Proxy of the tree', TypeError, /params: a Proxy/, (t) => new Proxy(t, {})],
    [
      'a Float64Array',
      TypeError,
      /params\["a\.b"\]: Float64Array\(1\), .*Float32Array\.from/,
      () => ({ a: { b: new Float64Array(1) } }),
    ],
    ['numbers', TypeError, /params\["a\.b"\]: \[1, 2\], .*Float32Array\.from/, () => ({ a: { b: [1, 2] } })],
    [
      'a cycle',
      TypeError,
      /params\["a\.back"\]: a cycle, expected a tree/,
      (t) => {
        const a: Any = { w: t.head };
        a.back = a;
        return { a };
      },
    ],
    [
      'a cycle through a list',
      TypeError,
      /params\["a\.0"\]: a cycle/,
      () => {
        const a: Any[] = [];
        a.push(a);
        return { a };
      },
    ],
    [
      'more levels than 100',
      TypeError,
      /params: a deeper tree, expected a tree of at most 100 levels/,
      (t) => Array.from({ length: 101 }).reduce((tree: Any) => [tree], t.head),
    ],
    ['2³² − 1 holes', TypeError, /params\["?1"?\]/, (t) => Object.assign([t.head], { length: 2 ** 32 - 1 })],
    ['an empty record', RangeError, /params\["a\.b"\]: nothing/, () => ({ a: { b: {} } })],
    ['an empty list', RangeError, /params\["a"\]: nothing/, (t) => ({ head: t.head, a: [] })],
    ['a hole', TypeError, /params\["a\.1"\]: undefined, .*\(a hole\)$/, (t) => ({ a: [t.head, , t.head] })],
    [
      'two equal paths',
      RangeError,
      /params\["a\.b"\]: a name used before/,
      (t) => ({ 'a.b': t.head, a: { b: f32(1) } }),
    ],
    ['a group in a tree', TypeError, /params\["a"\]: a group inside a tree/, (t) => ({ a: { params: t.head } })],
    [
      'a shape that does not fit',
      RangeError,
      /params\["a"\]\.shape: \[2, 2, 2\], expected a product of 1/,
      (t) => ({ a: { data: t.head, shape: [2, 2, 2] } }),
    ],
    [
      'memory twice',
      RangeError,
      /params\["b\.w"\]: memory shared with params\["a\.w"\]/,
      (t) => {
        const a = { w: t.head };
        return { a, b: a };
      },
    ],
  ])('params: %s', (_, kind, message, params) => {
    refused(kind, message, () => c.make(params(model())));
    harmless(c, kind, /./, ({ optimizer }) => optimizer.addParamGroup({ params: params(model()) } as Any));
  });

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, (tree: Any) => unknown]>([
    [
      'a branch missing',
      TypeError,
      /grads\["layers"\]: undefined, expected a list, as in params; or .*"layers\.0\.weight"$/,
      (g) => ({ head: g.head }),
    ],
    [
      'a leaf missing',
      TypeError,
      /grads\["layers\.1\.bias"\]: undefined, expected .*null/,
      (g) => ({ ...g, layers: [g.layers[0], { weight: null }] }),
    ],
    [
      'a record for a list',
      TypeError,
      /grads\["layers"\]: an object, expected a list of 2/,
      (g) => ({ ...g, layers: { ...g.layers } }),
    ],
    [
      'a list too short',
      RangeError,
      /grads\["layers"\]: 1 gradient\(s\), expected 2/,
      (g) => ({ ...g, layers: [g.layers[0]] }),
    ],
    [
      'a hole',
      TypeError,
      /grads\["layers\.1"\]: undefined, expected an object with weight, bias/,
      (g) => ({ ...g, layers: [g.layers[0], ,] }),
    ],
    [
      'an unknown name',
      TypeError,
      /grads\["layers\.0\.gain"\]: no such param, expected one of "layers\.0\.weight", "layers\.0\.bias"/,
      (g) => ({ ...g, layers: [{ ...g.layers[0], gain: null }, g.layers[1]] }),
    ],
    ['a Map', TypeError, /grads: a Map, .*Object\.fromEntries\(map\)/, (g) => new Map(Object.entries(g))],
    [
      'a Map in the tree',
      TypeError,
      /grads\["layers\.0"\]: a Map, .*Object\.fromEntries\(map\)/,
      (g) => ({ ...g, layers: [new Map(Object.entries(g.layers[0])), g.layers[1]] }),
    ],
    ['a Proxy of an array', TypeError, /grads\["head"\]: a Proxy/, (g) => ({ ...g, head: new Proxy(g.head, {}) })],
    [
      'a length',
      RangeError,
      /grads\["layers\.1\.weight"\]: length 1, expected 2 \("layers\.1\.weight"\)/,
      (g) => ({ ...g, layers: [g.layers[0], { weight: f32(1), bias: null }] }),
    ],
    ['a path missing', TypeError, /grads\["head"\]: undefined/, () => ({ ...flat(1), head: undefined })],
    ['a path too many', TypeError, /grads\["layers"\]: no such param/, (g) => ({ ...flat(1), layers: g.layers })],
  ])('grads: %s', (_, kind, message, change) => {
    const tree = model();
    const optimizer = c.make(tree, { zeroGrads: true });
    const before = snapshot(optimizer, arraysOf(tree));
    refused(kind, message, () => optimizer.step(change(grads(1)) as Any));
    expect(snapshot(optimizer, arraysOf(tree))).toBe(before);
  });
});

test('groups of trees merge into one tree, and equal paths in two groups are refused', () => {
  const w = () => f32(1, 1);
  const sgd = new SGD([{ params: { a: { x: w() } } }, { params: { a: { y: w() }, b: w() }, lr: 0.5 }] as Any, {
    lr: 1,
  });
  sgd.step({ a: { x: f32(1, 1), y: f32(1, 1) }, b: null } as Any);
  expect(sgd.stateDict().paramGroups.map(({ params }) => params)).toEqual([['a.x'], ['a.y', 'b']]);
  const lists = new SGD([{ params: [{ w: w() }, w()] }, { params: w() }, { params: [[w()]] }] as Any, {
    lr: 1,
    ema: 0,
  });
  lists.step([{ w: null }, null, null, [f32(1, 1)]] as Any);
  expect(Object.keys(lists.stateDict().state)).toEqual(['1', '2', '0.w', '3.0']);
  expect(lists.emaParams).toMatchObject([{ w: w() }, w(), w(), [f32(0, 0)]]);
});

test('groups whose trees contradict each other are refused', () => {
  const w = () => f32(1);
  const make = (...trees: unknown[]) => new SGD(trees.map((params) => ({ params })) as Any, { lr: 1 });
  refused(RangeError, /params\[1\]\.params\["a\.b"\]: a name used before/, () =>
    make({ a: { b: w() } }, { a: { b: w() } }),
  );
  refused(RangeError, /params\[1\]\.params\["a\.b"\]: a name used before/, () => make({ a: w() }, { a: { b: w() } }));
  refused(RangeError, /params\[1\]\.params\["a"\]: a name used before/, () => make({ a: { b: w() } }, { a: w() }));
  refused(RangeError, /params\[1\]\.params\["a\.0"\]: a name used before/, () => make({ a: [w()] }, { a: [w()] }));
  refused(TypeError, /params\[1\]\.params\["a\.b"\]: an entry of a record/, () =>
    make({ a: [w()] }, { a: { b: w() } }),
  );
  refused(TypeError, /without a name/, () => make({ a: { b: w() } }, [w()]));
});

test('groupBy splits a tree by path; gradients and averages keep the whole tree', () => {
  const tree = model();
  const groups = groupBy(tree, (name) => (name.endsWith('bias') ? { weightDecay: 0 } : undefined));
  const adamw = new AdamW(groups as Any, { lr: 0.1, ema: 0.5 });
  const plain = model();
  const twin = new AdamW(plain, { lr: 0.1, weightDecay: 1e-2 });
  adamw.step(grads(1) as Any);
  twin.step(grads(1));
  expect(tree.layers[0]!.weight).toEqual(plain.layers[0]!.weight);
  expect(tree.layers[0]!.bias).not.toEqual(plain.layers[0]!.bias);
  const ema = adamw.emaParams as Any;
  expect([Array.isArray(ema.layers), ema.layers.length]).toEqual([true, 2]);
  expect(adamw.stateDict().paramGroups.map(({ params }) => params)).toEqual([
    ['layers.0.weight', 'layers.1.weight', 'head'],
    ['layers.0.bias', 'layers.1.bias'],
  ]);
});

test('sparse gradients, stepAsync and zeroGrads work in a tree', async () => {
  const tree = { tables: [{ data: allocate(12).fill(1), shape: [3, 2, 2] }], bias: allocate(1) };
  const sgd = new SGD(tree, { lr: 1, zeroGrads: true });
  const [rows, values, bias] = [Int32Array.of(2, 0), f32(1, 2, 3, 4, 5, 6, 7, 8), f32(1)];
  sgd.step({ tables: [{ rows, values }], bias });
  expect([...tree.tables[0]!.data]).toEqual([-4, -5, -6, -7, 1, 1, 1, 1, 0, -1, -2, -3]);
  expect([...values, ...bias]).toEqual(new Array(9).fill(0));
  const dense = allocate(12).fill(1);
  await sgd.stepAsync({ tables: [dense], bias: null });
  expect(tree.tables[0]!.data[4]).toBe(0);
  refused(RangeError, /grads\["tables\.0"\]\.values: rows of 3, expected 4, the columns/, () =>
    sgd.step({ tables: [{ rows: Int32Array.of(0), values: f32(1, 1, 1) }], bias: null }),
  );
});

test('a class with one number per matrix row or column takes rank > 2 as rows and the rest', () => {
  const [a, b] = [new Float32Array(24).fill(1), new Float32Array(24).fill(1)];
  const grad = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i));
  const [four, two] = [new Adafactor({ data: a, shape: [3, 2, 2, 2] }), new Adafactor({ data: b, shape: [3, 8] })];
  four.step(grad);
  two.step(grad);
  expect(a).toEqual(b);
  expect((four.stateDict().state['0'] as Any).rowAvg).toHaveLength(3);
  expect((four.stateDict().state['0'] as Any).colAvg).toHaveLength(8);
  const vector = new Adafactor({ data: f32(1, 2, 3), shape: [3] });
  expect((vector.stateDict().state['0'] as Any).squareAvg).toHaveLength(3);
  const rowWise = new Adagrad({ data: new Float32Array(24), shape: [3, 4, 2] }, { rowWise: true });
  expect((rowWise.stateDict().state['0'] as Any).sum).toHaveLength(3);
});

test('a param that was alone becomes the first of a list', () => {
  const [w, b] = [f32(1), f32(2)];
  const sgd = new SGD(w, { lr: 1 });
  sgd.addParamGroup({ params: b });
  sgd.step([f32(1), f32(1)] as Any);
  expect([w[0], b[0]]).toEqual([0, 1]);
  refused(RangeError, /grads\[0\]: length 2, expected 1/, () => sgd.step([f32(1, 1), null] as Any));
});

describe('the tree holds wherever params and gradients are taken', () => {
  test('Lookahead, ASGD, WeightAverage', () => {
    const tree = model();
    const lookahead = new Lookahead(new SGD(tree, { lr: 1 }), { k: 1, alpha: 0.5 });
    const average = new WeightAverage(tree, { mode: 'swa' });
    lookahead.step(grads(2) as Any);
    average.update();
    expect([...tree.layers[0]!.weight]).toEqual([0, 1]);
    expect(Object.keys(average.stateDict().params)).toEqual(names);
    expect(average.params).toHaveLength(5);
    expect(Object.keys(lookahead.stateDict().slow)).toContain('layers.1.weight');
    const asgd = new ASGD(model());
    expect((asgd.averagedParams as Any).layers[1].bias).toEqual(f32(6));
  });

  test('GradAccumulator, clipGradNorm, gradNorm, findNonFinite', () => {
    const sum = new GradAccumulator(model());
    sum.add(grads(1) as Any);
    sum.add(flat(2) as Any);
    expect(sum.grads).toEqual(grads(3));
    expect(Object.keys(sum.stateDict().sums)).toEqual(names);
    expect(gradNorm(sum.grads)).toBeCloseTo(3 * Math.sqrt(6), 12);
    clipGradNorm(sum.grads, 1);
    expect(gradNorm(sum.grads)).toBeCloseTo(1, 5);
    (sum.grads as Any).layers[1].weight[1] = Number.NaN;
    expect(findNonFinite(sum.grads)).toMatchObject({ name: 'layers.1.weight', index: 1 });
    const loop: Any = { a: {} };
    loop.a.back = loop.a;
    expect(thrown(() => gradNorm(loop))).toMatch(/^TypeError: gradNorm: grads\["a\.back"\]: a cycle/);
    const nest = (levels: number): Any =>
      Array.from({ length: levels }).reduce((tree: Any) => [tree], new Float32Array([3, 4]));
    const holes = (): Any => Object.assign([new Float32Array(2)], { length: 2 ** 32 - 1 });
    expect(thrown(() => gradNorm(holes()))).toMatch(
      /^TypeError: gradNorm: grads\[1\]: undefined, expected a Float32Array or null/,
    );
    expect(thrown(() => gradNorm({ a: holes() }))).toMatch(/^TypeError: gradNorm: grads\["a\.1"\]: undefined/);
    expect(gradNorm(nest(100))).toBe(5);
    expect(thrown(() => gradNorm(nest(101)))).toMatch(/^TypeError: gradNorm: grads: a deeper tree/);
    expect(thrown(() => gradNorm(new Map() as Any))).toMatch(
      /^TypeError: gradNorm: grads: a Map, .*Object\.fromEntries/,
    );
    expect(thrown(() => gradNorm({ a: new Proxy(f32(1), {}) }))).toMatch(/^TypeError: gradNorm: grads\["a"\]: a Proxy/);
  });

  test('LBFGS and SFO', () => {
    const [tree, filled] = [
      { a: [f32(1)], b: f32(2) },
      { a: [f32(0)], b: f32(0) },
    ];
    const lbfgs = new LBFGS(tree, { grads: filled });
    lbfgs.step(() => {
      const [x, y] = [tree.a[0]![0]! - 3, tree.b[0]! - 4];
      filled.a[0]![0] = 2 * x;
      filled.b[0] = 2 * y;
      return x * x + y * y;
    });
    expect(arraysOf(tree).map(([x]) => x)).toEqual([3, 4]);
    const terms = { a: [f32(1)] as const, b: f32(2) };
    const sfo = new SFO(terms, {
      N: 3,
      f(i, params, out) {
        const [x, y] = [params.a[0][0]! - i, params.b[0]! - 2 * i];
        out.a[0][0] = 2 * x;
        out.b[0] = 2 * y;
        return x * x + y * y;
      },
    });
    for (let step = 0; step < 30; step++) sfo.step();
    expect(terms.a[0]![0]).toBeCloseTo(1, 3);
    expect(terms.b[0]).toBeCloseTo(2, 3);
  });

  test('lrRangeTest', () => {
    const tree = model();
    const sgd = new SGD(tree, { lr: 1 });
    const trainStep = () => {
      sgd.step(grads(1));
      return 1;
    };
    lrRangeTest(sgd, trainStep, { steps: 5 });
    expect(tree).toEqual(model());
  });

  test('checkpoints: the names are paths, shapes keep their rank', async () => {
    const path = join(tmpdir(), `schuss-tree-${process.pid}.safetensors`);
    const make = () => {
      const params = { conv: [{ data: new Float32Array(8).fill(1), shape: [2, 1, 2, 2] }], bias: f32(1, 2) };
      return { params, optimizer: new AdamW(params) };
    };
    const [run, resumed] = [make(), make()];
    run.optimizer.step({ conv: [new Float32Array(8).fill(1)], bias: null });
    await saveCheckpoint(path, run);
    const { tensors } = await inspectCheckpoint(path);
    expect(tensors['conv.0']?.shape).toEqual([2, 1, 2, 2]);
    expect(tensors['optimizer.conv.0.expAvg']?.shape).toEqual([2, 1, 2, 2]);
    await loadCheckpoint(path, resumed);
    expect(resumed.params).toEqual(run.params);
    expect(resumed.optimizer.stateDict()).toEqual(run.optimizer.stateDict());
  });
});
