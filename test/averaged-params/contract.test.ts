// Classes that keep averaged weights beside the params: averagedParams, and the two modes of ScheduleFree.
import { describe, expect, test } from 'vitest';
import { allocate, ScheduleFreeAdamW, ScheduleFreeSGD } from '../../lib/index.js';
import {
  type Any,
  bits,
  type Case,
  classes,
  numbers,
  type Options,
  refused,
  snapshot,
  titled,
  variants,
} from '../support/rig.js';

const averaging = classes.filter(({ declaration }) => /^(ASGD|ScheduleFree)/.test(declaration.name));
const scheduleFree = averaging.filter(({ declaration }) => declaration.name !== 'ASGD');

test('the classes with averagedParams are known', () => {
  const having = classes.filter(({ make }) => 'averagedParams' in make(new Float32Array(1)));
  expect(having.map(({ title }) => title)).toEqual(averaging.map(({ title }) => title));
  expect(averaging).toHaveLength(3);
});

describe.each(titled(averaging))('%s', (_, c) => {
  test('averagedParams are live arrays in the structure of the gradients', () => {
    const single = c.make(numbers(4, 1)) as Any;
    expect(single.averagedParams).toBeInstanceOf(Float32Array);
    const list = c.make([numbers(4, 1), numbers(2, 2)]) as Any;
    expect(list.averagedParams.map(({ length }: Float32Array) => length)).toEqual([4, 2]);
    const named = c.make({ a: numbers(4, 1) }) as Any;
    const { a } = named.averagedParams;
    named.step({ a: numbers(4, 2) });
    const first = bits(a);
    named.step({ a: numbers(4, 3) });
    expect(bits(a)).not.toBe(first);
    expect(named.averagedParams.a).toBe(a);
    expect(bits(a)).toBe(bits(named.stateDict().state.a[c.declaration.name === 'ASGD' ? 'ax' : 'x']));
    named.addParamGroup({ params: { b: numbers(3, 1) } });
    expect(Object.keys(named.averagedParams)).toEqual(['a', 'b']);
    expect(named.averagedParams.a).toBe(a);
    expect(() => (named.averagedParams.a = a)).toThrow(TypeError);
  });

  test('averagedParams show the present weights of a param without an update so far', () => {
    const [a, b] = [numbers(4, 1), numbers(4, 2)];
    const optimizer = c.make({ a, b }, { ema: 0.9 }) as Any;
    expect(bits(optimizer.averagedParams.b)).toBe(bits(b));
    optimizer.step({ a: numbers(4, 3), b: null });
    expect(bits(optimizer.averagedParams.b)).toBe(bits(b));
    b.set(numbers(4, 9)); // weights loaded from outside count
    expect(bits(optimizer.averagedParams.b)).toBe(bits(b));
    expect(bits(optimizer.emaParams.b)).toBe(bits(b));
    const average = optimizer.averagedParams.a.slice();
    a.set(numbers(4, 9)); // a param with an update has its own average
    expect(bits(optimizer.averagedParams.a)).toBe(bits(average));
    optimizer.step({ a: null, b: new Float32Array(4) });
    for (const [i, x] of (optimizer.averagedParams.b as Float32Array).entries()) expect(x).toBeCloseTo(b[i]!, 4);
  });

  test('a method that the user defines on an averaged array is never called', () => {
    const [a] = [numbers(4, 1)];
    const optimizer = c.make({ a }, { ema: 0.9 }) as Any;
    for (const array of [optimizer.averagedParams.a, optimizer.emaParams.a])
      Object.defineProperty(array, 'set', { value: () => expect.unreachable('own set') });
    optimizer.step({ a: numbers(4, 3) });
    const dict = optimizer.stateDict();
    optimizer.step({ a: numbers(4, 4) });
    optimizer.loadStateDict(dict);
  });
});

describe.each(titled(scheduleFree))('%s', (_, c) => {
  const grads = (seed: number) => ({ a: numbers(5, seed), b: seed === 2 ? null : numbers(18, seed + 1) });
  interface Model {
    readonly optimizer: ScheduleFreeSGD | ScheduleFreeAdamW;
    readonly params: readonly Float32Array[];
  }
  function model(more: Options = {}, steps = 3): Model {
    const [a, b] = [numbers(5, 1), numbers(18, 2)];
    const optimizer = c.make({ a, b }, more) as Any;
    for (let s = 1; s <= steps; s++) optimizer.step(grads(s));
    return { optimizer, params: [a, b] };
  }
  const momentum = (step: number) => 1 - 0.5 / step;
  const scheduled = 'momentum' in c.declaration.hyperParameters ? { momentum } : { betas: [momentum, 0.9] };

  test.each<[string, Options]>([
    ['plain', {}],
    ['scheduled, with decay', { ...scheduled, lr: (step: number) => 0.1 / step, weightDecay: 0.1, ema: 0.5 }],
  ])('eval puts the average into the params, train the weights of the last step back: %s', (_, more) => {
    const { optimizer, params } = model(more);
    const [before, state] = [params.map(bits), JSON.stringify(optimizer.stateDict())];
    for (let twice = 0; twice < 2; twice++) {
      optimizer.eval();
      expect(params.map(bits)).toEqual(Object.values(optimizer.averagedParams).map(bits));
      expect(params.map(bits)).not.toEqual(before);
    }
    for (let twice = 0; twice < 2; twice++) {
      optimizer.train();
      expect(params.map(bits)).toEqual(before);
    }
    expect(JSON.stringify(optimizer.stateDict())).toBe(state);
    const twin = model(more);
    for (const m of [{ optimizer, params }, twin]) m.optimizer.step(grads(7));
    expect(snapshot(optimizer, params)).toBe(snapshot(twin.optimizer, twin.params));
  });

  test('a step in evaluation mode is refused', async () => {
    const { optimizer, params } = model();
    optimizer.eval();
    const before = snapshot(optimizer, params);
    const message = /this: an optimizer in evaluation mode, expected train\(\) before a step/;
    refused(TypeError, message, () => optimizer.step(grads(1)));
    const promise = optimizer.stepAsync(grads(1));
    await expect(promise).rejects.toThrow(message);
    await expect(promise).rejects.toBeInstanceOf(TypeError);
    expect(snapshot(optimizer, params)).toBe(before);
    optimizer.train();
    expect(optimizer.step(grads(1))).toEqual({ applied: true });
  });

  test('params without an update stay unchanged', () => {
    const { optimizer, params } = model({}, 0);
    optimizer.step({ a: numbers(5, 1), b: null });
    const b = bits(params[1]!);
    for (const mode of ['eval', 'train'] as const) {
      optimizer[mode]();
      expect(bits(params[1]!)).toBe(b);
    }
  });

  test('saving and loading in either mode changes nothing', () => {
    for (const evaluating of [false, true]) {
      const straight = model();
      const saved = model();
      if (evaluating) saved.optimizer.eval();
      const resumed = model({}, 1);
      for (const [i, param] of saved.params.entries()) resumed.params[i]!.set(param);
      resumed.optimizer.loadStateDict(structuredClone(saved.optimizer.stateDict()));
      resumed.optimizer.train();
      for (const m of [straight, resumed]) m.optimizer.step(grads(7));
      expect(snapshot(resumed.optimizer, resumed.params)).toBe(snapshot(straight.optimizer, straight.params));
    }
  });

  test('the mode cannot change while memory is detached, another call is running, or a step is pending', async () => {
    for (const mode of ['eval', 'train'] as const) {
      const lost = model();
      structuredClone(lost.params[0]!.buffer, { transfer: [lost.params[0]!.buffer as ArrayBuffer] });
      const before = bits(lost.params[1]!);
      refused(TypeError, /params\["a"\]: a detached Float32Array/, () => lost.optimizer[mode]());
      expect(bits(lost.params[1]!)).toBe(before);

      let victim: Model['optimizer'] | undefined;
      const lr = () => {
        victim?.[mode]();
        return 0.1;
      };
      const { optimizer } = model({ lr });
      victim = optimizer;
      refused(TypeError, /this: an optimizer in the middle of a call/, () => optimizer.step(grads(1)));

      const w = allocate(1000).fill(1);
      const flying = c.make(w) as Any;
      const step = flying.stepAsync(allocate(1000).fill(1));
      try {
        flying[mode]();
        expect(flying.stepCount).toBe(1); // without an addon the step is synchronous
      } catch (error) {
        expect((error as Error).message).toMatch(/this: an optimizer with a step in flight/);
      }
      await step;
    }
  });

  test('the first step of a warmup has lr / warmupSteps', () => {
    const of = (options: Options): string => {
      const w = numbers(9, 1);
      (c as Case).make(w, { weightLrPower: 0, ...options }).step(numbers(9, 2));
      return bits(w);
    };
    expect(of({ lr: 0.5, warmupSteps: 4 })).toBe(of({ lr: 0.125 }));
    expect(of({ lr: 0.5, warmupSteps: 1 })).toBe(of({ lr: 0.5 }));
  });

  test('an lr of 0 moves nothing and gives no NaN', () => {
    const [w, start] = [numbers(9, 1), numbers(9, 1)];
    const optimizer = c.make(w, { lr: 0 }) as Any;
    for (let s = 0; s < 3; s++) optimizer.step(numbers(9, s));
    for (const [i, x] of w.entries()) expect(Math.abs(x - start[i]!)).toBeLessThanOrEqual(Math.abs(x) * 2 ** -22);
    optimizer.eval();
    expect(bits(w)).toBe(bits(start));
  });
});

test('a class without modes has no train() and eval()', () => {
  const modes = variants.filter(({ make }) => 'train' in make(new Float32Array(1)));
  expect([...new Set(modes.map(({ declaration }) => declaration.name))]).toEqual([
    ScheduleFreeSGD.optimizerName,
    ScheduleFreeAdamW.optimizerName,
  ]);
});
