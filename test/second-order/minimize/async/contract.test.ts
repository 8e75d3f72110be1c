// minimizeAsync: the bits of minimize, turns for the event loop, promises, and stops from outside.
import * as events from 'node:events';
import { setImmediate } from 'node:timers';
import { describe, expect, test, vi } from 'vitest';
import { type MinimizeProgress, minimize, minimizeAsync } from '../../../../lib/index.js';
import { bytes, f32, f64 } from '../../../support/arrays.js';
import { type Any, detached } from '../../../support/bad-input.js';
import { bowl, rosenbrock } from '../../../support/second-order/functions.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const anyMinimize = minimize as Any;
const anyMinimizeAsync = minimizeAsync as Any;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const squares = {
  N: 4,
  f(i: number, x: Numbers, grad: Numbers): number {
    for (let k = 0; k < x.length; k++) grad[k] = x[k]! - i * k;
    return Array.from(x).reduce((sum, v, k) => sum + (v - i * k) ** 2 / 2, 0);
  },
};
const problems: [string, unknown, Numbers, object][] = [
  ['lbfgs', rosenbrock, f64(-1.2, 1), {}],
  ['lbfgs in float32', rosenbrock, f32(-1.2, 1), { maxIterations: 12 }],
  ['lbfgs on terms', squares, f64(3, 4), {}],
  ['sfo', squares, f64(3, 4, 5), { method: 'sfo', passes: 8 }],
  ['adam', rosenbrock, f32(-1.2, 1), { method: 'adam', maxIterations: 50 }],
  ['sgd on terms', squares, f32(3, 4), { method: 'sgd', lr: 0.1 }],
  ['a limit on evaluations', rosenbrock, f64(-1.2, 1), { maxEvaluations: 17 }],
];

/** `fn` with every value in a promise. */
const promised = (fn: Any, wait: () => Promise<void>): Any => {
  const later = async (value: unknown) => {
    await wait();
    return value;
  };
  return typeof fn === 'function'
    ? (x: Numbers, grad: Numbers) => later(fn(x, grad))
    : { N: fn.N, f: (i: number, x: Numbers, grad: Numbers) => later(fn.f(i, x, grad)) };
};

describe.each(problems)('%s gives the same bits as minimize', (_, fn, x0, options) => {
  const truth = anyMinimize(fn, x0, options);
  const same = (result: typeof truth) => {
    expect(bytes(result.x)).toEqual(bytes(truth.x));
    expect(result).toEqual(truth);
  };

  test('with a function that returns numbers', async () => same(await anyMinimizeAsync(fn, x0, options)));

  test('with promises', async () => {
    same(
      await anyMinimizeAsync(
        promised(fn, async () => {}),
        x0,
        options,
      ),
    );
    same(await anyMinimizeAsync(promised(fn, turn), x0, options));
  });

  test('in several runs at once', async () => {
    const runs = [fn, promised(fn, turn), fn, promised(fn, turn)].map((f) => anyMinimizeAsync(f, x0, options));
    for (const result of await Promise.all(runs)) same(result);
  });

  test('whatever happens to x0 meanwhile', async () => {
    const x = x0.slice();
    const run = anyMinimizeAsync(promised(fn, turn), x, options);
    x.fill(77);
    structuredClone(x, { transfer: [x.buffer as ArrayBuffer] });
    same(await run);
  });
});

/** A run without end. */
const endless = { method: 'sgd', lr: 1e-6, maxIterations: Number.POSITIVE_INFINITY } as const;
const slope = (x: Numbers, grad: Numbers) => {
  grad[0] = 1;
  return x[0]!;
};

describe('the event loop', () => {
  test('gets a turn between evaluations', async () => {
    let [clock, turns, isOver] = [0, 0, false];
    vi.spyOn(performance, 'now').mockImplementation(() => clock);
    const count = () => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    /** The turns that had happened at each evaluation. */
    const seen: { readonly clock: number; readonly turns: number }[] = [];
    const fn = (x: Numbers, grad: Numbers) => {
      clock += 3;
      seen.push({ clock, turns });
      return rosenbrock(x, grad);
    };
    await minimizeAsync(fn, f64(-1.2, 1));
    isOver = true;
    vi.restoreAllMocks();
    expect(seen.length).toBeGreaterThan(30);
    for (const [i, { clock, turns }] of seen.entries()) {
      const later = seen.find((other) => other.clock - clock > 10);
      if (later !== undefined)
        expect(later.turns, `turns between evaluation ${i} and 10 ms later`).toBeGreaterThan(turns);
    }
  });

  test('gets one although every promise is fulfilled at once', async () => {
    let hasTurned = false;
    setImmediate(() => {
      hasTurned = true;
    });
    const fn = async (x: Numbers, grad: Numbers) => slope(x, grad);
    // A run that blocks the event loop would end by its time.
    const limits = { callback: () => hasTurned, maxTime: 10_000 };
    expect((await minimizeAsync(fn, f32(0), { ...endless, ...limits })).reason).toBe('aborted');
  });
});

describe('stops from outside', () => {
  test('an aborted signal rejects with its reason, whatever it is', async () => {
    for (const reason of [new Error('enough'), 'stop', 7, null]) {
      const controller = new AbortController();
      const run = minimizeAsync(slope, f32(0), { ...endless, signal: controller.signal });
      setTimeout(() => controller.abort(reason), 1);
      await expect(run).rejects.toBe(reason);
    }
  });

  test('one that is aborted already calls nothing', async () => {
    const fn = vi.fn(rosenbrock);
    const signal = AbortSignal.abort('early');
    for (const options of [{}, { method: 'adam' }])
      await expect(anyMinimizeAsync(fn, f32(-1.2, 1), { ...options, signal })).rejects.toBe('early');
    await expect(anyMinimizeAsync({ N: 2, f: fn }, f32(1), { method: 'sfo', signal })).rejects.toBe('early');
    expect(fn).not.toHaveBeenCalled();
    // A wrong argument comes first.
    await expect(anyMinimizeAsync(fn, f32(1), { signal, gradtol: 1 })).rejects.toThrow('minimizeAsync: gradtol');
  });

  test('one that is aborted by fn, by a callback, or during the last evaluation of all terms', async () => {
    const controller = () => {
      const made = new AbortController();
      return { signal: made.signal, abort: () => made.abort('mine') };
    };
    const { signal, abort } = controller();
    const aborting = (x: Numbers, grad: Numbers) => {
      abort();
      return rosenbrock(x, grad);
    };
    await expect(minimizeAsync(aborting, f64(-1.2, 1), { signal })).rejects.toBe('mine');
    const other = controller();
    const callback = () => other.abort();
    await expect(minimizeAsync(rosenbrock, f64(-1.2, 1), { signal: other.signal, callback })).rejects.toBe('mine');
    const last = controller();
    let calls = 0;
    const f = (i: number, x: Numbers, grad: Numbers) => {
      if (++calls === 42) last.abort();
      return squares.f(i, x, grad);
    };
    const options = { method: 'sgd', lr: 0.1, signal: last.signal } as const;
    await expect(minimizeAsync({ N: 4, f }, f32(3, 4), options)).rejects.toBe('mine');
    expect(calls).toBe(42);
  });

  test('a promise that is never fulfilled does not hold up the signal or the time', async () => {
    const never = () => new Promise<number>(() => {});
    const controller = new AbortController();
    const run = minimizeAsync(never, f64(1), { signal: controller.signal });
    setTimeout(() => controller.abort('enough'), 1);
    await expect(run).rejects.toBe('enough');
    expect(await minimizeAsync(never, f64(1), { maxTime: 1 })).toMatchObject({
      reason: 'time',
      value: Number.NaN,
      x: f64(1),
    });
    let calls = 0;
    const hanging = (x: Numbers, grad: Numbers) => (++calls === 9 ? never() : rosenbrock(x, grad));
    const { reason, x, value } = await minimizeAsync(hanging, f64(-1.2, 1), { maxTime: 1 });
    expect(reason).toBe('time');
    expect(rosenbrock(x, f64(0, 0))).toBe(value);
  });

  test('what an abandoned promise does afterwards has no effect', async () => {
    let fail = (_: Error) => {};
    const hanging = () => new Promise<number>((_, reject) => (fail = reject));
    const result = await minimizeAsync(hanging, f64(1), { maxTime: 1 });
    fail(new Error('too late')); // an unhandled rejection would fail the test run
    await turn();
    expect(result.reason).toBe('time');
  });

  test('a callback that returns true, or a promise of it, fulfils the promise', async () => {
    for (const answer of [true, Promise.resolve(true)]) {
      const callback = ({ iteration }: MinimizeProgress) => (iteration === 4 && answer) as boolean;
      expect(await minimizeAsync(rosenbrock, f64(-1.2, 1), { callback })).toMatchObject({
        reason: 'aborted',
        iterations: 4,
      });
    }
  });

  test('a signal keeps no listener after the run', async () => {
    const { signal } = new AbortController();
    const [add, remove] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')];
    await minimizeAsync(promised(rosenbrock, turn), f64(-1.2, 1), { signal });
    // The library captured the methods, so what is defined on the signal is not called.
    expect(add).not.toHaveBeenCalled();
    expect(remove).not.toHaveBeenCalled();
    expect((events as Any).getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('errors reject the promise', () => {
  const error = new Error('mine');
  const throwing = () => {
    throw error;
  };
  const rejecting = async () => {
    throw error;
  };
  const hostile = {
    // biome-ignore lint/suspicious/noThenProperty: a thenable that throws
    get then() {
      throw error;
    },
  };

  test('of fn, f, callback and onPass, thrown or rejected, at the first call and later', async () => {
    let calls = 0;
    const later = (x: Numbers, grad: Numbers) => (++calls % 6 === 0 ? rejecting() : rosenbrock(x, grad));
    const one = { N: 1, f: (_: number, x: Numbers, grad: Numbers) => bowl(x, grad) };
    for (const [fn, options] of [
      [throwing, {}],
      [rejecting, {}],
      [later, {}],
      [() => hostile, {}],
      [rejecting, { method: 'adam' }],
      [{ N: 1, f: rejecting }, { method: 'sfo' }],
      [{ N: 1, f: throwing }, {}],
      [rosenbrock, { callback: rejecting }],
      [rosenbrock, { callback: throwing }],
      [one, { onPass: rejecting }],
      [one, { method: 'sfo', onPass: throwing }],
    ] as const)
      await expect(anyMinimizeAsync(fn, f32(-1.2, 1), options)).rejects.toBe(error);
  });

  test('of arguments and results; nothing is thrown', async () => {
    for (const [args, message] of [
      [[undefined, f64(1)], 'minimizeAsync: fn: undefined, expected a function'],
      [[bowl, [1]], 'minimizeAsync: x0: [1], expected a Float32Array or a Float64Array'],
      [[bowl, detached()], 'minimizeAsync: x0: a detached array'],
      [[bowl, f64(1), { maxtime: 1 }], 'minimizeAsync: maxtime: unknown option, expected maxTime'],
      [[bowl, f64(1), { signal: {} }], 'minimizeAsync: signal: an object, expected an AbortSignal'],
      [[async () => 'x', f64(1)], 'minimizeAsync: fn: "x", expected the value, a number'],
    ] as const)
      await expect(anyMinimizeAsync(...args)).rejects.toThrow(message);
  });

  test('a gradient that is detached while the run waits', async () => {
    let kept: Numbers | undefined;
    const fn = async (x: Numbers, grad: Numbers) => {
      kept ??= grad;
      const value = rosenbrock(x, grad);
      await turn();
      if (kept !== grad && kept.length > 0) structuredClone(kept, { transfer: [kept.buffer as ArrayBuffer] });
      return value;
    };
    await expect(minimizeAsync(fn, f64(-1.2, 1))).rejects.toThrow('minimizeAsync: grad of fn: length 0, expected 2');
  });
});
