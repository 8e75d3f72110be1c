// The option `loss` of a step: the classes that need it, what they refuse, and who hands it over.
import { describe, expect, test } from 'vitest';
import {
  Adam,
  allocate,
  Lookahead,
  LossScale,
  type LossStepOptions,
  lrRangeTest,
  Momo,
  MomoAdam,
  minimize,
  minimizeAsync,
  optimizers,
  PolyakSGD,
  SAM,
} from '../../lib/index.js';
import { classes } from '../../lib/optimizers/index.js';
import type { Any } from '../support/bad-input.js';
import { onEach } from '../support/sparse.js';

const of = (...values: number[]): Float32Array => Float32Array.from(values);
const needy = [PolyakSGD, Momo, MomoAdam] as unknown as readonly (new (params: object, options?: object) => Any)[];
const square = (w: Float32Array): number => w.reduce((sum, x) => sum + x * x, 0);
const gradient = (w: Float32Array): Float32Array => w.map((x) => 2 * x);

test('the classes that need the loss say so', () => {
  const names = classes.filter(([, { needsLoss }]) => needsLoss).map(([, { name }]) => name);
  expect(names).toEqual(needy.map(({ optimizerName }: Any) => optimizerName));
  for (const [Class, { name, needsLoss }] of classes) {
    expect(Class.needsLoss, name).toBe(needsLoss);
    expect(optimizers[name.toLowerCase()]).toBe(Class);
  }
});

test('another class refuses a loss', () => {
  const adam = new Adam(of(1)) as Any;
  expect(() => adam.step(of(1), { loss: 1 })).toThrow(
    new TypeError('Adam.step: loss: unknown option, expected one of gradScale'),
  );
});

describe.each(needy.map((Class: Any) => [Class.optimizerName as string, Class] as const))('%s', (name, Class) => {
  const make = (w: Float32Array, options: object = {}): Any => new Class({ w }, options);
  /** What a step may change. */
  const seen = (optimizer: Any, w: Float32Array): unknown => structuredClone([optimizer.stateDict(), w]);

  const missing = (shown: string): TypeError =>
    new TypeError(`${name}: loss: ${shown}, expected a number: the loss at the params, as step(grads, { loss })`);
  const infinite = (shown: string): RangeError =>
    new RangeError(`${name}: loss: ${shown}, expected a finite number (skipNonFinite skips such a step)`);

  test.each([
    [undefined, missing('undefined')],
    [{}, missing('undefined')],
    [{ loss: undefined }, missing('undefined')],
    [{ loss: null }, missing('null')],
    [{ loss: '1' }, missing('"1"')],
    [{ loss: of(1) }, missing('Float32Array(1)')],
    [{ loss: 1n }, missing('1n')],
    [{ loss: Number.NaN }, infinite('NaN')],
    [{ loss: Number.POSITIVE_INFINITY }, infinite('Infinity')],
    [{ loss: Number.NEGATIVE_INFINITY }, infinite('-Infinity')],
    [null, new TypeError(`${name}.step: options: null, expected an object with gradScale, loss`)],
    [{ los: 1 }, new TypeError(`${name}.step: los: unknown option, expected loss (it has gradScale, loss)`)],
  ])('%o is refused, and nothing changes', async (options, error) => {
    const w = allocate(2);
    w.set([1, -2]);
    const g = allocate(2).fill(1);
    const optimizer = make(w, { zeroGrads: true, ema: 0.9 });
    optimizer.step({ w: allocate(2).fill(0.5) }, { loss: 2 });
    const before = seen(optimizer, w);
    expect(() => optimizer.step({ w: g }, options)).toThrow(error);
    const promise = optimizer.stepAsync({ w: g }, options);
    await expect(promise).rejects.toThrow(
      error.message.replace('.step: ', '.stepAsync: ').replace(/gradScale, loss/, 'gradScale, signal, loss'),
    );
    expect(seen(optimizer, w)).toEqual(before);
    expect(g).toEqual(of(1, 1));
  });

  test('skipNonFinite skips a step whose loss is not finite, as one whose gradients are not', async () => {
    for (const loss of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const w = allocate(2);
      w.set([1, -2]);
      const g = allocate(2);
      const optimizer = make(w, { skipNonFinite: true, zeroGrads: true, ema: 0.9 });
      optimizer.step({ w: of(1, 1) }, { loss: 3 });
      const [{ state }, params] = seen(optimizer, w) as Any;
      g.set([3, 4]);
      expect(optimizer.step({ w: g }, { loss, gradScale: 2 })).toEqual({ applied: false, gradNorm: 10 });
      expect(g).toEqual(of(0, 0));
      g.set([3, 4]);
      expect(await optimizer.stepAsync({ w: g }, { loss })).toEqual({ applied: false, gradNorm: 5 });
      expect([optimizer.stateDict().state, w]).toEqual([state, params]);
      expect([optimizer.stepCount, optimizer.skippedSteps]).toEqual([1, 2]);
      expect(() => optimizer.step({ w: g }, { loss: undefined })).toThrow(missing('undefined'));
    }
  });

  test('a skipped first step leaves the numbers and state at their start', () => {
    onEach(() => {
      const [w, v] = [of(1, -2), of(1, -2)];
      const [skipped, plain] = [make(w, { skipNonFinite: true }), make(v, { skipNonFinite: true })];
      skipped.step({ w: of(1, 1) }, { loss: Number.NaN });
      skipped.step({ w: of(Number.NaN, 1) }, { loss: 3 });
      expect(skipped.stateDict().state).toEqual(plain.stateDict().state);
      for (const o of [skipped, plain]) o.step({ w: of(1, 1) }, { loss: 3 });
      expect(w).toEqual(v);
      expect(skipped.stateDict().state).toEqual(plain.stateDict().state);
    });
  });

  test('each queued step has its own loss, read at the call', async () => {
    const losses = [4, 0.5, 2, 0.1];
    const [w, v] = [allocate(2), allocate(2)];
    for (const array of [w, v]) array.set([1, -2]);
    const [queued, plain] = [make(w), make(v)];
    const g = allocate(2).fill(0.5);
    const options = { loss: 0 };
    const steps = losses.map((loss) => {
      options.loss = loss;
      return queued.stepAsync({ w: g }, options);
    });
    options.loss = Number.NaN;
    await Promise.all(steps);
    for (const loss of losses) plain.step({ w: g }, { loss });
    expect(w).toEqual(v);
    expect(queued.stateDict()).toEqual(plain.stateDict());
  });

  test('the loss matters, and with maximize its negative does', () => {
    const after = (loss: number, sign = 1): Float32Array => {
      const w = of(1, -2);
      const optimizer = make(w, { maximize: sign < 0 });
      for (let step = 0; step < 2; step++) optimizer.step({ w: of(3 * sign, 4 * sign) }, { loss: loss * sign });
      return w;
    };
    expect(after(1e-3)).not.toEqual(after(2e-3));
    expect(after(1e-3, -1)).toEqual(after(1e-3));
  });

  test('groups that differ in maximize are refused before anything changes', () => {
    const [a, b] = [of(1), of(2)];
    const optimizer = new Class([{ params: a }, { params: b, maximize: true }]) as Any;
    const before = structuredClone([optimizer.stateDict(), a, b]);
    expect(() => optimizer.step([of(1), of(1)], { loss: 1 })).toThrow(
      new RangeError(
        `${name}: paramGroups[1].maximize: true, expected false, as in paramGroups[0] (there is one loss)`,
      ),
    );
    expect([optimizer.stateDict(), a, b]).toEqual(before);
  });

  test('a null gradient leaves its param out of the sums', () => {
    const [a, b, alone] = [of(1, -2), of(5), of(1, -2)];
    const [both, one] = [new Class({ a, b }) as Any, new Class({ a: alone }) as Any];
    for (let step = 0; step < 3; step++) {
      both.step({ a: gradient(a), b: null }, { loss: square(a) });
      one.step({ a: gradient(alone) }, { loss: square(alone) });
    }
    expect(a).toEqual(alone);
    expect(b).toEqual(of(5));
  });

  test('its numbers are in the state of each param, readable, and go on after loading', () => {
    const runs = [false, true].map((resumes) => {
      const [a, b] = [of(1, -2), of(0.5)];
      let optimizer = new Class({ a, b }) as Any;
      const step = (): void => void optimizer.step({ a: gradient(a), b: gradient(b) }, { loss: square(a) + square(b) });
      for (let s = 0; s < 3; s++) step();
      if (resumes) {
        const dict = JSON.parse(JSON.stringify({ ...optimizer.stateDict(), state: undefined }));
        const { state } = structuredClone(optimizer.stateDict());
        optimizer = new Class({ a, b });
        optimizer.loadStateDict({ ...dict, state });
      }
      for (let s = 0; s < 3; s++) step();
      const names = Class === PolyakSGD ? ['stepSize'] : ['lossAvg', 'gamma'];
      const { state } = optimizer.stateDict();
      for (const key of names) {
        expect(optimizer[key]).not.toBe(0);
        expect([state.a[key], state.b[key]]).toEqual([optimizer[key], optimizer[key]]);
      }
      return [optimizer.stateDict(), a, b];
    });
    expect(runs[1]).toEqual(runs[0]);
  });

  test('Lookahead hands it over', () => {
    const [w, v] = [of(1, -2), of(1, -2)];
    const [lookahead, plain] = [new Lookahead(make(w), { k: 5 }) as Any, make(v)];
    for (let step = 0; step < 4; step++) {
      lookahead.step({ w: gradient(w) }, { loss: square(w) });
      plain.step({ w: gradient(v) }, { loss: square(v) });
    }
    expect(w).toEqual(v);
    expect(() => lookahead.step({ w: gradient(w) })).toThrow(missing('undefined'));
  });

  test('SAM hands over the loss at the point that it has climbed to', () => {
    const [w, v, grads] = [of(1, -2), of(1, -2), of(0, 0)];
    const sam = new SAM(make(w) as Any, { rho: 0.5, grads: { w: grads } });
    const byHand = new SAM(make(v) as Any, { rho: 0.5 }) as Any;
    for (let step = 0; step < 3; step++) {
      const { loss } = sam.step(() => {
        grads.set(gradient(w));
        return square(w);
      });
      expect(loss).toBeCloseTo(square(v), 5);
      byHand.firstStep({ w: gradient(v) });
      byHand.secondStep({ w: gradient(v) }, { loss: square(v) });
    }
    expect(w).toEqual(v);
  });

  test('LossScale takes the loss before scaling, and skips where it is not finite', () => {
    const [w, v] = [of(1, -2), of(1, -2)];
    const [scaled, plain] = [make(w), make(v)];
    const lossScale = new LossScale({ initScale: 1024 });
    for (let step = 0; step < 3; step++) {
      lossScale.step(scaled, { w: gradient(w).map((x) => x * 1024) } as Any, { loss: square(w) });
      lossScale.update();
      plain.step({ w: gradient(v) }, { loss: square(v) });
    }
    expect(w).toEqual(v);
    expect(() => lossScale.step(scaled, { w: of(1, 1) } as Any)).toThrow(missing('undefined'));
    expect(lossScale.step(scaled, { w: of(1, 1) } as Any, { loss: Number.POSITIVE_INFINITY }).applied).toBe(false);
    lossScale.update();
    expect(lossScale.value).toBe(512);
    expect(w).toEqual(v);
  });

  test('minimize hands it over, and so does minimizeAsync', async () => {
    const options = { method: name.toLowerCase(), lr: 0.5, maxIterations: 5, gradTol: 0 } as Any;
    const fn = (x: Float32Array, grad: Float32Array): number => {
      grad.set(gradient(x));
      return square(x);
    };
    const w = of(1, -2);
    const optimizer = make(w, { lr: 0.5 });
    for (let step = 0; step < 5; step++) optimizer.step({ w: gradient(w) }, { loss: square(w) });
    expect(minimize(fn, of(1, -2), options)).toMatchObject({ x: w, iterations: 5 });
    expect(await minimizeAsync(async (x: Any, g: Any) => fn(x, g), of(1, -2), options)).toMatchObject({ x: w });
    const terms = { N: 2, f: (_: number, x: Float32Array, g: Float32Array) => fn(x, g) };
    expect(minimize(terms as Any, of(1, -2), options)).toMatchObject({ x: w });
  });

  test('lrRangeTest changes its lr', () => {
    const w = of(1, -2);
    const optimizer = make(w);
    const trainStep = (): number => {
      const loss = square(w);
      optimizer.step({ w: gradient(w) }, { loss } satisfies LossStepOptions);
      return loss;
    };
    expect(lrRangeTest(optimizer, trainStep, { from: 1e-3, to: 1, steps: 5 }).losses).toHaveLength(5);
    expect(w).toEqual(of(1, -2));
  });
});
