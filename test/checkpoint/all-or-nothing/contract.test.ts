// A file that does not match, or state that cannot be saved or loaded, is an error, and nothing has changed.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  Adam,
  allocate,
  inspectCheckpoint,
  loadCheckpoint,
  ReduceOnPlateau,
  readSafetensors,
  SGD,
  saveCheckpoint,
  WeightAverage,
  writeSafetensors,
} from '../../../lib/index.js';
import { type Any, bits, fileOf, numbers, refused, scratch, snapshot, tempsIn } from '../../support/checkpoint.js';

const folder = scratch();
const path = join(folder, 'run.safetensors');

function build(seed: number, options: Any = {}) {
  const params = { a: { data: numbers(6, seed), shape: [2, 3] as const }, b: numbers(2, seed + 1) };
  const arrays = [params.a.data, params.b];
  const optimizer = new Adam(params, { ema: 0.5, ...options });
  const objects = {
    plateau: new ReduceOnPlateau(optimizer, { patience: 3 }),
    average: new WeightAverage(params, { decay: 0.5 }),
  };
  optimizer.step({ a: numbers(6, seed + 2), b: numbers(2, seed + 3) });
  objects.plateau.update(seed);
  objects.average.update();
  const seen = () =>
    [
      snapshot(optimizer, arrays),
      JSON.stringify(objects.plateau.stateDict()),
      objects.average.count,
      objects.average.params.map(bits),
    ].join();
  return { params, optimizer, objects, seen };
}
type Run = ReturnType<typeof build>;
const parts = ({ params, optimizer, objects }: Run): Any => ({ params, optimizer, objects });

describe('a file of another run', () => {
  const cases: readonly (readonly [string, (run: Run) => Any, string | RegExp])[] = [
    [
      'a param more',
      (r) => ({ ...parts(r), params: { ...r.params, c: new Float32Array(1) } }),
      'no param "c", expected the 3 params of this run (to take over some of the params: readSafetensors(path, { names })',
    ],
    [
      'a param less',
      (r) => ({ ...parts(r), params: { a: r.params.a } }),
      'params: the optimizer has the param "b", expected it among params',
    ],
    ['a list of params', (r) => ({ ...parts(r), params: [r.params.a, r.params.b] }), 'no param "0"'],
    [
      'another length',
      (r) => ({ ...parts(r), params: { a: r.params.a, b: new Float32Array(3) } }),
      'param "b": shape [2], expected [3], as the param has (to take over some of the params: readSafetensors(',
    ],
    [
      'another shape',
      (r) => ({ ...parts(r), params: { a: { data: r.params.a.data, shape: [3, 2] }, b: r.params.b } }),
      'param "a": shape [2, 3], expected [3, 2]',
    ],
    [
      'no shape',
      (r) => ({ ...parts(r), params: { a: r.params.a.data, b: r.params.b } }),
      'param "a": shape [2, 3], expected [6]',
    ],
    [
      'no optimizer',
      (r) => ({ params: r.params, objects: r.objects }),
      'the state of an optimizer, "Adam", expected none',
    ],
    [
      'another class',
      (r) => ({ ...parts(r), optimizer: new SGD(r.params, { lr: 1 }) }),
      'SGD.loadStateDict: optimizer: "Adam", expected "SGD"',
    ],
    [
      'no objects',
      (r) => ({ params: r.params, optimizer: r.optimizer }),
      'no object "plateau" in objects, expected all that the file has (pass it, or only: "params")',
    ],
    [
      'an object more',
      (r) => ({ ...parts(r), objects: { ...r.objects, x: r.objects.plateau } }),
      'no object "x", expected each of objects',
    ],
    [
      'an object of another class',
      (r) => ({ ...parts(r), objects: { ...r.objects, average: r.objects.plateau } }),
      'objects["average"]: ReduceOnPlateau.loadStateDict',
    ],
    [
      'objects exchanged',
      (r) => ({ ...parts(r), objects: { average: r.objects.average, plateau: r.objects.average } }),
      'objects["plateau"]',
    ],
  ];
  test.each(cases)('%s', async (_, make, message) => {
    await saveCheckpoint(path, parts(build(1)));
    const run = build(9);
    const before = run.seen();
    await refused(loadCheckpoint(path, make(run)), 'SCHUSS_MISMATCH', message);
    expect(run.seen()).toBe(before);
    await loadCheckpoint(path, parts(run));
    expect(run.seen()).toBe(build(1).seen());
  });

  test('only: "params" restores the params of any checkpoint, and nothing else', async () => {
    await saveCheckpoint(path, parts(build(1)));
    const [run, saved] = [build(9), build(1)];
    const before = JSON.stringify(run.optimizer.stateDict());
    await loadCheckpoint(path, { params: run.params, only: 'params' });
    expect([run.params.a.data, run.params.b]).toEqual([saved.params.a.data, saved.params.b]);
    expect(JSON.stringify(run.optimizer.stateDict())).toBe(before);
    for (const more of [{ optimizer: run.optimizer }, { objects: {} }])
      await expect(loadCheckpoint(path, { params: run.params, only: 'params', ...more })).rejects.toThrow(
        /^loadCheckpoint: (optimizer|objects): .*, expected none with only: "params"$/,
      );
    await expect(loadCheckpoint(path, { params: run.params, only: 'x' as never })).rejects.toThrow(RangeError);
  });

  test('a step while the file is read is an error, and its result stays', async () => {
    await saveCheckpoint(path, parts(build(1)));
    const run = build(9);
    const load = loadCheckpoint(path, parts(run));
    run.optimizer.step({ a: numbers(6, 1), b: numbers(2, 2) });
    const seen = run.seen();
    await expect(load).rejects.toThrow(/^loadCheckpoint: optimizer: a step while the file was read, expected none/);
    expect(run.seen()).toBe(seen);
  });

  test('schedules: "keep" keeps the live lr where only one of both is a Schedule', async () => {
    const w = Float32Array.of(1);
    await saveCheckpoint(path, { params: w, optimizer: new SGD(w, { lr: 0.5 }) });
    const scheduled = new SGD(w, { lr: (step) => 1 / step });
    await refused(
      loadCheckpoint(path, { params: w, optimizer: scheduled }),
      'SCHUSS_MISMATCH',
      /^[^,]+: 0\.5, expected a Schedule, as this optimizer has \(\{ schedules: 'keep' \} keeps the live value; to load the saved one, assign it before\)$/,
    );
    await loadCheckpoint(path, { params: w, optimizer: scheduled, schedules: 'keep' });
    expect(scheduled.lr).toBe(1);
    const wrong = loadCheckpoint(path, { params: w, optimizer: scheduled, schedules: 'drop' as never });
    await expect(wrong).rejects.toThrow(/^loadCheckpoint: schedules: "drop", expected/);
  });

  test('a checkpoint without an optimizer', async () => {
    const run = build(9);
    const before = run.seen();
    await saveCheckpoint(path, { params: build(1).params });
    await refused(
      loadCheckpoint(path, { params: run.params, optimizer: run.optimizer }),
      'SCHUSS_MISMATCH',
      'no state of an optimizer',
    );
    expect(run.seen()).toBe(before);
  });

  test('a safetensors file of others', async () => {
    const run = build(9);
    const before = run.seen();
    await writeSafetensors(path, { a: run.params.a, b: run.params.b });
    await refused(
      loadCheckpoint(path, parts(run)),
      'SCHUSS_FOREIGN',
      'expected a file of saveCheckpoint (readSafetensors reads',
    );
    await refused(inspectCheckpoint(path), 'SCHUSS_FOREIGN', 'expected a file of saveCheckpoint');
    expect(run.seen()).toBe(before);
  });

  test('a later version', async () => {
    await saveCheckpoint(path, parts(build(1)));
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
    const manifest = JSON.parse(header.__metadata__['schuss.checkpoint']);
    header.__metadata__['schuss.checkpoint'] = JSON.stringify({ ...manifest, version: 2, library: '9.0.0' });
    header.__metadata__['schuss.sha256'] = '0'.repeat(64);
    const changed = fileOf(JSON.stringify(header), bytes.subarray(8 + length));
    const { createHash } = await import('node:crypto');
    changed.write(createHash('sha256').update(changed).digest('hex'), changed.indexOf('000000000'));
    writeFileSync(path, changed);
    const message = 'a checkpoint of version 2, expected at most 1 (schuss "9.0.0" wrote it: update schuss)';
    await refused(loadCheckpoint(path, parts(build(9))), 'SCHUSS_VERSION', message);
    await refused(inspectCheckpoint(path), 'SCHUSS_VERSION', message);
  });
});

describe('an object that refuses its state after it took some of it', () => {
  class Stubborn {
    values = Float32Array.of(1, 2);
    refuse = false;
    stateDict() {
      return { values: this.values }; // live, not a copy
    }
    loadStateDict({ values }: { values: Float32Array }) {
      this.values.set(values);
      if (this.refuse && values[0] !== 7) throw new RangeError('not today');
    }
  }

  test.each([0, 1, 2])('everything is put back: place %i', async (place) => {
    const with_ = (run: Run, object: Stubborn): Any => {
      const entries: [string, unknown][] = Object.entries(run.objects);
      entries.splice(place, 0, ['stubborn', object]);
      return { ...parts(run), objects: Object.fromEntries(entries) };
    };
    await saveCheckpoint(path, with_(build(1), new Stubborn()));
    const run = build(9);
    const object = new Stubborn();
    object.values.set([7, 8]);
    object.refuse = true;
    const before = run.seen();
    await refused(
      loadCheckpoint(path, with_(run, object)),
      'SCHUSS_MISMATCH',
      'objects["stubborn"]: not today, expected the state of this run',
    );
    expect(run.seen()).toBe(before);
    expect([...object.values]).toEqual([7, 8]);
  });

  test('a subclass of an optimizer, too', async () => {
    class Strict extends SGD {
      override loadStateDict(...args: Parameters<SGD['loadStateDict']>): void {
        super.loadStateDict(...args);
        if (this.stepCount !== 1) throw new RangeError('not today');
      }
    }
    const w = Float32Array.of(1);
    await saveCheckpoint(path, { params: { w }, optimizer: new SGD({ w }, { lr: 0.5, momentum: 0.9 }) });
    const optimizer = new Strict({ w }, { lr: 0.1, momentum: 0.9 });
    optimizer.step({ w: Float32Array.of(1) });
    const before = snapshot(optimizer, [w]);
    await refused(loadCheckpoint(path, { params: { w }, optimizer }), 'SCHUSS_MISMATCH', 'optimizer: not today');
    expect(snapshot(optimizer, [w])).toBe(before);
  });

  test('what cannot be put back is named', async () => {
    const object = new Stubborn();
    await saveCheckpoint(path, { params: new Float32Array(1), objects: { object } });
    object.refuse = true; // its own state is refused too
    await refused(
      loadCheckpoint(path, { params: new Float32Array(1), objects: { object } }),
      'SCHUSS_MISMATCH',
      'objects["object"] could not be put back',
    );
  });
});

describe('what cannot be saved', () => {
  const params = [Float32Array.of(1)];
  const saving = (state: unknown) =>
    saveCheckpoint(path, { params, objects: { own: { stateDict: () => state, loadStateDict: () => {} } } });
  const cyclic: { self?: unknown } = {};
  cyclic.self = [cyclic];
  let deep: unknown = 1;
  for (let i = 0; i < 300; i++) deep = [deep];
  const detached = new Uint8Array(2);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });

  test.each<[string, unknown, string]>([
    ['a function', { a: { b: [1, () => 1] } }, 'objects["own"].a.b["1"]: a function, expected plain data'],
    ['a symbol', { 'a b': Symbol('x') }, 'objects["own"]["a b"]: Symbol(x)'],
    ['a Map', { m: new Map() }, 'objects["own"].m: a Map'],
    ['a Date', new Date(0), 'objects["own"]: a Date'],
    ['a class', { a: new (class Foo {})() }, 'objects["own"].a: a Foo'],
    ['a DataView', { a: new DataView(new ArrayBuffer(3)) }, 'objects["own"].a: DataView(3)'],
    ['an ArrayBuffer', { a: new ArrayBuffer(3) }, 'objects["own"].a: an ArrayBuffer'],
    ['a key that is a symbol', { a: { [Symbol('x')]: 1 } }, 'objects["own"].a: an object'],
    ['a cycle', { a: cyclic }, 'an object inside itself'],
    [
      'a list of holes',
      { a: Object.assign([1], { length: 2 ** 32 - 1 }) },
      'objects["own"].a: a list of 4294967295 with holes',
    ],
    ['too deep', deep, 'data deeper than 256 levels'],
    ['a detached array', { a: detached }, 'objects["own"].a: a detached Uint8Array'],
  ])('%s', async (_, state, message) => {
    await saveCheckpoint(path, { params });
    const before = readFileSync(path);
    await expect(saving(state)).rejects.toThrow(TypeError);
    await expect(saving(state)).rejects.toThrow(message);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(tempsIn(folder)).toEqual([]);
  });

  test('what a stateDict throws comes out as it is', async () => {
    const error = new Error('no state');
    const own = {
      stateDict: () => {
        throw error;
      },
      loadStateDict: () => {},
    };
    await expect(saveCheckpoint(path, { params, objects: { own } })).rejects.toBe(error);
  });

  test.each<[string, Any, string]>([
    ['no options', undefined, 'saveCheckpoint: options: undefined'],
    ['an unknown option', { params, optimiser: 1 }, 'saveCheckpoint: optimiser: unknown option, expected optimizer'],
    ['no params', {}, 'saveCheckpoint: params: undefined'],
    ['float64', { params: new Float64Array(1) }, 'convert it with Float32Array.from'],
    [
      'an optimizer without state',
      { params, optimizer: {} },
      'saveCheckpoint: optimizer: an object, expected an object with stateDict and loadStateDict',
    ],
    ['a null object', { params, objects: { a: null } }, 'saveCheckpoint: objects["a"]: null'],
    ['a list of objects', { params, objects: [] }, 'saveCheckpoint: objects: []'],
    [
      'metadata of numbers',
      { params, metadata: { epoch: 1 } },
      'saveCheckpoint: metadata["epoch"]: 1, expected a string',
    ],
    ['no signal', { params, signal: 1 }, 'saveCheckpoint: signal: 1, expected an AbortSignal'],
  ])('%s', async (_, options, message) => {
    await expect(saveCheckpoint(path, options)).rejects.toThrow(TypeError);
    await expect(saveCheckpoint(path, options)).rejects.toThrow(message);
  });

  test.each<[string, Any, string]>([
    ['a reserved key', { params, metadata: { 'schuss.sha256': '' } }, 'metadata["schuss.sha256"]: a reserved key'],
    ['a reserved name', { params: { __metadata__: params[0] } }, '"__metadata__", expected another name'],
    ['a lone surrogate', { params: { '\ud800': params[0] } }, 'expected text without lone surrogates'],
    ['one param twice', { params: [params[0], params[0]] }, 'memory shared with params[0]'],
  ])('%s', async (_, options, message) => {
    await expect(saveCheckpoint(path, options)).rejects.toThrow(RangeError);
    await expect(saveCheckpoint(path, options)).rejects.toThrow(message);
  });
});

describe('a pending stepAsync', () => {
  const pending = async (action: (w: Float32Array, adam: Adam) => Promise<unknown>) => {
    const [w, g] = [allocate(1 << 20), allocate(1 << 20)];
    const adam = new Adam(w);
    const step = adam.stepAsync(g);
    await expect(action(w, adam)).rejects.toThrow(/step in flight|stepAsync|pending/);
    await step;
    await action(w, adam);
  };
  test('save', async () => {
    await pending((params, optimizer) => saveCheckpoint(path, { params, optimizer }));
    await pending((params) => saveCheckpoint(path, { params }));
  });
  test('load', async () => {
    const w = new Float32Array(1 << 20);
    await saveCheckpoint(path, { params: w });
    const other = join(folder, 'with-optimizer.safetensors');
    await saveCheckpoint(other, { params: w, optimizer: new Adam(w) });
    // The step begins while the file is read.
    const [live, g] = [allocate(1 << 20), allocate(1 << 20).fill(1)];
    const adam = new Adam(live);
    for (const load of [
      () => loadCheckpoint(path, { params: live }),
      () => loadCheckpoint(other, { params: live, optimizer: adam }),
    ]) {
      let stop = false;
      const outcome = load().then(
        () => 'loaded',
        (error: Error) => error.message,
      );
      const steps = (async () => {
        while (!stop) await Promise.all([adam.stepAsync(g), adam.stepAsync(g)]);
      })();
      expect(await outcome).toMatch(/step in flight|stepAsync|pending/);
      stop = true;
      await steps;
      expect(await load()).toEqual({});
    }
  });
});

test('values are those at the call, and user code cannot reach the copies', async () => {
  const params = { w: Float32Array.of(1, 2) };
  const state = { values: Float32Array.of(3), list: [4] };
  const object = { stateDict: () => state, loadStateDict: () => {} };
  params.w.slice = () => new Float32Array(2);
  Object.defineProperty(params.w, 'byteLength', { value: 0 });
  const saved = saveCheckpoint(path, { params, objects: { object } });
  params.w.fill(9);
  state.values.fill(9);
  state.list.fill(9);
  await saved;
  const { tensors, metadata } = await readSafetensors(path);
  expect([[...tensors['w']!.data], [...tensors['objects.object.values']!.data]]).toEqual([[1, 2], [3]]);
  expect(metadata['schuss.checkpoint']).toContain('"list":[4]');
  expect(existsSync(path)).toBe(true);
});

test('state may be in shared memory, in resizable memory, or in a view', async () => {
  const shared = new Float32Array(new SharedArrayBuffer(8));
  const view = numbers(8, 3).subarray(2, 5);
  const resizable = new Int16Array(new (ArrayBuffer as Any)(8, { maxByteLength: 16 }));
  shared.set([1, 2]);
  resizable.set([5, 6, 7, 8]);
  let loaded: Any;
  const object = { stateDict: () => ({ shared, view, resizable }), loadStateDict: (dict: unknown) => (loaded = dict) };
  const params = allocate(3).fill(2);
  await saveCheckpoint(path, { params, objects: { object } });
  await loadCheckpoint(path, { params, objects: { object } });
  expect(loaded).toEqual({ shared: Float32Array.of(1, 2), view: view.slice(), resizable: Int16Array.of(5, 6, 7, 8) });
});
