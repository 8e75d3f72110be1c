// The contract of `stepAsync`: the bits of `step`, in order; nothing thrown at once; nothing half done.
import { getEventListeners } from 'node:events';
import { runInNewContext } from 'node:vm';
import { markAsUntransferable } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { engine, withEngine } from '../../lib/engine/backend.js';
import type { Engine } from '../../lib/engine/engine.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { allocate, Lookahead, type Optimizer, type StepResult } from '../../lib/index.js';
import { type Any, bits, type Case, classes, numbers, type Options, refused, shape, snapshot } from '../support/rig.js';

// The types of Node alone do not name it.
const { WebAssembly } = globalThis as Any;

const native = engine();
const engines: readonly Engine[] = native.name === 'js' ? [native] : [native, referenceEngine];

/** A copy in memory that stays. */
function pin(array: Float32Array): Float32Array {
  const pinned = new Float32Array(new SharedArrayBuffer(array.byteLength));
  pinned.set(array);
  return pinned;
}
const pinned = (length: number, seed: number) => pin(numbers(length, seed));
const rowsOf = (...rows: number[]) => {
  const array = new Int32Array(new SharedArrayBuffer(rows.length * 4));
  array.set(rows);
  return array;
};

/** A named optimizer of two params in memory that stays, that has taken two steps. */
interface Rig {
  readonly optimizer: Optimizer;
  readonly params: readonly Float32Array[];
  seen(): string;
}

function rig(c: Case, more: Options = {}): Rig {
  const [a, b] = [pinned(5, 1), pinned(18, 2)];
  const optimizer = c.make({ a, b }, more);
  const params = [a, b];
  for (const seed of [1, 2]) optimizer.step(grads(seed));
  return { optimizer, params, seen: () => snapshot(optimizer, params) };
}

/** New gradients for a rig; one of three is without "a". */
function grads(seed: number): Any {
  return { a: seed % 3 === 2 ? null : pinned(5, seed), b: pinned(18, seed + 1) };
}

/** The reason for which a promise rejects, in the shape of all errors. */
async function rejected(
  kind: typeof TypeError | typeof RangeError,
  message: RegExp,
  call: () => Promise<unknown>,
): Promise<Error> {
  const promise = call(); // what it throws at once fails the test
  expect(promise).toBeInstanceOf(Promise);
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  expect(error, `no rejection, expected ${kind.name} ${message}`).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(shape);
  expect((error as Error).message).toMatch(message);
  return error as Error;
}

/** Awaits an attack, and shows that a twin without it comes to the same. */
async function harmless(c: Case, attack: (r: Rig) => Promise<unknown>, more: Options = {}): Promise<void> {
  const [victim, twin] = [rig(c, more), rig(c, more)];
  await attack(victim);
  expect(victim.seen()).toBe(twin.seen());
  for (const { optimizer } of [victim, twin]) await optimizer.stepAsync(grads(7));
  expect(victim.seen()).toBe(twin.seen());
}

const queue = /this: an optimizer with a step in flight, expected that its promise is awaited first/;
const middle = /this: an optimizer in the middle of a call/;

describe.each(engines.flatMap((e) => classes.map((c) => [e.name, c.title, e, c] as const)))('%s %s', (...given) => {
  const [, , over, { declaration }] = given;
  // An optimizer keeps the engine with which it was made.
  const c: Case = { ...given[3], make: (...args) => withEngine(over, () => given[3].make(...args)) };
  const sparse = declaration.denseOnly === undefined;

  describe('the same as step', () => {
    const forms: [string, Options][] = [
      ['plain', {}],
      ['ema', { ema: 0.9 }],
      ['clipNorm', { clipNorm: 0.5 }],
      ['gradNorm, zeroGrads', { gradNorm: true, zeroGrads: true }],
      ['skipNonFinite', { skipNonFinite: true, zeroGrads: true, ema: 0.5 }],
      ['schedule, clipValue, maximize', { lr: (step: number) => 0.1 / step, clipValue: 0.3, maximize: true }],
    ];

    /** Five steps and what is given in each: a null, a gradScale, an infinity, and rows. */
    function inputs(): [Any, Any?][] {
      const infinite = grads(6);
      infinite.b[3] = Number.POSITIVE_INFINITY;
      const rows = { rows: rowsOf(4, 0, 4), values: pinned(6, 8) };
      return [
        [grads(3)],
        [grads(5), { gradScale: 0.25 }],
        [infinite],
        [{ a: null, b: sparse ? rows : pinned(18, 9) }, {}],
        [grads(9)],
      ];
    }

    const all = (list: readonly [Any, Any?][]) =>
      list.map(([g]) =>
        Object.values(g).map((grad: Any) => grad && bits(grad instanceof Float32Array ? grad : grad.values)),
      );

    test.each(forms)('%s: one at a time, and several pending', async (_, more) => {
      const twin = rig(c, more);
      const [one, several] = [rig(c, more), rig(c, more)];
      const [used, usedByOne, usedBySeveral] = [inputs(), inputs(), inputs()];
      const results = used.map(([g, options]) => twin.optimizer.step(g, options));

      const awaited: StepResult[] = [];
      for (const [g, options] of usedByOne) awaited.push(await one.optimizer.stepAsync(g, options));
      expect(awaited).toEqual(results);
      expect(one.seen()).toBe(twin.seen());
      expect(all(usedByOne)).toEqual(all(used));

      const settled: number[] = [];
      const pending = usedBySeveral.map(([g, options], i) => {
        const promise = several.optimizer.stepAsync(g, options);
        void promise.then(() => settled.push(i));
        return promise;
      });
      expect(await Promise.all(pending)).toEqual(results);
      expect(settled).toEqual([0, 1, 2, 3, 4]);
      expect(several.seen()).toBe(twin.seen());
      expect(all(usedBySeveral)).toEqual(all(used));
    });

    test('step and stepAsync in turn, with the same gradient', async () => {
      const [mixed, twin] = [rig(c), rig(c)];
      const known = grads(4);
      for (let i = 0; i < 3; i++) {
        mixed.optimizer.step(known);
        await mixed.optimizer.stepAsync(known);
        for (let k = 0; k < 2; k++) twin.optimizer.step(known);
      }
      expect(mixed.seen()).toBe(twin.seen());
    });
  });

  test('hyper-parameters are read when the step begins, and schedules called with its number', async () => {
    const asked: number[] = [];
    const [r, twin] = [rig(c), rig(c)];
    const first = r.optimizer.stepAsync(grads(3));
    r.optimizer.lr = 0.25;
    const pending = [4, 5, 6].map((seed) => r.optimizer.stepAsync(grads(seed)));
    r.optimizer.lr = (step) => {
      asked.push(step);
      return 0.01 * step;
    };
    expect(asked).toEqual([]);
    await Promise.all([first, ...pending]);
    expect(asked).toEqual([4, 5, 6]);
    twin.optimizer.step(grads(3));
    twin.optimizer.lr = (step) => 0.01 * step;
    for (const seed of [4, 5, 6]) twin.optimizer.step(grads(seed));
    r.optimizer.lr = twin.optimizer.lr = 0.1;
    expect(r.seen()).toBe(twin.seen());
  });

  // ---- What is refused ----

  test('what step throws is a rejection of the same words', async () => {
    const overlap = (r: Rig) => ({ a: r.params[1]!.subarray(0, 5), b: pinned(18, 1) });
    const row = (r: Any) => ({ a: null, b: r });
    const bad: ((r: Rig) => [Any, Any?])[] = [
      () => [undefined],
      () => [null],
      () => [5],
      () => [[pinned(5, 1), pinned(18, 2)]],
      () => [{ a: null }],
      () => [{ a: null, b: undefined }],
      () => [{ ...grads(1), c: null }],
      () => [{ a: pinned(6, 1), b: null }],
      () => [{ a: new Float64Array(5), b: null }],
      () => [{ a: [1, 2, 3, 4, 5], b: null }],
      overlap,
      () => [row({ rows: rowsOf(0, 6), values: pinned(6, 1) })],
      () => [row({ rows: rowsOf(-1), values: pinned(3, 1) })],
      () => [row({ rows: rowsOf(1, 2), values: pinned(5, 1) })],
      () => [row({ rows: [1], values: pinned(3, 1) })],
      () => [row({ rows: rowsOf(1) })],
      () => [grads(1), null],
      () => [grads(1), 3],
      () => [grads(1), { gradScal: 1 }],
      () => [grads(1), { gradScale: Number.NaN }],
      () => [grads(1), { gradScale: '1' }],
    ].map((make) => (r: Rig) => (make === overlap ? [overlap(r)] : (make as () => [Any, Any?])()));
    await harmless(c, async (r) => {
      const before = r.seen();
      for (const [i, make] of bad.entries()) {
        let thrown: Error | undefined;
        try {
          r.optimizer.step(...make(r));
        } catch (error) {
          thrown = error as Error;
        }
        expect(thrown, `bad input ${i}`).toBeDefined();
        const { constructor: kind, message } = thrown as Error;
        const rejection = await rejected(kind as typeof TypeError, /./, () => r.optimizer.stepAsync(...make(r)));
        expect(rejection.message.replace('.stepAsync', '.step').replace(/gradScale, signal/g, 'gradScale')).toBe(
          message,
        );
        expect(r.seen()).toBe(before);
      }
    });
  });

  test('another this, and a disposed optimizer', async () => {
    const { optimizer } = rig(c);
    const away = optimizer.stepAsync.call({} as Any, grads(1));
    await expect(away).rejects.toBeInstanceOf(TypeError);
    optimizer.dispose();
    await rejected(TypeError, /this: a disposed optimizer/, () => optimizer.stepAsync(grads(1)));
  });

  test('a schedule that throws or leaves its range rejects that step alone', async () => {
    let answer: () => unknown = () => 0.1;
    const lr = () => answer() as number;
    const [r, twin] = [rig(c, { lr }), rig(c, { lr })];
    const mine = new Error('mine');
    let asked = 0;
    answer = () => {
      asked++;
      if (asked === 2) throw mine;
      return [0, 0.1, 0, Number.NaN, '0.1', 0.1][asked];
    };
    const order: number[] = [];
    const settled = await Promise.allSettled(
      [3, 4, 5, 6, 7].map((seed, i) => r.optimizer.stepAsync(grads(seed)).finally(() => order.push(i))),
    );
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected', 'fulfilled']);
    const [, thrown, range, type] = settled as readonly PromiseRejectedResult[];
    expect(thrown!.reason).toBe(mine);
    expect(range!.reason).toBeInstanceOf(RangeError);
    expect(range!.reason.message).toMatch(/lr: NaN, expected .+from its schedule at step 4/);
    expect(type!.reason).toBeInstanceOf(TypeError);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    answer = () => 0.1;
    for (const seed of [3, 7]) twin.optimizer.step(grads(seed));
    expect(r.seen()).toBe(twin.seen());
  });

  test.runIf(sparse)('a row that is none: a rejection, and nothing changes', async () => {
    const more = { zeroGrads: true, ema: 0.9 };
    const values = pinned(6, 1);
    const unchanged = bits(values);
    await harmless(
      c,
      async ({ optimizer }) => {
        const rows = rowsOf(0, 9);
        const call = () => optimizer.stepAsync({ a: pinned(5, 1), b: { rows, values } });
        await rejected(RangeError, /grads\["b"\]\.rows\[1\]: 9, expected an integer in \[0, 6\)/, call);
        rows[1] = -7;
        await rejected(RangeError, /grads\["b"\]\.rows\[1\]: -7, expected an integer in \[0, 6\)/, call);
      },
      more,
    );
    // It turns bad while the step waits.
    const [victim, twin] = [rig(c, more), rig(c, more)];
    const rows = rowsOf(0, 3);
    const good = victim.optimizer.stepAsync(grads(3));
    const bad = victim.optimizer.stepAsync({ a: pinned(5, 1), b: { rows, values } });
    const next = victim.optimizer.stepAsync(grads(4));
    rows[1] = 6;
    await rejected(RangeError, /grads\["b"\]\.rows\[1\]: 6, expected an integer in \[0, 6\)/, () => bad);
    await Promise.all([good, next]);
    expect(bits(values)).toBe(unchanged);
    for (const seed of [3, 4]) twin.optimizer.step(grads(seed));
    expect(victim.seen()).toBe(twin.seen());
  });

  // ---- While a step is in flight ----

  test('calls that need it to have ended are refused, and leave all as it was', async () => {
    const more = { ema: 0.9 };
    const [r, twin] = [rig(c, more), rig(c, more)];
    const { optimizer } = r;
    const dict = optimizer.stateDict();
    const pending = [3, 4].map((seed) => optimizer.stepAsync(grads(seed)));
    const groups = optimizer.paramGroups.map((group) => ({ ...group }));
    const attacks: (() => unknown)[] = [
      () => optimizer.step(grads(5)),
      () => optimizer.stateDict(),
      () => optimizer.loadStateDict(dict),
      () => optimizer.addParamGroup({ params: { c: pinned(3, 1) } }),
      () => optimizer.dispose(),
      () => optimizer[Symbol.dispose](),
    ];
    for (const attack of attacks) refused(TypeError, queue, attack);
    // Flags and choices that need another kernel; of those that need none, the change holds.
    for (const [name, { default: value, choices }] of Object.entries(declaration.hyperParameters)) {
      const group = optimizer.paramGroups[0] as Any;
      for (const other of choices ?? (typeof value === 'boolean' ? [!value] : [])) {
        const before = group[name];
        try {
          group[name] = other;
          group[name] = before;
        } catch (error) {
          expect((error as Error).message).toMatch(/in flight|expected/);
          expect(group[name]).toBe(before);
        }
      }
    }
    expect(optimizer.paramGroups.map((group) => ({ ...group }))).toEqual(groups);
    expect(optimizer.stepCount).toBe(2);
    expect(optimizer.toString()).toContain(declaration.name);
    await Promise.all(pending);
    for (const seed of [3, 4]) twin.optimizer.step(grads(seed));
    expect(r.seen()).toBe(twin.seen());
    for (const o of [optimizer, twin.optimizer]) {
      o.loadStateDict(dict);
      o.addParamGroup({ params: { c: pinned(3, 1) } });
      o.step({ ...grads(5), c: pinned(3, 2) });
    }
    expect(r.seen()).toBe(twin.seen());
    optimizer.dispose();
  });

  test('another optimizer on the same params', async () => {
    const [a, b] = [pinned(18, 1), pinned(5, 2)];
    const [first, other, apart] = [c.make([a, b]), c.make({ x: a.subarray(7, 9) }), c.make(a.slice())];
    const shared = /params\["x"\]: the memory of a step in flight, expected that its promise is awaited first/;
    const before = snapshot(other, []);
    const pending = [1, 2].map((seed) => first.stepAsync([pinned(18, seed), pinned(5, seed)]));
    refused(TypeError, shared, () => other.step({ x: pinned(2, 1) }));
    await rejected(TypeError, shared, () => other.stepAsync({ x: pinned(2, 1) }));
    expect(snapshot(other, [])).toBe(before);
    expect(apart.step(numbers(18, 1))).toEqual({ applied: true });
    await pending[0];
    refused(TypeError, shared, () => other.step({ x: pinned(2, 1) }));
    await pending[1];
    expect(other.step({ x: pinned(2, 1) })).toEqual({ applied: true });
    expect(await other.stepAsync({ x: pinned(2, 1) })).toEqual({ applied: true });
    // The one that was refused gives nothing free that it does not hold.
    const own = first.stepAsync([pinned(18, 1), null]);
    await rejected(TypeError, shared, () => other.stepAsync({ x: pinned(2, 1) }));
    refused(TypeError, shared, () => other.step({ x: pinned(2, 1) }));
    await own;
  });

  test('user code in the middle of a call', async () => {
    const acts: ((r: Rig) => unknown)[] = [
      (r) => r.optimizer.step(grads(1)),
      (r) => r.optimizer.dispose(),
      (r) => ((r.optimizer.paramGroups[0] as Any).lr = 0.5),
    ];
    await harmless(c, async (r) => {
      for (const act of acts) {
        const b = pinned(18, 1);
        const attacks: [Any, Any?][] = [
          [
            {
              a: null,
              get b() {
                act(r);
                return b;
              },
            },
          ],
          [{ a: new Proxy({}, { has: () => Boolean(act(r)) }), b }],
          [
            { a: null, b },
            {
              get gradScale() {
                act(r);
                return 1;
              },
            },
          ],
          [
            { a: null, b },
            {
              get signal() {
                act(r);
                return new AbortController().signal;
              },
            },
          ],
        ];
        for (const attack of attacks) await rejected(TypeError, middle, () => r.optimizer.stepAsync(...attack));
      }
    });
    // stepAsync itself throws nothing into that code: the step inside is refused, the one outside goes on.
    const [r, twin] = [rig(c), rig(c)];
    const inside: Promise<unknown>[] = [];
    const act = () => {
      const promise = r.optimizer.stepAsync(grads(9));
      inside.push(promise.catch((error: unknown) => error));
      return 0.1;
    };
    await r.optimizer.stepAsync({
      ...grads(3),
      get b() {
        act();
        return pinned(18, 4);
      },
    });
    r.optimizer.lr = act;
    await r.optimizer.stepAsync(grads(4));
    expect(await Promise.all(inside)).toEqual([
      expect.objectContaining({ message: expect.stringMatching(middle) }),
      expect.objectContaining({ message: expect.stringMatching(middle) }),
    ]);
    r.optimizer.lr = 0.1;
    twin.optimizer.step(grads(3));
    twin.optimizer.lr = 0.1;
    twin.optimizer.step(grads(4));
    expect(r.seen()).toBe(twin.seen());
  });
});

// ---- What does not depend on the class ----

describe.each(engines.map((e) => [e.name, e] as const))('%s', (_, over) => {
  const c = classes.find(({ title }) => title === 'Adam') as Case;
  const make = (params: unknown, more?: Options) => withEngine(over, () => c.make(params, more));
  const allocated = (array: Float32Array) => {
    const own = withEngine(over, () => allocate(array.length));
    own.set(array);
    return own;
  };
  const heap = (array: Float32Array, shared: boolean) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 8, shared });
    const view = new Float32Array(memory.buffer, 16, array.length);
    view.set(array);
    return view;
  };

  // ---- Memory ----

  test.each<[string, (array: Float32Array) => Float32Array]>([
    ['SharedArrayBuffer', pin],
    ['allocate', allocated],
    [
      'a part of allocate',
      (array) => {
        const own = allocated(new Float32Array(array.length + 9)).subarray(5, 5 + array.length);
        own.set(array);
        return own;
      },
    ],
    ['WebAssembly.Memory', (array) => heap(array, false)],
    ['shared WebAssembly.Memory', (array) => heap(array, true)],
    [
      'WebAssembly.Memory that grew',
      (array) => {
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 8 });
        memory.buffer.byteLength;
        memory.grow(1);
        const view = new Float32Array(memory.buffer, 4, array.length);
        view.set(array);
        return view;
      },
    ],
    [
      'a SharedArrayBuffer of another realm',
      (array) =>
        runInNewContext('const a = new Float32Array(new SharedArrayBuffer(4 * x.length)); a.set(x); a', {
          x: [...array],
        }),
    ],
  ])('%s: for params, gradients, rows and values', async (_title, of) => {
    const w = of(numbers(18, 1));
    const twin = numbers(18, 1);
    const [optimizer, other] = [make([w], { ema: 0.9 }), make([twin], { ema: 0.9 })];
    const g = of(numbers(18, 2));
    const values = of(numbers(4, 3));
    const memory = of(new Float32Array(2));
    for (const kind of [Int32Array, Uint32Array]) {
      const rows = new kind(memory.buffer as ArrayBuffer, memory.byteOffset, 2);
      rows.set([7, 2]);
      await Promise.all([optimizer.stepAsync([g]), optimizer.stepAsync([{ rows, values }])]);
      other.step([numbers(18, 2)]);
      other.step([{ rows: Int32Array.of(7, 2), values: numbers(4, 3) }]);
    }
    expect(snapshot(optimizer, [Float32Array.from(w)])).toBe(snapshot(other, [twin]));
  });

  const resizable = (array: Float32Array) => {
    const view = new Float32Array(new (ArrayBuffer as Any)(array.length * 4, { maxByteLength: 4096 }));
    view.set(array);
    return view;
  };
  const marked = (array: Float32Array, bytes = array.length * 4) => {
    const view = new Float32Array(new ArrayBuffer(bytes), 0, array.length);
    view.set(array);
    markAsUntransferable(view.buffer);
    return view;
  };
  const lying = (array: Float32Array) => {
    const own = (view: object, of: Record<string, unknown>) => {
      for (const [key, value] of Object.entries(of)) Object.defineProperty(view, key, { value });
    };
    own(array.buffer, { resizable: false, transfer: undefined, byteLength: 65536, constructor: SharedArrayBuffer });
    own(array, { buffer: new SharedArrayBuffer(64), byteOffset: 0, constructor: SharedArrayBuffer });
    return array;
  };
  test.each<[string, (array: Float32Array) => Float32Array]>([
    ['a plain array', (array) => array.slice()],
    [
      'a part of a larger one',
      (array) => {
        const view = new Float32Array(array.length + 2).subarray(1, 1 + array.length);
        view.set(array);
        return view;
      },
    ],
    ['a resizable buffer', resizable],
    ['a buffer marked as untransferable', marked],
    ['one that is as large as WebAssembly memory', (array) => marked(array, 65536 * 4)],
    [
      "Buffer's pool",
      (array) => {
        const { buffer, byteOffset } = Buffer.allocUnsafe(array.byteLength);
        const view = new Float32Array(buffer, byteOffset, array.length);
        view.set(array);
        return view;
      },
    ],
    ['a plain array that lies', (array) => lying(array.slice())],
    ['a resizable buffer that lies', (array) => lying(resizable(array))],
    ['a marked buffer that lies', (array) => lying(marked(array, 65536))],
    [
      'a marked, resizable buffer that lies',
      (array) => {
        const view = resizable(array);
        markAsUntransferable(view.buffer);
        return lying(view);
      },
    ],
  ])('%s is refused', async (_title, of) => {
    const where = /expected memory that stays in place .+allocate\(length\)/;
    const w = pinned(18, 1);
    const optimizer = make({ w });
    const before = snapshot(optimizer, [w]);
    const rows = of(numbers(2, 1));
    const heldRows = new Int32Array(
      (Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Float32Array.prototype), 'buffer')!.get as Any).call(rows),
      0,
      2,
    ).fill(0);
    for (const [grad, path] of [
      [of(numbers(18, 2)), 'grads\\["w"\\]'],
      [{ rows: rowsOf(1, 2), values: of(numbers(4, 1)) }, 'grads\\["w"\\]\\.values'],
      [{ rows: heldRows, values: pinned(4, 1) }, 'grads\\["w"\\]\\.rows'],
    ] as [Any, string][]) {
      const error = await rejected(TypeError, where, () => optimizer.stepAsync({ w: grad }));
      expect(error.message).toMatch(new RegExp(`^Adam: ${path}: `));
    }
    expect(snapshot(optimizer, [w])).toBe(before);
    expect(optimizer.step({ w: of(numbers(18, 2)) })).toEqual({ applied: true });
    const movable = make([pinned(3, 1), of(numbers(18, 1))]);
    const error = await rejected(TypeError, where, () => movable.stepAsync([pinned(3, 1), pinned(18, 1)]));
    expect(error.message).toMatch(/^Adam: params\[1\]: /);
    expect(movable.step([pinned(3, 1), pinned(18, 1)])).toEqual({ applied: true });
  });

  test('empty arrays: fine, but not where their buffer may grow while the step waits', async () => {
    const empty = () => new Float32Array(0);
    const optimizer = make([pinned(18, 1), empty()]);
    const rows = new Int32Array(0);
    expect(await optimizer.stepAsync([{ rows, values: empty() }, empty()])).toEqual({ applied: true });
    const buffer = () => new (ArrayBuffer as Any)(0, { maxByteLength: 1024 });
    const [growing, values] = [new Int32Array(buffer()), new Float32Array(buffer())];
    const pending = optimizer.stepAsync([pinned(18, 1), null]);
    const grown = optimizer.stepAsync([{ rows: growing, values }, null]);
    (growing.buffer as Any).resize(4);
    (values.buffer as Any).resize(8);
    await rejected(TypeError, /grads\[0\]\.rows: .+allocate\(length\)/, () => grown);
    await pending;
    expect(optimizer.stepCount).toBe(2);
  });

  test('memory that goes while a step waits', async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 8 });
    const g = new Float32Array(memory.buffer, 0, 4);
    const w = pinned(4, 1);
    const optimizer = make([w]);
    const [ran, waited, next] = [g, g, pinned(4, 1)].map((grad) => optimizer.stepAsync([grad]));
    memory.grow(1);
    expect(await ran).toEqual({ applied: true });
    await rejected(TypeError, /grads\[0\]: a detached Float32Array/, () => waited!);
    expect(await next).toEqual({ applied: true });
    expect(optimizer.stepCount).toBe(2);
    await rejected(TypeError, /grads\[0\]: a detached Float32Array/, () => optimizer.stepAsync([g]));

    const lost = make([new Float32Array(memory.buffer, 0, 4), pinned(3, 1)]);
    const both = [1, 2].map(() => lost.stepAsync([pinned(4, 1), pinned(3, 1)]));
    memory.grow(1);
    expect(await both[0]).toEqual({ applied: true });
    await rejected(TypeError, /params\[0\]: a detached Float32Array/, () => both[1]!);
    expect(lost.stepCount).toBe(1);
  });

  // ---- Taking a step back ----

  const rigOf = () => rig({ ...c, make });

  test('a signal that is aborted already', async () => {
    const r = rigOf();
    const before = r.seen();
    const reason = { my: 'reason' };
    await expect(r.optimizer.stepAsync(grads(3), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(r.optimizer.stepAsync(grads(3), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(r.seen()).toBe(before);
    expect(await r.optimizer.stepAsync(grads(3), { signal: undefined })).toEqual({ applied: true });
  });

  test('aborted while it waits: the others keep their order; after it began: no effect', async () => {
    const [r, twin] = [rigOf(), rigOf()];
    const control = new AbortController();
    const { signal } = control;
    const order: number[] = [];
    const settled = Promise.allSettled(
      [undefined, signal, undefined, signal, undefined].map((s, i) =>
        r.optimizer.stepAsync(grads(3 + i), s && { signal: s }).finally(() => order.push(i)),
      ),
    );
    control.abort('enough');
    refused(TypeError, queue, () => r.optimizer.stateDict());
    expect((await settled).map((s) => (s.status === 'rejected' ? s.reason : s.value.applied))).toEqual([
      true,
      'enough',
      true,
      'enough',
      true,
    ]);
    expect(order).toEqual([1, 3, 0, 2, 4]);
    for (const seed of [3, 5, 7]) twin.optimizer.step(grads(seed));
    expect(r.seen()).toBe(twin.seen());

    const late = new AbortController();
    const begun = r.optimizer.stepAsync(grads(8), { signal: late.signal });
    late.abort();
    expect(await begun).toEqual({ applied: true });
    // By its own schedule, as it begins.
    const own = new AbortController();
    r.optimizer.lr = () => {
      own.abort();
      return 0.1;
    };
    const two = [9, 10].map((seed) => r.optimizer.stepAsync(grads(seed), seed === 9 ? { signal: own.signal } : {}));
    expect(await Promise.all(two)).toEqual([{ applied: true }, { applied: true }]);
    r.optimizer.lr = 0.1;
    twin.optimizer.step(grads(8));
    twin.optimizer.lr = 0.1;
    for (const seed of [9, 10]) twin.optimizer.step(grads(seed));
    expect(r.seen()).toBe(twin.seen());
  });

  test('listeners are let go; many steps with one signal make no noise', async () => {
    const warnings: unknown[] = [];
    const listen = (warning: unknown) => warnings.push(warning);
    process.on('warning', listen);
    const { signal } = new AbortController();
    const some = [rigOf(), rigOf()];
    const all = Array.from({ length: 40 }, (_x, i) => some[i % 2]!.optimizer.stepAsync(grads(3), { signal }));
    expect(getEventListeners(signal, 'abort').length).toBeLessThan(3);
    await Promise.all(all);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(warnings).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const control = new AbortController();
    const taken = [3, 4, 5].map((seed) => some[0]!.optimizer.stepAsync(grads(seed), { signal: control.signal }));
    control.abort();
    expect((await Promise.allSettled(taken)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(getEventListeners(control.signal, 'abort')).toEqual([]);
  });

  test('Lookahead: the same as step; wrapped around no step in flight', async () => {
    const of = (r: Rig) => new Lookahead(r.optimizer, { k: 2 });
    const [r, twin] = [rigOf(), rigOf()];
    const pending = r.optimizer.stepAsync(grads(3));
    refused(TypeError, queue, () => of(r));
    await pending;
    twin.optimizer.step(grads(3));
    const [slow, twins] = [of(r), of(twin)];
    await Promise.all([4, 5, 6, 7].map((seed) => slow.stepAsync(grads(seed))));
    for (const seed of [4, 5, 6, 7]) twins.step(grads(seed));
    expect(r.seen()).toBe(twin.seen());
    expect(slow.stateDict()).toEqual(twins.stateDict());
    const last = slow.stepAsync(grads(8));
    const calls = [() => slow.step(grads(8)), () => slow.stateDict(), () => slow.dispose()];
    for (const call of calls) refused(TypeError, queue, call);
    await last;
    await expect(slow.stepAsync.call({} as Any, grads(1))).rejects.toBeInstanceOf(TypeError);
  });

  test('what is no signal, and signals with methods of their own', async () => {
    const r = rigOf();
    const before = r.seen();
    const expected = /^Adam\.stepAsync: signal: .+, expected an AbortSignal/;
    for (const signal of [null, 5, 'x', {}, new EventTarget(), Object.create(AbortSignal.prototype)] as Any[])
      await rejected(TypeError, expected, () => r.optimizer.stepAsync(grads(3), { signal }));
    expect(r.seen()).toBe(before);
    // Whatever they say, the step is done or taken back, and the optimizer is free again.
    const fail = () => {
      throw new Error('mine');
    };
    const nothing = () => {};
    for (const own of [
      { addEventListener: fail },
      { addEventListener: nothing },
      { removeEventListener: fail },
      { removeEventListener: nothing },
      { aborted: true },
      { reason: 5 },
    ]) {
      const control = new AbortController();
      for (const [name, value] of Object.entries(own)) Object.defineProperty(control.signal, name, { value });
      const count = r.optimizer.stepCount;
      const pending = [3, 4, 5].map((seed, i) =>
        r.optimizer.stepAsync(grads(seed), i === 0 ? {} : { signal: control.signal }),
      );
      const done = r.optimizer.stepAsync(grads(6), { signal: new AbortController().signal });
      control.signal.dispatchEvent(new Event('abort')); // says so, and is not
      control.abort('enough');
      const ends = await Promise.allSettled([...pending, done]);
      expect(ends.map((end) => (end.status === 'rejected' ? end.reason : end.value.applied))).toEqual([
        true,
        'enough',
        'enough',
        true,
      ]);
      expect(r.optimizer.stepCount).toBe(count + 2);
    }
    // One that changes the optimizer as it is read.
    const free = rigOf();
    const signal = Object.defineProperty(new AbortController().signal, 'aborted', {
      get: () => free.optimizer.addParamGroup({ params: { c: new Float32Array(3) } }),
    });
    expect(await free.optimizer.stepAsync(grads(3), { signal })).toEqual({ applied: true });
    expect(free.optimizer.paramGroups.length).toBe(1);
  });
});
