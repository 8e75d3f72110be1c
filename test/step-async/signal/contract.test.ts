// stepAsync with an AbortSignal, and inside Lookahead.
import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../../lib/engine/backend.js';
import { Lookahead } from '../../../lib/index.js';
import { type Any, type Case, classes, type Options, refused } from '../../support/rig.js';
import { engines, grads, queue, type Rig, rejected, rig } from '../../support/step-async.js';

describe.each(engines.map((e) => [e.name, e] as const))('%s', (_, over) => {
  const c = classes.find(({ title }) => title === 'Adam') as Case;
  const make = (params: unknown, more?: Options) => withEngine(over, () => c.make(params, more));

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

  test('abort listeners are removed; many steps with one signal cause no warning', async () => {
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

  test('Lookahead: the same as step; an optimizer with a pending step cannot be wrapped', async () => {
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
