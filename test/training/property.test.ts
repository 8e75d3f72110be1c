import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Adagrad, Adam, AdamW, RMSprop, SGD } from '../../lib/optimizers/index.js';
import { cosine } from '../../lib/schedules/index.js';
import {
  clipGradNorm,
  clipGradValue,
  GradAccumulator,
  groupBy,
  lrRangeTest,
  ReduceOnPlateau,
} from '../../lib/training/index.js';

// Half of fast-check's own number: a run that takes seconds is a run that is made.
fc.configureGlobal({ numRuns: 50 });

/** The bits of arrays: tells −0 from 0 and one NaN from another. */
const bits = (arrays: readonly Float32Array[]) => arrays.map((a) => [...new Uint32Array(a.slice().buffer)]);
const copy = (arrays: readonly Float32Array[]) => arrays.map((a) => a.slice());
const zeros = (arrays: readonly Float32Array[]) => arrays.map(({ length }) => new Float32Array(length));

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });
const anyFloat = fc.float();
const arraysOf = (element: fc.Arbitrary<number>) =>
  fc.array(fc.array(element, { maxLength: 40 }).map(Float32Array.from.bind(Float32Array)), {
    minLength: 1,
    maxLength: 4,
  }) as fc.Arbitrary<Float32Array[]>;
const positive = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
const order = fc.oneof(
  fc.constant(2),
  fc.constant(Number.POSITIVE_INFINITY),
  fc.double({ min: 0.5, max: 20, noNaN: true }),
);

describe('clipGradNorm', () => {
  test("a step after it is a step with the optimizer's clipNorm, to the bit, and so is the norm", () => {
    fc.assert(
      fc.property(arraysOf(anyFloat), positive, fc.constantFrom(SGD, Adam, RMSprop), (grads, max, Class) => {
        const [one, other] = [zeros(grads), zeros(grads)];
        const { gradNorm } = new Class(one, { lr: 0.1, clipNorm: max }).step(copy(grads));
        const norm = clipGradNorm(grads, max);
        new Class(other, { lr: 0.1 }).step(grads);
        expect(norm).toBe(gradNorm);
        // A NaN may come in other bits.
        expect(other.map((a) => [...a])).toEqual(one.map((a) => [...a]));
      }),
    );
  });

  test('the norm is then at most max; what was within it keeps its bits', () => {
    fc.assert(
      fc.property(arraysOf(float), positive, order, (grads, max, p) => {
        const before = copy(grads);
        const norm = clipGradNorm(grads, max, { p });
        const after = clipGradNorm(copy(grads), max, { p });
        // Each element is rounded by at most 2⁻²³ of itself, or by half of the least float32, 40 · 4 of them at most.
        expect(after).toBeLessThanOrEqual(max * (1 + 2 ** -22) + 2 ** -149 * 160 ** Math.max(1, 1 / p));
        if (norm + 1e-6 <= max) expect(bits(grads)).toEqual(bits(before));
      }),
    );
  });

  test('norms of a higher order are no larger', () => {
    fc.assert(
      fc.property(arraysOf(float), order, order, (grads, p, q) => {
        const [low, high] = p < q ? [p, q] : [q, p];
        const norm = (of: number) => clipGradNorm(grads, Number.MAX_VALUE, { p: of });
        expect(norm(high)).toBeLessThanOrEqual(norm(low) * (1 + 1e-10));
      }),
    );
  });

  test('the structure does not matter, nor do nulls', () => {
    fc.assert(
      fc.property(arraysOf(float), positive, order, (grads, max, p) => {
        const [list, record] = [copy(grads), copy(grads)];
        const named = Object.fromEntries([...record.entries(), ['none', null]]);
        expect(clipGradNorm([null, ...list], max, { p })).toBe(clipGradNorm(named, max, { p }));
        expect(bits(record)).toEqual(bits(list));
        const [first] = grads as [Float32Array];
        const alone = first.slice();
        expect(clipGradNorm(first, max, { p })).toBe(clipGradNorm([alone], max, { p }));
        expect(bits([first])).toEqual(bits([alone]));
      }),
    );
  });

  test('memory that several gradients lie on counts for each of them and is scaled once', () => {
    const memory = fc.array(float, { minLength: 1, maxLength: 30 });
    const span = fc.tuple(fc.nat(29), fc.nat(29));
    fc.assert(
      fc.property(memory, fc.array(span, { minLength: 1, maxLength: 5 }), positive, (values, spans, max) => {
        const shared = Float32Array.from(values);
        const before = shared.slice();
        const views = spans.map(([a, b]) => shared.subarray(Math.min(a, b), Math.max(a, b)));
        const apart = copy(views);
        expect(clipGradNorm(views, max)).toBe(clipGradNorm(apart, max));
        expect(bits(views)).toEqual(bits(apart));
        const covered = (i: number) => spans.some(([a, b]) => Math.min(a, b) <= i && i < Math.max(a, b));
        const outside = before.map((value, i) => (covered(i) ? 0 : value));
        expect(shared.map((value, i) => (covered(i) ? 0 : value))).toEqual(outside);
      }),
    );
  });
});

describe('clipGradValue', () => {
  test("a step after it is a step with the optimizer's clipValue, to the bit", () => {
    fc.assert(
      fc.property(arraysOf(anyFloat), positive, (grads, value) => {
        const [one, other] = [zeros(grads), zeros(grads)];
        new SGD(one, { lr: 1, clipValue: value }).step(copy(grads));
        clipGradValue(Object.fromEntries(grads.entries()), value);
        new SGD(other, { lr: 1 }).step(grads);
        expect(other.map((a) => [...a])).toEqual(one.map((a) => [...a]));
        const once = bits(grads);
        clipGradValue([grads[0] as Float32Array, ...grads, null], value);
        expect(bits(grads)).toEqual(once);
      }),
    );
  });
});

describe('GradAccumulator', () => {
  const rounds = fc.array(fc.array(fc.option(fc.tuple(float, float)), { minLength: 3, maxLength: 3 }), {
    maxLength: 5,
  });
  const names = ['a', 'b', 'c'];

  test('a param has the sum of its gradients, or null if it got none; every structure gives the same', () => {
    fc.assert(
      fc.property(rounds, rounds, (first, second) => {
        const params = names.map(() => new Float32Array(2));
        const [list, record] = [
          new GradAccumulator(params),
          new GradAccumulator([
            { params: { a: params[0] as Float32Array }, lr: 1 },
            { params: { b: params[1] as Float32Array, c: { data: params[2] as Float32Array, shape: [1, 2] } } },
          ]),
        ];
        const single = new GradAccumulator(params[0] as Float32Array);
        // The second time, after a reset, nothing is left of the first.
        for (const round of [first, second]) {
          for (const given of round) {
            const grads = given.map((g) => g && Float32Array.from(g));
            list.add(grads);
            record.add(Object.fromEntries(names.map((name, i) => [name, grads[i] as Float32Array | null])));
            single.add(grads[0] as Float32Array | null);
          }
          const truth = names.map((_, i) => {
            const own = round.map((given) => given[i]).filter((g) => g !== null && g !== undefined);
            return own.length === 0 ? null : own.reduce((a, b) => [Math.fround(a[0] + b[0]), Math.fround(a[1] + b[1])]);
          });
          const plain = (grads: unknown) => (grads === null ? null : [...(grads as Float32Array)]);
          expect((list.grads as unknown[]).map(plain)).toEqual(truth);
          expect(Object.entries(record.grads as object).map(([name, g]) => [name, plain(g)])).toEqual(
            names.map((name, i) => [name, truth[i]]),
          );
          expect(plain(single.grads)).toEqual(truth[0]);
          for (const sum of [list, record, single]) {
            expect(sum.count).toBe(round.length);
            sum.reset();
            expect(sum.count).toBe(0);
          }
          expect(list.grads).toEqual([null, null, null]);
        }
      }),
    );
  });

  test('its arrays are its own, and the same each time', () => {
    const params = [new Float32Array([1, 2]), new Float32Array([3])];
    const sum = new GradAccumulator(params);
    const grads = [new Float32Array([4, 5]), new Float32Array([6])];
    sum.add(grads);
    const [a, b] = sum.grads as Float32Array[];
    sum.add(grads);
    sum.reset();
    sum.add(grads);
    sum.add(grads);
    expect((sum.grads as Float32Array[])[0]).toBe(a);
    expect((sum.grads as Float32Array[])[1]).toBe(b);
    expect([...(a as Float32Array), ...(b as Float32Array)]).toEqual([8, 10, 12]);
    expect([...params, ...grads].map((x) => [...x])).toEqual([[1, 2], [3], [4, 5], [6]]);
  });

  test('it takes the paramGroups of an optimizer, and what it gives steps that optimizer', () => {
    const [w, b] = [new Float32Array([1]), new Float32Array([1])];
    for (const params of [w, [w, b], { w, b }, [{ params: { w } }, { params: { b }, lr: 2 }]]) {
      w.fill(1);
      const sgd = new SGD(params, { lr: 1 });
      const sum = new GradAccumulator(sgd.paramGroups);
      const grad = new Float32Array([0.25]);
      sum.add(params === w ? grad : Array.isArray(params) && params[0] === w ? [grad, null] : { w: grad, b: null });
      sgd.step(sum.grads);
      expect([w[0], b[0]]).toEqual([0.75, 1]);
    }
  });
});

describe('groupBy', () => {
  const schedule = cosine(0.1, { steps: 10 });
  const kinds = [
    undefined,
    { lr: 0.1 },
    { lr: schedule },
    { betas: [0.5, 0.9] as const },
    { betas: [0.5, 0.99] as const },
    { lr: 0.1, weightDecay: 0 },
  ];

  test('every param is in one group, with its options, in order; no two groups have the same', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.string({ maxLength: 8 }).filter((s) => s !== 'params' && s !== 'data'),
          { minLength: 1, maxLength: 12 },
        ),
        fc.infiniteStream(fc.nat(kinds.length - 1)),
        (names, stream) => {
          const params = Object.fromEntries(names.map((name) => [name, new Float32Array(1)]));
          const kindOf = Object.fromEntries(names.map((name) => [name, stream.next().value as number]));
          // A new object each time, and in another order of its names: equal, not the same.
          const options = (name: string) => {
            const kind = kinds[kindOf[name] as number];
            const entries: [string, unknown][] = Object.entries(kind ?? {}).map(([k, v]) => [
              k,
              Array.isArray(v) ? [...v] : v,
            ]);
            if (name.length % 2) entries.reverse().push(['eps', undefined]);
            return kind && Object.fromEntries(entries);
          };
          const groups = groupBy(params, options);
          const order = Object.keys(params);
          expect(groups.flatMap((group) => Object.keys(group.params)).sort()).toEqual([...order].sort());
          expect(groups.map((group) => order.indexOf(Object.keys(group.params)[0] as string))).toEqual([
            ...new Set(order.map((name) => order.findIndex((other) => kindOf[other] === kindOf[name]))),
          ]);
          for (const { params: own, ...rest } of groups) {
            const inside = Object.keys(own);
            expect(inside).toEqual(order.filter((name) => inside.includes(name)));
            for (const name of inside) {
              expect((own as Record<string, unknown>)[name]).toBe(params[name]);
              expect(rest).toEqual(kinds[kindOf[name] as number] ?? {});
            }
          }
        },
      ),
    );
  });

  test('no decay on biases: each param steps as with an optimizer of its own', () => {
    const make = () => ({ 'fc.weight': new Float32Array([1, -2]), 'fc.bias': new Float32Array([3]) });
    const [together, apart] = [make(), make()];
    const grads = { 'fc.weight': new Float32Array([0.5, 0.25]), 'fc.bias': new Float32Array([-1]) };
    const options = { lr: 0.1, weightDecay: 0.3 };
    const adamw = new AdamW(
      groupBy(together, (name) => (name.endsWith('bias') ? { weightDecay: 0 } : undefined)),
      options,
    );
    const [weight, bias] = [
      new AdamW(apart['fc.weight'], options),
      new AdamW(apart['fc.bias'], { ...options, weightDecay: 0 }),
    ];
    for (let i = 0; i < 3; i++) {
      adamw.step(grads);
      weight.step(grads['fc.weight']);
      bias.step(grads['fc.bias']);
    }
    expect(together).toEqual(apart);
    expect(together['fc.weight'][0]).not.toBe(1);
  });

  test('a param may have any name', () => {
    const params = JSON.parse('{"__proto__": 0, "constructor": 0}');
    for (const name of Object.keys(params)) {
      Object.defineProperty(params, name, { value: new Float32Array(1), enumerable: true });
    }
    const [group] = groupBy(params, () => undefined);
    expect(Object.keys(group?.params as object)).toEqual(['__proto__', 'constructor']);
  });
});

describe('ReduceOnPlateau', () => {
  const metric = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double());
  const options = fc.record({
    mode: fc.constantFrom('min' as const, 'max' as const),
    factor: fc.double({ min: 0, max: 0.99, noNaN: true }),
    patience: fc.nat(3),
    threshold: fc.double({ min: 0, max: 0.5, noNaN: true }),
    thresholdMode: fc.constantFrom('rel' as const, 'abs' as const),
    cooldown: fc.nat(3),
    min: fc.oneof(fc.constant(0), fc.constant(0.2), fc.constant([0.1, 0.3])),
    eps: fc.constantFrom(0, 1e-8, 0.1),
  });
  const groups = () => ({ paramGroups: [{ lr: 1 }, { lr: 0.5 }] });

  test('one that resumes from a state, through JSON or a structured clone, goes on as if nothing had been', () => {
    fc.assert(
      fc.property(options, fc.array(metric), fc.array(metric), (settings, before, after) => {
        const straight = groups();
        const plateau = new ReduceOnPlateau(straight, settings);
        for (const m of before) plateau.update(m);
        const dict = plateau.stateDict();
        const lrs = straight.paramGroups.map(({ lr }) => lr);
        for (const state of [structuredClone(dict), JSON.parse(JSON.stringify(dict))]) {
          // JSON knows no infinity: a metric that was one is the best, of 'max', for good.
          if (Math.abs(dict.best as number) === Number.POSITIVE_INFINITY && state.best === null) continue;
          const fresh = { paramGroups: lrs.map((lr) => ({ lr })) };
          const resumed = new ReduceOnPlateau(fresh);
          resumed.loadStateDict(state);
          expect(resumed.stateDict()).toEqual(dict);
          const again = { paramGroups: lrs.map((lr) => ({ lr })) };
          const reference = new ReduceOnPlateau(again, settings);
          reference.loadStateDict(dict);
          for (const m of after) expect(resumed.update(m)).toBe(reference.update(m));
          expect(fresh).toEqual(again);
        }
        const rest = { paramGroups: lrs.map((lr) => ({ lr })) };
        const resumed = new ReduceOnPlateau(rest, settings);
        resumed.loadStateDict(dict);
        for (const m of after) {
          expect(resumed.update(m)).toBe(plateau.update(m));
          expect(rest).toEqual(straight);
        }
      }),
    );
  });

  test('lr never rises, nor falls below min', () => {
    fc.assert(
      fc.property(options, fc.array(metric, { maxLength: 50 }), (settings, metrics) => {
        const optimizer = groups();
        const plateau = new ReduceOnPlateau(optimizer, settings);
        for (const m of metrics) {
          const before = optimizer.paramGroups.map(({ lr }) => lr);
          plateau.update(m);
          for (const [i, { lr }] of optimizer.paramGroups.entries()) {
            expect(lr).toBeLessThanOrEqual(before[i] as number);
            expect(lr).toBeGreaterThanOrEqual(
              typeof settings.min === 'number' ? settings.min : (settings.min[i] as number),
            );
          }
        }
      }),
    );
  });
});

describe('lrRangeTest', () => {
  const half = (t: number) => 0.1 / t;
  const optimizers: Record<
    string,
    (p: { a: Float32Array; b: Float32Array }) => SGD | Adam | AdamW | RMSprop | Adagrad
  > = {
    sgd: (p) => new SGD(p, { lr: 0.1, momentum: (t) => 1 - 1 / (t + 1), ema: 0.9 }),
    buffer: (p) => new SGD(p, { lr: half, momentum: 0.9, momentumForm: 'buffer' }),
    nesterov: (p) => new SGD(p, { lr: cosine(0.1, { steps: 9 }), momentum: (t) => 0.5 + 0.1 / t, nesterov: true }),
    adagrad: (p) => new Adagrad(p, { initialAccumulatorValue: 0.5, lrDecay: 0.1, skipNonFinite: true }),
    rmsprop: (p) => new RMSprop(p, { centered: true, momentum: 0.5, clipNorm: 1 }),
    adam: (p) => new Adam([{ params: { a: p.a }, lr: half, amsgrad: true }, { params: { b: p.b } }], { ema: 0.5 }),
    adamw: (p) => new AdamW(p, { betas: [half, 0.99], weightDecay: half, zeroGrads: true }),
  };

  test.each(Object.entries(optimizers))('%s: training goes on as if there had been no test', async (_, make) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(3),
        fc.integer({ min: 3, max: 12 }),
        fc.option(fc.nat(11)),
        fc.boolean(),
        async (steps, length, fails, async) => {
          const train = async (tested: boolean) => {
            const params = { a: Float32Array.of(1, -2, Number.NaN), b: Float32Array.of(-0) };
            const optimizer = make(params);
            let data = 0;
            const step = (a: number, b: number) =>
              optimizer.step({ a: Float32Array.of(a, -1, 3), b: data % 4 ? Float32Array.of(b) : null });
            const next = () => {
              data++;
              step(Math.sin(data), Math.cos(data));
            };
            for (let i = 0; i < steps; i++) next();
            const before = data;
            const settings = optimizer.paramGroups.map(({ lr }) => lr);
            const state = [bits(Object.values(params)), optimizer.stateDict(), optimizer.toString()];
            if (tested) {
              const fault = new Error('out of data');
              const trainStep = (i: number) => {
                next();
                if (i === 2) step(Number.NaN, Number.POSITIVE_INFINITY);
                if (i === fails) throw fault;
                return 1 + i / 100;
              };
              const options = { from: 1e-3, to: 10, steps: length };
              const run = async () => {
                if (!async) return lrRangeTest(optimizer, trainStep, options);
                const result = lrRangeTest(optimizer, (i) => Promise.resolve(i).then(trainStep), options);
                expect(result).toBeInstanceOf(Promise);
                return result;
              };
              if (fails !== null && fails < length) await expect(run()).rejects.toBe(fault);
              else expect((await run()).losses).toHaveLength(length);
              expect(data).toBeGreaterThan(before);
              expect([bits(Object.values(params)), optimizer.stateDict(), optimizer.toString()]).toEqual(state);
              expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual(settings);
              data = before;
            }
            for (let i = 0; i < 3; i++) next();
            return [bits(Object.values(params)), optimizer.stateDict()];
          };
          expect(await train(true)).toEqual(await train(false));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('emaParams come back too', () => {
    const w = new Float32Array([1, 2]);
    const sgd = new SGD(w, { lr: 0.1, ema: 0.5 });
    sgd.step(new Float32Array([1, 1]));
    const before = bits([sgd.emaParams as Float32Array]);
    lrRangeTest(sgd, () => {
      sgd.step(new Float32Array([1, 1]));
      return 1;
    });
    expect(bits([sgd.emaParams as Float32Array])).toEqual(before);
  });

  test('losses that come at once and losses that come later give the same', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double(), { minLength: 3, maxLength: 60 }), async (losses) => {
        const sgd = new SGD(new Float32Array(1), { lr: 1 });
        const options = { steps: losses.length };
        const atOnce = lrRangeTest(sgd, (i) => losses[i] as number, options);
        expect(await lrRangeTest(sgd, async (i) => losses[i] as number, options)).toEqual(atOnce);
        // Now and then a Promise.
        const mixed = lrRangeTest(
          sgd,
          (i) => (i % 3 ? (losses[i] as number) : Promise.resolve(losses[i] as number)),
          options,
        );
        expect(await mixed).toEqual(atOnce);
      }),
    );
  });

  test('the suggestion is an lr of the test, or NaN; a scaled loss has the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 3, maxLength: 120 }),
        fc.integer({ min: -8, max: 8 }),
        (losses, power) => {
          const sgd = new SGD(new Float32Array(1), { lr: 1 });
          const { lrs, suggestion } = lrRangeTest(sgd, (i) => losses[i] as number, { steps: losses.length });
          if (!Number.isNaN(suggestion)) expect(lrs).toContain(suggestion);
          const scaled = lrRangeTest(sgd, (i) => (losses[i] as number) * 2 ** power, { steps: losses.length });
          expect(scaled.suggestion).toBe(suggestion);
        },
      ),
    );
  });
});
