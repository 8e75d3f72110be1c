// A run that was saved and loaded continues bit for bit: every class and option, every structure of params, every engine.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  Adam,
  GradAccumulator,
  inspectCheckpoint,
  LBFGS,
  Lookahead,
  LossScale,
  loadCheckpoint,
  ReduceOnPlateau,
  readSafetensors,
  SFO,
  SGD,
  saveCheckpoint,
  WeightAverage,
  writeSafetensors,
} from '../../lib/index.js';
import {
  type Any,
  betas,
  bits,
  type Case,
  classes,
  decay,
  nativeEngines,
  numbers,
  type Options,
  reference,
  scratch,
  snapshot,
  variants,
  withEngine,
} from '../support/checkpoint.js';
import { movesTogether } from '../support/rig.js';
import { sample } from '../support/sample.js';

const folder = scratch();
let files = 0;
const newPath = (): string => join(folder, `${files++}.safetensors`);

/** Params in one structure, with gradients for any step; some sit out steps, so that their t differ. */
interface Run {
  readonly params: Any;
  readonly arrays: readonly Float32Array[];
  grads(step: number): Any;
}

const structures: Readonly<Record<string, (seed: number, c: Case) => Run>> = {
  groups(seed, c) {
    const [a, b, last] = [numbers(5, seed), numbers(18, seed + 1), numbers(3, seed + 2)];
    return {
      params: [{ params: { a, 'layers.0.b': b } }, { params: { c: last }, lr: movesTogether(c) ? 0 : 0.3 }], // one lr or 0 where all params move together
      arrays: [a, b, last],
      grads: (s) => ({
        a: numbers(5, s),
        'layers.0.b': s % 2 ? null : numbers(18, s),
        c: s < 3 ? null : numbers(3, s),
      }),
    };
  },
  record(seed) {
    const [a, b] = [numbers(6, seed), numbers(1, seed + 1)];
    return {
      params: { a: { data: a, shape: [2, 3] }, b },
      arrays: [a, b],
      grads: (s) => ({ a: numbers(6, s), b: numbers(1, s) }),
    };
  },
  list(seed) {
    const [a, b] = [numbers(17, seed), numbers(2, seed + 1)];
    return { params: [a, b], arrays: [a, b], grads: (s) => [s === 2 ? null : numbers(17, s), numbers(2, s)] };
  },
  single(seed) {
    const data = numbers(6, seed);
    return { params: { data, shape: [2, 3] }, arrays: [data], grads: (s) => numbers(6, s) };
  },
};

/** Options that keep state of their own, or change from step to step. */
function surroundings(c: Case): Options[] {
  const momentum = (step: number): number => [0.5, 0.9, 0.3, 0, 0.99][step % 5] as number;
  return [
    {},
    { ema: 0.9, clipValue: 0.5, clipNorm: 1, skipNonFinite: true },
    { lr: (step: number) => 0.1 / step, ...decay(c, 0.1), maximize: true },
    ...('betas' in c.declaration.hyperParameters ? [{ ...betas(c, momentum, 0.9), ema: 0.5 }] : []),
  ];
}

async function resume(c: Case, options: Options, structure: keyof typeof structures, make = c.make): Promise<void> {
  const path = newPath();
  const run = structures[structure]!(1, c);
  const optimizer = c.make(run.params, options);
  for (let s = 0; s < 3; s++) optimizer.step(run.grads(s));
  const saved = saveCheckpoint(path, { params: run.params, optimizer });
  const before = snapshot(optimizer, run.arrays);
  for (let s = 3; s < 6; s++) optimizer.step(run.grads(s)); // while the file is written
  await saved;

  const again = structures[structure]!(50, c);
  const resumed = make(again.params, options);
  resumed.step(again.grads(20));
  expect(await loadCheckpoint(path, { params: again.params, optimizer: resumed })).toEqual({});
  expect(snapshot(resumed, again.arrays)).toBe(before);
  for (let s = 3; s < 6; s++) resumed.step(again.grads(s));
  expect(snapshot(resumed, again.arrays)).toBe(snapshot(optimizer, run.arrays));
}

const names = Object.keys(structures);

describe('every class in every form', () => {
  test.each(sample(variants, 20).map((c, i) => [c.title, c, i] as const))('%s', async (_, c, i) => {
    for (const [j, options] of surroundings(c).entries()) await resume(c, options, names[(i + j) % names.length]!);
  });
});

describe('every structure of params', () => {
  test.each(names)('%s', async (name) => {
    for (const c of sample(classes, 10)) await resume(c, { ema: 0.5 }, name);
  });
});

describe('another engine', () => {
  const native = nativeEngines[0]!;
  test.each([...nativeEngines.slice(1), reference].map((engine) => [engine.isa, engine] as const))(
    `from ${native.isa} to %s and back`,
    async (_, engine) => {
      for (const c of sample(classes, 10)) {
        await resume(c, { ema: 0.5 }, 'groups', (params, more) => withEngine(engine, () => c.make(params, more)));
        const other: Case = { ...c, make: (params, more) => withEngine(engine, () => c.make(params, more)) };
        await resume(other, {}, 'record', c.make);
      }
    },
  );
});

describe('other optimizers and objects', () => {
  const target = numbers(6, 9);
  const make = (seed: number) => {
    const w = numbers(6, seed);
    const params = { w };
    const grads = { w: new Float32Array(6) };
    const lbfgs = new LBFGS(params, { grads, maxIterations: 2 });
    const step = () =>
      lbfgs.step(() => {
        let loss = 0;
        for (let i = 0; i < 6; i++) {
          const d = w[i]! - target[i]!;
          loss += (i + 1) * d * d + d ** 4;
          grads.w[i] = 2 * (i + 1) * d + 4 * d ** 3;
        }
        return loss;
      });
    return { w, params, lbfgs, step };
  };

  test('LBFGS as the optimizer', async () => {
    const path = newPath();
    const [run, again] = [make(1), make(2)];
    for (let s = 0; s < 3; s++) run.step();
    await saveCheckpoint(path, { params: run.params, optimizer: run.lbfgs });
    again.step();
    await loadCheckpoint(path, { params: again.params, optimizer: again.lbfgs });
    expect(await inspectCheckpoint(path)).toMatchObject({ optimizer: 'LBFGS', step: 3 });
    for (const r of [run, again]) r.step();
    expect(bits(again.w)).toBe(bits(run.w));
    expect(again.lbfgs.stateDict()).toEqual(run.lbfgs.stateDict());
  });

  test('Lookahead around any class', async () => {
    const most = classes.filter(({ declaration }) => !declaration.name.startsWith('ScheduleFree'));
    for (const c of sample(most, 10)) {
      const path = newPath();
      const [run, again] = [structures['groups']!(1, c), structures['groups']!(7, c)];
      const [one, two] = [run, again].map((r) => new Lookahead(c.make(r.params), { k: 2 })) as Lookahead[] as [
        Lookahead,
        Lookahead,
      ];
      for (let s = 0; s < 5; s++) one.step(run.grads(s));
      await saveCheckpoint(path, { params: run.params, optimizer: one });
      await loadCheckpoint(path, { params: again.params, optimizer: two });
      for (let s = 5; s < 8; s++) {
        one.step(run.grads(s));
        two.step(again.grads(s));
      }
      expect(again.arrays.map(bits)).toEqual(run.arrays.map(bits));
      expect(two.stateDict()).toEqual(one.stateDict());
      expect(await inspectCheckpoint(path)).toMatchObject({ optimizer: 'Lookahead', step: 5 });
    }
  });

  test('ReduceOnPlateau, WeightAverage, SFO and an own object', async () => {
    class Sampler {
      position = 0;
      order = new Uint16Array([3, 1, 2]);
      stateDict() {
        return { position: this.position, order: this.order, seen: [new Set([1]).size, Number.NaN, -0, null] };
      }
      loadStateDict(dict: { position: number; order: Uint16Array }) {
        this.position = dict.position;
        this.order.set(dict.order);
      }
    }
    const build = (seed: number) => {
      const params = { a: numbers(4, seed) };
      const optimizer = new SGD(params, { lr: 0.5, momentum: 0.9 });
      const objects = {
        plateau: new ReduceOnPlateau(optimizer, { patience: 0, factor: 0.5 }),
        average: new WeightAverage(params, { decay: 0.9, debias: true }),
        swa: new WeightAverage(params, { mode: 'swa' }),
        sum: new GradAccumulator(params),
        lossScale: new LossScale({ initScale: seed, growthInterval: 2 }),
        sampler: new Sampler(),
      };
      const step = (s: number) => {
        objects.lossScale.step(optimizer, { a: numbers(4, s) });
        objects.lossScale.update();
        if (s % 2 === 0) objects.sum.reset();
        objects.sum.add({ a: s % 3 === 0 ? null : numbers(4, s) });
        objects.plateau.update(s);
        objects.average.update();
        objects.swa.update();
        objects.sampler.position += s;
        objects.sampler.order[s % 3]! += 100;
      };
      const seen = () => [
        bits(params.a),
        optimizer.stateDict(),
        ...Object.values(objects).map((object) => structuredClone(object.stateDict())),
        objects.average.params.map(bits),
      ];
      return { params, optimizer, objects, step, seen };
    };
    for (const steps of [0, 3]) {
      const path = newPath();
      const [run, again] = [build(1), build(2)];
      for (let s = 1; s <= steps; s++) run.step(s);
      again.step(9);
      await saveCheckpoint(path, { ...pick(run), metadata: { note: 'ü "quoted"\n', '': '' } });
      const before = run.seen();
      expect(await loadCheckpoint(path, pick(again))).toEqual({ note: 'ü "quoted"\n', '': '' });
      expect(again.seen()).toEqual(before);
      for (const r of [run, again]) for (let s = 5; s < 8; s++) r.step(s);
      expect(again.seen()).toEqual(run.seen());
    }
  });

  function pick<P, O, X>({ params, optimizer, objects }: { params: P; optimizer: O; objects: X }) {
    return { params, optimizer, objects };
  }

  test('SFO', async () => {
    const build = () => {
      const params = { x: numbers(3, 4) };
      const f = (i: number, x: Record<'x', Float32Array>, g: Record<'x', Float32Array>): number => {
        let sum = 0;
        for (let k = 0; k < 3; k++) {
          const d = x.x[k]! - i - k;
          sum += d * d;
          g.x[k] = 2 * d;
        }
        return sum;
      };
      return { params, sfo: new SFO(params, { N: 4, f } as Any) as Any };
    };
    const [run, again] = [build(), build()];
    for (let s = 0; s < 9; s++) run.sfo.step();
    const path = newPath();
    await saveCheckpoint(path, { params: run.params, objects: { sfo: run.sfo } });
    await loadCheckpoint(path, { params: again.params, objects: { sfo: again.sfo } });
    for (const r of [run, again]) for (let s = 0; s < 9; s++) r.sfo.step();
    expect(bits(again.params.x)).toBe(bits(run.params.x));
  });

  test('params alone, and names that JavaScript knows', async () => {
    const path = newPath();
    const names = ['__proto__', 'constructor', 'toString', '0', '', 'ü/"\\\n', 'optimizer.0.expAvg', 'a~2'];
    const of = (seed: number) => Object.fromEntries(names.map((name, i) => [name, numbers(3, seed + i)]));
    const [params, copy] = [of(1), of(40)];
    await saveCheckpoint(path, { params });
    await loadCheckpoint(path, { params: Object.fromEntries(Object.entries(copy).reverse()) });
    for (const name of names) expect(bits(copy[name]!)).toBe(bits(params[name]!));
    const { tensors, optimizer, step } = await inspectCheckpoint(path);
    expect([Object.keys(tensors).sort(), optimizer, step]).toEqual([[...names].sort(), undefined, undefined]);

    const [one, two] = [new Adam(params, { ema: 0.5 }), new Adam(copy, { ema: 0.5 })];
    one.step(of(80));
    await saveCheckpoint(path, { params, optimizer: one });
    await loadCheckpoint(path, { params: copy, optimizer: two });
    expect(snapshot(two, Object.values(copy))).toBe(snapshot(one, Object.values(params)));
  });

  test('an array with properties of its own', async () => {
    const lying = (values: readonly number[]): Float32Array =>
      Object.defineProperty(Float32Array.from(values), 'length', { value: [Float32Array.of(7)] });
    const [path, weights] = [newPath(), newPath()];
    await saveCheckpoint(path, { params: { a: lying([1, 2, 3]) } });
    await writeSafetensors(weights, { a: lying([1, 2, 3]) });
    for (const file of [path, weights]) {
      const { tensors } = await readSafetensors(file);
      expect(tensors).toEqual({ a: { data: Float32Array.of(1, 2, 3), shape: [3] } });
    }
  });

  test('empty params', async () => {
    const path = newPath();
    const params = [new Float32Array(0), numbers(2, 1), { data: new Float32Array(0), shape: [0, 4] as const }];
    const optimizer = new Adam(params);
    optimizer.step([new Float32Array(0), numbers(2, 2), null]);
    await saveCheckpoint(path, { params, optimizer });
    await loadCheckpoint(path, { params, optimizer });
    expect((await inspectCheckpoint(path)).tensors['2']).toEqual({ dtype: 'F32', shape: [0, 4] });
  });
});
