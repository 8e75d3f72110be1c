// Hooks: functions that run before and after each step of every class, of Lookahead, of stepAsync and of LossScale.
import { describe, expect, test } from 'vitest';
import { Adam, clipGradNorm, Lookahead, LossScale, ScheduleFreeSGD, SGD } from '../../lib/index.js';
import { f32 } from '../support/arrays.js';
import { thrown } from '../support/bad-input.js';
import { type Any, classes, numbers, refused, rig, titled } from '../support/rig.js';
import { grads as pinnedGrads, rig as pinnedRig, rejected } from '../support/step-async.js';

const oops = new Error('oops');
const fail = (): never => {
  throw oops;
};
const inHook = /this: an optimizer in the middle of a hook, expected to wait until that hook has returned/;
const gradients = (seed: number): Any => ({ a: numbers(5, seed), b: numbers(18, seed + 1) });

describe.each(titled(classes))('%s', (_, c) => {
  test('hooks run in order around a step, with its gradients and its result, until they are removed', () => {
    const { optimizer } = rig(c, {}, 0);
    const seen: unknown[] = [];
    const remove = [
      optimizer.registerStepPreHook((o, g) => seen.push(['before', o, g, o.stepCount])),
      optimizer.registerStepPreHook(() => seen.push('second')),
      optimizer.registerStepPostHook((o, result) => seen.push(['after', o, result, o.stepCount])),
    ];
    const grads = gradients(1);
    const result = optimizer.step(grads);
    expect(seen).toEqual([['before', optimizer, grads, 0], 'second', ['after', optimizer, result, 1]]);
    expect((seen[0] as Any)[2]).toBe(grads);
    expect((seen[2] as Any)[2]).toBe(result);
    for (const each of [...remove, ...remove]) each();
    optimizer.step(grads);
    expect(seen).toHaveLength(3);
  });

  test('hooks that only look change nothing', () => {
    const [hooked, twin] = [rig(c, {}, 2), rig(c, {}, 2)];
    hooked.optimizer.registerStepPreHook((o) => void String(o));
    hooked.optimizer.registerStepPostHook((o) => void o.stateDict());
    for (const r of [hooked, twin]) r.step();
    expect(hooked.seen()).toBe(twin.seen());
  });

  test('a hook that throws before the step leaves everything unchanged', async () => {
    const [victim, twin] = [pinnedRig(c), pinnedRig(c)];
    const remove = victim.optimizer.registerStepPreHook(fail);
    expect(() => victim.optimizer.step(pinnedGrads(3))).toThrow(oops);
    await expect(victim.optimizer.stepAsync(pinnedGrads(3))).rejects.toBe(oops);
    expect(victim.seen()).toBe(twin.seen());
    remove();
    for (const { optimizer } of [victim, twin]) await optimizer.stepAsync(pinnedGrads(4));
    expect(victim.seen()).toBe(twin.seen());
  });

  test('a hook that throws after the step takes nothing back', async () => {
    const [victim, twin] = [pinnedRig(c), pinnedRig(c)];
    victim.optimizer.registerStepPostHook(fail);
    expect(() => victim.optimizer.step(pinnedGrads(3))).toThrow(oops);
    await expect(victim.optimizer.stepAsync(pinnedGrads(4))).rejects.toBe(oops);
    for (const seed of [3, 4]) twin.optimizer.step(pinnedGrads(seed));
    expect(victim.seen()).toBe(twin.seen());
  });

  test('a hook can neither step nor change anything but options', async () => {
    const { optimizer } = rig(c);
    const state = optimizer.stateDict();
    let rejection: Promise<unknown> = Promise.resolve();
    const attacks: ((o: Any) => unknown)[] = [
      (o) => o.step(gradients(1)),
      (o) => o.loadStateDict(state),
      (o) => o.addParamGroup({ params: { c: f32(1) } }),
      (o) => o.dispose(),
      (o) => o.eval?.() ?? fail(),
    ];
    for (const register of ['registerStepPreHook', 'registerStepPostHook'] as const) {
      for (const attack of attacks) {
        const remove = optimizer[register](attack);
        if (attack === attacks.at(-1) && !('eval' in optimizer))
          expect(() => optimizer.step(gradients(2))).toThrow(oops);
        else refused(TypeError, inHook, () => optimizer.step(gradients(2)));
        remove();
      }
      const remove = optimizer[register]((o) => {
        rejection = rejected(TypeError, inHook, () => o.stepAsync(gradients(1)));
      });
      optimizer.step(gradients(2));
      remove();
      await rejection;
    }
  });

  test('options that a hook assigns count: before a step at once, after it from the next one on', () => {
    const [hooked, twin] = [rig(c, { lr: 0.1 }, 1), rig(c, { lr: 0.1 }, 1)];
    hooked.optimizer.registerStepPreHook((o) => {
      o.lr = 0.25;
    });
    hooked.optimizer.registerStepPostHook((o) => {
      (o.paramGroups[0] as Any).lr = 0.5;
    });
    hooked.step(5);
    twin.optimizer.lr = 0.25;
    twin.step(5);
    twin.optimizer.lr = 0.5;
    expect(hooked.seen()).toBe(twin.seen());
  });
});

test('gradients that a hook changes in place are those of the step', () => {
  const [w, v, g] = [f32(1, 2), f32(1, 2), f32(30, 40)];
  const [hooked, twin] = [new SGD(w, { lr: 1 }), new SGD(v, { lr: 1, clipNorm: 1 })];
  hooked.registerStepPreHook((_, grads) => clipGradNorm(grads, 1));
  twin.step(g.slice());
  hooked.step(g);
  expect(w).toEqual(v);
});

test('what is not a function is refused, by its name', () => {
  const adam = new Adam(f32(1));
  for (const [o, who] of [
    [adam, 'Adam'],
    [new Lookahead(adam), 'Lookahead'],
  ] as [Any, string][])
    for (const method of ['registerStepPreHook', 'registerStepPostHook'])
      expect(thrown(() => o[method](1))).toBe(`TypeError: ${who}.${method}: hook: 1, expected a function`);
});

test('the same function may be added twice, and removed while hooks run', () => {
  const sgd = new SGD(f32(1), { lr: 1 });
  let calls = 0;
  const count = () => void calls++;
  const removeFirst = sgd.registerStepPreHook(count);
  sgd.registerStepPreHook(count);
  sgd.step(f32(1));
  expect(calls).toBe(2);
  const remove = sgd.registerStepPostHook(() => {
    remove();
    removeFirst();
    sgd.registerStepPostHook(count); // counts from the next step on
  });
  sgd.step(f32(1));
  expect(calls).toBe(4);
  sgd.step(f32(1));
  expect(calls).toBe(6);
});

test('a skipped step has its hooks too', () => {
  const sgd = new SGD(f32(1), { lr: 1, skipNonFinite: true });
  const results: unknown[] = [];
  sgd.registerStepPostHook((o, { applied }) => results.push([applied, o.skippedSteps]));
  sgd.step(f32(Number.NaN));
  sgd.step(f32(1));
  expect(results).toEqual([
    [false, 1],
    [true, 1],
  ]);
});

test('a step that refuses its gradients has called the hooks before it only', () => {
  const sgd = new SGD(f32(1), { lr: 1 });
  const calls: string[] = [];
  sgd.registerStepPreHook(() => calls.push('before'));
  sgd.registerStepPostHook(() => calls.push('after'));
  refused(RangeError, /length 2/, () => sgd.step(f32(1, 2)));
  expect(calls).toEqual(['before']);
});

test('queued steps call their hooks in order, when each starts and ends', async () => {
  const { optimizer } = pinnedRig(classes[0]!);
  const events: string[] = [];
  optimizer.registerStepPreHook((o) => events.push(`before ${o.stepCount + 1}`));
  optimizer.registerStepPostHook((o) => events.push(`after ${o.stepCount}`));
  const steps = [1, 2].map((seed) => optimizer.stepAsync(pinnedGrads(seed)).then(() => events.push('settled')));
  await Promise.all(steps);
  expect(events.filter((event) => event !== 'settled')).toEqual(['before 3', 'after 3', 'before 4', 'after 4']);
  expect(events.indexOf('settled')).toBeGreaterThan(events.indexOf('after 3'));
});

test('Lookahead passes itself, and its slow weights are updated before the hooks after the step', () => {
  const w = f32(1);
  const lookahead = new Lookahead(new SGD(w, { lr: 1 }), { k: 1, alpha: 0.5 });
  const seen: unknown[] = [];
  const remove = [
    lookahead.registerStepPreHook((o, grads) => seen.push(o === lookahead, grads)),
    lookahead.registerStepPostHook((o, { applied }) => seen.push(o === lookahead, applied, w[0])),
  ];
  const grad = f32(1);
  lookahead.step(grad);
  expect(seen).toEqual([true, grad, true, true, 0.5]);
  for (const each of remove) each();
  lookahead.step(grad);
  expect(seen).toHaveLength(5);
});

test('ScheduleFree refuses a step in evaluation mode before its hooks', () => {
  const free = new ScheduleFreeSGD(f32(1));
  free.registerStepPreHook(fail);
  free.eval();
  refused(TypeError, /an optimizer in evaluation mode/, () => free.step(f32(1)));
});

test('LossScale.step calls the hooks, and counts a step after which a hook throws', () => {
  const w = f32(1);
  const sgd = new SGD(w, { lr: 1 });
  const lossScale = new LossScale({ initScale: 4 });
  const calls: string[] = [];
  const removes = [
    sgd.registerStepPreHook(() => calls.push('before')),
    sgd.registerStepPostHook((_, { applied }) => calls.push(`applied ${applied}`)),
    sgd.registerStepPostHook(fail),
  ];
  expect(() => lossScale.step(sgd, f32(Number.POSITIVE_INFINITY))).toThrow(oops);
  expect(calls).toEqual(['before', 'applied false']);
  lossScale.update();
  expect(lossScale.value).toBe(2);
  expect(() => lossScale.step(sgd, f32(2))).toThrow(oops);
  expect(thrown(() => lossScale.step(sgd, f32(2)))).toMatch(/one that has stepped since the last update/);
  expect(w).toEqual(f32(0));
  lossScale.update();
  for (const remove of removes) remove();
  sgd.registerStepPreHook(fail);
  expect(() => lossScale.step(sgd, f32(2))).toThrow(oops);
  expect(thrown(() => lossScale.update())).toMatch(/no step since the last update/);
});

test('dispose drops the hooks with everything else', () => {
  const sgd = new SGD(f32(1), { lr: 1 });
  const remove = sgd.registerStepPreHook(fail);
  sgd.dispose();
  remove();
  refused(TypeError, /a disposed optimizer/, () => sgd.registerStepPreHook(fail));
  refused(TypeError, /a disposed optimizer/, () => sgd.registerStepPostHook(fail));
});
