// stepAsync of every class: the bits of step, in order. Every error is a rejection, and a rejected step changes
// nothing.
import { describe, expect, test, vi } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import { SGD, type StepResult } from '../../lib/index.js';
import { type Any, bits, type Case, classes, numbers, type Options, refused, snapshot } from '../support/rig.js';
import { sample } from '../support/sample.js';
import {
  engines,
  grads,
  harmless,
  middle,
  pinned,
  queue,
  type Rig,
  rejected,
  rig,
  rowsOf,
} from '../support/step-async.js';

const every = engines.flatMap((e) => classes.map((c) => [e.name, c.title, e, c] as const));
describe.each(sample(every, 14))('%s %s', (...given) => {
  const [, , over, { declaration }] = given;
  // An optimizer keeps the engine that it was created with.
  const c: Case = { ...given[3], make: (...args) => withEngine(over, () => given[3].make(...args)) };
  const sparse = declaration.denseOnly === undefined;

  describe('gives the bits of step', () => {
    const forms: [string, Options][] = [
      ['plain', {}],
      ['ema', { ema: 0.9 }],
      ['clipNorm', { clipNorm: 0.5 }],
      ['gradNorm, zeroGrads', { gradNorm: true, zeroGrads: true }],
      ['skipNonFinite', { skipNonFinite: true, zeroGrads: true, ema: 0.5 }],
      ['schedule, clipValue, maximize', { lr: (step: number) => 0.1 / step, clipValue: 0.3, maximize: true }],
    ];

    /** The arguments of five steps: with a null, a gradScale, an infinity, and sparse rows. */
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

    test.each(forms)('%s: one at a time, and with several steps pending', async (_, more) => {
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

    test('step and stepAsync in turn, with the same gradient array', async () => {
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

  test('hyper-parameters are read and schedules are called when the step starts', async () => {
    const asked: number[] = [];
    const [r, twin] = [rig(c), rig(c)];
    const first = r.optimizer.stepAsync(grads(3));
    r.optimizer.lr = 0.25;
    const pending = [4, 5, 6].map((seed) => r.optimizer.stepAsync(grads(seed)));
    r.optimizer.lr = (step) => {
      asked.push(step);
      return 0.01 * step;
    };
    expect(asked, 'steps that the schedule was called for before any step started').toEqual([]);
    await Promise.all([first, ...pending]);
    expect(asked).toEqual([4, 5, 6]);
    twin.optimizer.step(grads(3));
    twin.optimizer.lr = (step) => 0.01 * step;
    for (const seed of [4, 5, 6]) twin.optimizer.step(grads(seed));
    r.optimizer.lr = twin.optimizer.lr = 0.1;
    expect(r.seen()).toBe(twin.seen());
  });

  // ---- What is refused ----

  test('every error of step is a rejection with the same message', async () => {
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

  test('another `this` and a disposed optimizer are rejected', async () => {
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

  test.runIf(sparse)('a row number out of range is rejected and changes nothing', async () => {
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
    // A row number becomes invalid while the step waits.
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

  test('calls that would conflict with a pending step are refused and change nothing', async () => {
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
    // Flags and choices that need another kernel are refused. Others take effect.
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

  test('another optimizer on the same params must wait', async () => {
    const [a, b] = [pinned(18, 1), pinned(5, 2)];
    const [first, other, apart] = [c.make([a, b]), c.make({ x: a.subarray(7, 9) }), c.make(a.slice())];
    const shared = /params\["x"\]: the memory of a step in flight, expected to await the pending stepAsync\(\) first/;
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
    // The refused step releases no memory that it does not hold.
    const own = first.stepAsync([pinned(18, 1), null]);
    await rejected(TypeError, shared, () => other.stepAsync({ x: pinned(2, 1) }));
    refused(TypeError, shared, () => other.step({ x: pinned(2, 1) }));
    await own;
  });

  test('user code that runs during a call cannot call the optimizer', async () => {
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
    // stepAsync throws nothing into that code. The inner step is rejected, and the outer one continues.
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

test.each(engines)(
  '$name: a small step ends without the global setImmediate, and with that of fake timers',
  async (engine) => {
    vi.useFakeTimers({ toFake: ['setImmediate'] });
    try {
      const optimizer = withEngine(engine, () => new SGD(pinned(4, 1), { lr: 1 }));
      expect((await optimizer.stepAsync(pinned(4, 2))).applied).toBe(true);
      vi.stubGlobal('setImmediate', undefined);
      expect((await optimizer.stepAsync(pinned(4, 2))).applied).toBe(true);
    } finally {
      vi.unstubAllGlobals();
      vi.useRealTimers();
    }
  },
);
