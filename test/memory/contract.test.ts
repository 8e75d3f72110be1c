// Memory of params and gradients: any kind gives the same bits; memory that was freed or resized is refused.
import { runInNewContext } from 'node:vm';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { Adam, type Optimizer } from '../../lib/index.js';
import {
  type Any,
  bits,
  classes,
  harmless,
  numbers,
  type Rig,
  refused,
  rig,
  snapshot,
  titled,
  variants,
} from '../support/rig.js';
import { sample } from '../support/sample.js';
import { detach } from '../support/sparse.js';

// @types/node does not declare WebAssembly.
const { WebAssembly } = globalThis as Any;

/** A view of 4 bytes into a buffer that can be resized. */
function resizable(length: number, seed: number): [Float32Array, (bytes: number) => void] {
  const buffer = new (ArrayBuffer as Any)(4 + length * 4, { maxByteLength: 4096 });
  const view = new Float32Array(buffer, 4, length);
  view.set(numbers(length, seed));
  return [view, (bytes) => buffer.resize(bytes)];
}

const shared = (length: number, seed: number) => {
  const view = new Float32Array(new SharedArrayBuffer(length * 4));
  view.set(numbers(length, seed));
  return view;
};

const wasm = (length: number, seed: number, memory = new WebAssembly.Memory({ initial: 1, maximum: 8 })) => {
  const view = new Float32Array(memory.buffer, 16, length);
  view.set(numbers(length, seed));
  return view;
};

class Tagged extends Float32Array {
  readonly tag = 'mine';
}

describe.each(titled(sample(classes, 7)))('%s', (_, c) => {
  const who = c.declaration.name;

  // ---- Memory of every kind gives the same bits ----

  const kinds: [string, (length: number, seed: number) => Float32Array][] = [
    ['SharedArrayBuffer', shared],
    ['WebAssembly.Memory', wasm],
    [
      'shared WebAssembly.Memory',
      (n, s) => wasm(n, s, new WebAssembly.Memory({ initial: 1, maximum: 8, shared: true })),
    ],
    ['a resizable buffer', (n, s) => resizable(n, s)[0]],
    [
      'an unaligned offset',
      (n, s) => {
        const view = new Float32Array(new ArrayBuffer(4 * n + 8), 4, n);
        view.set(numbers(n, s));
        return view;
      },
    ],
    ['a subclass', (n, s) => new Tagged(numbers(n, s))],
    ['another realm', (n, s) => runInNewContext('Float32Array.from(x)', { x: Array.from(numbers(n, s)) })],
    ['a false length', (n, s) => Object.defineProperty(numbers(n, s), 'length', { value: 2 })],
    ['a false constructor', (n, s) => Object.defineProperty(numbers(n, s), 'constructor', { value: null })],
  ];
  test.each(sample(kinds, 4))('%s gives the same bits as params and as gradients', (_, make) => {
    for (const engine of ['native', 'js']) {
      const run = (of: (length: number, seed: number) => Float32Array) => {
        const params = [of(21, 1), of(5, 2)];
        const optimizer = c.make(params, { ema: 0.9, gradNorm: true });
        const norms = [3, 4].map((seed) => optimizer.step([of(21, seed), of(5, seed + 9)]).gradNorm);
        return [
          norms,
          ...params.map((p) =>
            bits(Float32Array.prototype.slice.call(new Float32Array(p.buffer, p.byteOffset, p.byteLength / 4))),
          ),
          ...(optimizer.emaParams as Float32Array[]).map(bits),
        ];
      };
      const compare = () => expect(run(make)).toEqual(run(numbers));
      if (engine === 'native') compare();
      else withEngine(referenceEngine, compare);
    }
  });

  test('arrays of length 0 are allowed', () => {
    const w = numbers(4, 1);
    const optimizer = c.make([new Float32Array(0), w, new Float32Array(0), new Float32Array(w.buffer, 8, 0)], {
      ema: 0.5,
      zeroGrads: true,
    });
    expect(optimizer.step([new Float32Array(0), numbers(4, 2), null, new Float32Array(0)])).toEqual({ applied: true });
    const alone = c.make(new Float32Array(0), { clipNorm: 1 });
    expect(alone.step(new Float32Array(0))).toEqual({ applied: true, gradNorm: 0 });
    expect(() => optimizer.loadStateDict(structuredClone(optimizer.stateDict()))).not.toThrow();
  });

  // ---- Memory that is gone ----

  test('a detached param or gradient is refused', () => {
    const gone = numbers(4, 1);
    detach(gone);
    refused(TypeError, /params: a detached Float32Array/, () => c.make(gone));
    refused(TypeError, /params\.data: a detached Float32Array/, () => c.make({ data: gone, shape: [2, 2] }));
    refused(TypeError, /params\[1\]: a detached Float32Array/, () => c.make([numbers(4, 1), gone]));
    const lost = numbers(5, 1);
    detach(lost);
    harmless(c, TypeError, /grads\["a"\]: a detached Float32Array/, ({ optimizer }) =>
      optimizer.step({ a: lost, b: null }),
    );
  });

  test('a known gradient that was detached or shrunk is refused', () => {
    const { optimizer, params } = rig(c);
    const known = numbers(5, 1);
    const [grown, resize] = resizable(18, 2);
    const step = () => optimizer.step({ a: known, b: grown });
    step();
    let before = snapshot(optimizer, params);
    resize(8);
    refused(TypeError, /grads\["b"\]: an out-of-bounds Float32Array/, step);
    expect(snapshot(optimizer, params)).toBe(before);
    resize(200);
    step();
    before = snapshot(optimizer, params);
    detach(known);
    refused(TypeError, /grads\["a"\]: a detached/, step);
    expect(snapshot(optimizer, params)).toBe(before);
  });

  test('a view that its shrunk buffer no longer covers is refused, whatever its length was', () => {
    const buffer = new (ArrayBuffer as Any)(64, { maxByteLength: 128 });
    const views = [new Float32Array(buffer, 16), new Float32Array(buffer, 16, 4)];
    buffer.resize(8);
    for (const view of views) {
      refused(TypeError, /params: an out-of-bounds Float32Array/, () => c.make(view));
      refused(TypeError, /grads: an out-of-bounds Float32Array/, () => c.make(new Float32Array(0)).step(view));
    }
  });

  test('arrays of averages may be taken away: the state stays', () => {
    const params = [numbers(8, 1), numbers(5, 2)];
    const optimizer = c.make(params, { ema: 0.5 });
    const twin = c.make(
      params.map((w) => w.slice()),
      { ema: 0.5 },
    );
    for (const o of [optimizer, twin]) o.step([numbers(8, 2), numbers(5, 3)]);
    const before = JSON.stringify(optimizer.stateDict());
    for (const view of optimizer.emaParams as Float32Array[]) {
      const stream = new ReadableStream({
        type: 'bytes',
        start: (controller) => controller.enqueue(new Uint8Array(view.buffer)),
      });
      expect(stream.locked).toBe(false);
      expect(view.length).toBe(0);
    }
    expect(JSON.stringify(optimizer.stateDict())).toBe(before);
    for (const o of [optimizer, twin]) o.step([numbers(8, 4), numbers(5, 5)]);
    expect(JSON.stringify(optimizer.stateDict())).toBe(JSON.stringify(twin.stateDict()));
    expect((optimizer.emaParams as Float32Array[]).map(bits)).toEqual((twin.emaParams as Float32Array[]).map(bits));
  });

  /** Calls to an optimizer with detached memory: they give clear errors, and state can still be saved. */
  function survives(optimizer: Optimizer, path: RegExp, kind: typeof TypeError | typeof RangeError): void {
    refused(kind, path, () => optimizer.step([numbers(8, 2), numbers(8, 3)]));
    refused(kind, path, () => optimizer.addParamGroup({ params: numbers(4, 1) }));
    optimizer.lr = 0.5;
    const dict = optimizer.stateDict();
    optimizer.loadStateDict(dict);
    expect(optimizer.toString()).toContain(who);
    // Flags that select another kernel register the memory again.
    for (const [name, h] of Object.entries(c.declaration.hyperParameters)) {
      if (typeof h.default !== 'boolean') continue;
      const group = optimizer.paramGroups[0] as Any;
      const was = group[name];
      try {
        group[name] = !was;
      } catch (error) {
        expect([TypeError, RangeError]).toContain((error as Error).constructor);
        expect(group[name]).toBe(was);
      }
    }
  }

  test('a param that is detached after the first step is refused', () => {
    const [w, v] = [numbers(8, 1), numbers(8, 2)];
    const optimizer = c.make([w, v], { ema: 0.5 });
    optimizer.step([numbers(8, 2), numbers(8, 3)]);
    const before = bits(v);
    detach(w);
    survives(optimizer, /params\[0\]: a detached Float32Array/, TypeError);
    expect(bits(v)).toBe(before);
  });

  test('a param that memory.grow detached is refused, and shared memory may grow', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 8 });
    const optimizer = c.make([wasm(8, 1, memory), numbers(8, 2)]);
    optimizer.step([numbers(8, 2), numbers(8, 3)]);
    memory.grow(1);
    survives(optimizer, /params\[0\]: a detached Float32Array/, TypeError);
    const memory2 = new WebAssembly.Memory({ initial: 1, maximum: 8, shared: true });
    const lasting = c.make([wasm(8, 1, memory2)]);
    memory2.grow(1);
    expect(lasting.step([numbers(8, 2)])).toEqual({ applied: true });
  });

  test('a param whose buffer shrinks is refused until it grows again', () => {
    const [w, resize] = resizable(8, 1);
    const v = numbers(8, 2);
    const optimizer = c.make([w, v]);
    optimizer.step([numbers(8, 2), numbers(8, 3)]);
    resize(12);
    survives(optimizer, /params\[0\]: an out-of-bounds Float32Array/, TypeError);
    resize(100);
    const twin = c.make([w.slice(), v.slice()]);
    twin.loadStateDict(optimizer.stateDict());
    for (const o of [optimizer, twin]) o.step([numbers(8, 4), numbers(8, 5)]);
    expect(bits(w)).toBe(bits(twin.paramGroups.flatMap((g) => g.params as Any)[0]));
    expect(bits(v)).toBe(bits(twin.paramGroups.flatMap((g) => g.params as Any)[1]));
  });

  test('a param that tracks the length of its buffer must keep its length', () => {
    const buffer = new (ArrayBuffer as Any)(32, { maxByteLength: 4096 });
    const w = new Float32Array(buffer);
    const optimizer = c.make([w]);
    buffer.resize(64);
    refused(RangeError, /params\[0\]: length 16, expected 8/, () => optimizer.step([numbers(8, 2)]));
    refused(RangeError, /grads\[0\]: length 16, expected 8/, () => optimizer.step([numbers(16, 2)]));
  });

  test('detached emaParams are refused', () => {
    // The addon's memory cannot be transferred in every version of Node. The reference's memory can.
    withEngine(referenceEngine, () => {
      const w = numbers(8, 1);
      const optimizer = c.make(w, { ema: 0.5 });
      optimizer.step(numbers(8, 2));
      const dict = optimizer.stateDict();
      const before = bits(w);
      detach(optimizer.emaParams as Float32Array);
      refused(TypeError, /emaParams of params: a detached/, () => optimizer.step(numbers(8, 2)));
      refused(TypeError, /emaParams of params: a detached/, () => optimizer.stateDict());
      refused(TypeError, /emaParams of params: a detached/, () => optimizer.loadStateDict({ ...dict, stepCount: 77 }));
      expect([optimizer.stepCount, bits(w)]).toEqual([1, before]);
    });
  });

  // ---- Memory of another ----

  test('params must not share memory', () => {
    const w = numbers(8, 1);
    const own = /memory shared with params/;
    refused(RangeError, own, () => c.make([w, w]));
    refused(RangeError, own, () => c.make({ a: w, b: w.subarray(7) }));
    refused(RangeError, own, () => c.make([w.subarray(0, 5), w.subarray(4)]));
    refused(RangeError, own, () => c.make([{ params: [w.subarray(2, 3)] }, { params: { data: w, shape: [4, 2] } }]));
    refused(RangeError, own, () => c.make([w.subarray(0, 2), w.subarray(4, 6), w.subarray(2, 5)]));
    expect(() => c.make([w.subarray(0, 4), w.subarray(4)])).not.toThrow();
    const memory = shared(8, 1);
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(memory.buffer);
    const posted = receiveMessageOnPort(port2)?.message as SharedArrayBuffer;
    port1.close();
    for (const again of [structuredClone(memory.buffer), posted]) {
      expect(again).not.toBe(memory.buffer);
      refused(RangeError, own, () => c.make([memory, new Float32Array(again, 28)]));
    }
  });

  test('a gradient must not share memory with a param', () => {
    const { optimizer, a, b, params } = rig(c);
    const before = snapshot(optimizer, params);
    for (const grads of [
      { a, b: null },
      { a: b.subarray(3, 8), b: null },
      { a: b.subarray(13), b: null },
      { a: null, b: b.subarray() },
    ]) {
      for (let twice = 0; twice < 2; twice++)
        refused(RangeError, /grads\["[ab]"\]: memory shared with params\["[ab]"\]/, () => optimizer.step(grads));
    }
    expect(snapshot(optimizer, params)).toBe(before);
    // A gradient that was known before the param was added.
    const pool = numbers(8, 5);
    optimizer.step({ a: pool.subarray(0, 5), b: null });
    const known = pool.subarray(2, 7);
    optimizer.step({ a: known, b: null });
    optimizer.addParamGroup({ params: { c: pool.subarray(6) } });
    refused(RangeError, /grads\["a"\]: memory shared with paramGroups\[1\]\.params\["c"\]/, () =>
      optimizer.step({ a: known, b: null, c: null }),
    );
  });

  test('gradients may overlap each other, except with zeroGrads', () => {
    const pool = numbers(9, 3);
    const grads = () => [pool, pool.subarray(0, 4), pool.subarray(3, 9)];
    const make = (more = {}) => c.make([numbers(9, 1), numbers(4, 2), numbers(6, 4)], more);
    const apart = make();
    const params = (o: Optimizer) => (o.paramGroups[0]!.params as Float32Array[]).map(bits);
    apart.step(grads().map((g) => g.slice()));
    const together = make();
    together.step(grads());
    expect(params(together)).toEqual(params(apart));
    const zeroing = make({ zeroGrads: true });
    const before = snapshot(zeroing, zeroing.paramGroups[0]!.params as Float32Array[]);
    const [bytes] = [bits(pool)];
    refused(RangeError, /grads\[[0-2]\]: memory shared with grads/, () => zeroing.step(grads()));
    expect(snapshot(zeroing, zeroing.paramGroups[0]!.params as Float32Array[])).toBe(before);
    expect(bits(pool)).toBe(bytes);
    // The plan knows each gradient already.
    const g = numbers(4, 3);
    const two = c.make([numbers(4, 1), numbers(4, 2)], { zeroGrads: true });
    two.step([g, null]);
    two.step([null, g]);
    refused(RangeError, /grads\[1\]: memory shared with grads\[0\]/, () => two.step([g, g]));
  });

  // ---- The user's code in the middle of a call ----

  const good = () => ({ a: numbers(5, 3), b: numbers(18, 4) });

  test('getters that detach or shrink earlier values leave no trace', () => {
    const g = { a: numbers(5, 3) };
    harmless(c, TypeError, /grads\["a"\]: a detached/, ({ optimizer }) =>
      optimizer.step({
        a: g.a,
        get b() {
          detach(g.a);
          return numbers(18, 1);
        },
      }),
    );
    const [view, resize] = resizable(5, 1);
    harmless(c, TypeError, /grads\["a"\]: an out-of-bounds Float32Array/, ({ optimizer }) =>
      optimizer.step({
        a: view,
        get b() {
          resize(8);
          return null;
        },
      }),
    );
    // The param itself.
    const { optimizer, a, b } = rig(c);
    const before = bits(b);
    refused(TypeError, /params\["a"\]: a detached/, () =>
      optimizer.step({
        a: numbers(5, 1),
        get b() {
          detach(a);
          return numbers(18, 1);
        },
      }),
    );
    expect([bits(b), optimizer.stepCount]).toEqual([before, 3]);
  });

  test('arrays of the step before that a getter, or a redefined call(), hides from the checks are detected', () => {
    const step = (what: 'param' | 'gradient', spoil: (array: Float32Array) => void) => {
      const { optimizer, a, b } = rig(c);
      const [ga, gb] = [numbers(5, 1), numbers(18, 2)];
      for (let i = 0; i < 3; i++) optimizer.step({ a: ga, b: gb });
      const before = bits(b);
      // The text of the error is made with `call`.
      refused(TypeError, /(params|grads)\["a"\]: |this: memory that was detached/, () =>
        optimizer.step({
          a: ga,
          get b() {
            spoil(what === 'param' ? a : ga);
            return gb;
          },
        }),
      );
      expect([bits(b), optimizer.stepCount]).toEqual([before, 6]);
    };
    for (const what of ['param', 'gradient'] as const) {
      step(what, detach);
      const { call } = Function.prototype;
      try {
        step(what, (array) => {
          detach(array);
          // Says that nothing has changed.
          Function.prototype.call = function (this: unknown, self: unknown, ...rest: unknown[]) {
            return self === array && rest.length === 0 ? 5 : Reflect.apply(this as never, self, rest);
          };
        });
      } finally {
        Function.prototype.call = call;
      }
    }
  });

  test('the constants of a subclass, which run last, cannot take the memory of a step away', () => {
    for (const what of ['param', 'gradient']) {
      const [param, grad] = [numbers(64, 1), numbers(64, 2)];
      let isArmed = false;
      class Detaching extends Adam {
        protected override constants(...rest: Parameters<Adam['constants']>): number[] {
          if (isArmed) detach(what === 'param' ? param : grad);
          return super.constants(...rest);
        }
      }
      const optimizer = new Detaching(param);
      optimizer.step(grad);
      isArmed = true;
      const reason = what === 'param' ? /params: a detached|params\[0\]: a detached/ : /grads: a detached/;
      refused(TypeError, reason, () => optimizer.step(grad));
      expect(optimizer.stepCount).toBe(1);
    }
  });

  test('getters of params and group options that detach a param are detected', () => {
    const [first, second] = [numbers(4, 1), numbers(4, 2)];
    refused(TypeError, /params\["a"\]: a detached/, () =>
      c.make({
        a: first,
        get b() {
          detach(first);
          return numbers(4, 1);
        },
      }),
    );
    refused(TypeError, /params\[0\]\.params: a detached/, () =>
      c.make([
        { params: second },
        {
          params: numbers(4, 3),
          get lr() {
            detach(second);
            return 0.1;
          },
        },
      ]),
    );
  });

  const inside: [string, (r: Rig) => unknown][] = [
    ['steps', ({ optimizer }) => optimizer.step(good())],
    ['disposes', ({ optimizer }) => optimizer.dispose()],
    ['sets lr', ({ optimizer }) => (optimizer.lr = 0.5)],
    ['assigns a Schedule', ({ optimizer }) => ((optimizer.paramGroups[0] as Any).lr = () => 0.5)],
    ['adds a group', ({ optimizer }) => optimizer.addParamGroup({ params: { c: numbers(4, 1) } })],
    ['loads a state', ({ optimizer }) => optimizer.loadStateDict(optimizer.stateDict())],
  ];

  test.each(inside)('a Schedule, a getter or a proxy that %s is refused', (_, act) => {
    const middle = /this: an optimizer in the middle of a call/;
    let victim: Rig | undefined;
    const lr = () => {
      if (victim !== undefined) act(victim);
      return 0.1;
    };
    const during = (attack: (r: Rig) => void) => (r: Rig) => {
      victim = r;
      try {
        attack(r);
      } finally {
        victim = undefined;
      }
    };
    harmless(
      c,
      TypeError,
      middle,
      during(({ optimizer }) => optimizer.step(good())),
      { lr },
    );
    harmless(c, TypeError, middle, (r) =>
      r.optimizer.step({
        a: numbers(5, 3),
        get b() {
          act(r);
          return null;
        },
      }),
    );
    harmless(c, TypeError, middle, (r) =>
      r.optimizer.step({ a: new Proxy({}, { has: () => Boolean(act(r)) }) as Any, b: null }),
    );
    harmless(c, TypeError, middle, (r) =>
      r.optimizer.step(good(), {
        get gradScale() {
          act(r);
          return 1;
        },
      }),
    );
    harmless(c, TypeError, middle, (r) =>
      r.optimizer.addParamGroup({
        params: { d: numbers(4, 1) },
        get lr() {
          act(r);
          return 1;
        },
      } as Any),
    );
    harmless(c, TypeError, middle, (r) => {
      const dict = r.optimizer.stateDict();
      r.optimizer.loadStateDict({
        ...dict,
        get state() {
          act(r);
          return dict.state;
        },
      });
    });
  });

  test('a Schedule that detaches or resizes a param is detected', () => {
    for (const engine of ['native', 'js']) {
      const run = () => {
        const [w, v] = [numbers(8, 1), numbers(8, 2)];
        let armed = false;
        const optimizer = c.make([w, v], {
          lr: () => {
            if (armed) detach(w);
            return 0.1;
          },
        });
        optimizer.step([numbers(8, 3), numbers(8, 4)]);
        const before = bits(v);
        armed = true;
        refused(TypeError, /params\[0\]: a detached/, () => optimizer.step([numbers(8, 3), numbers(8, 4)]));
        expect([bits(v), optimizer.stepCount]).toEqual([before, 1]);
      };
      if (engine === 'native') run();
      else withEngine(referenceEngine, run);
    }
  });
});

test.each(titled(sample(variants, 12)))('%s: a kernel cannot change while memory is detached', (_, c) => {
  const [w, resize] = resizable(8, 1);
  const optimizer = c.make([w]);
  optimizer.step([numbers(8, 2)]);
  const before = snapshot(optimizer, []);
  resize(4);
  const dict = optimizer.stateDict() as Any;
  for (const [name, value] of Object.entries(c.options)) {
    if (typeof value !== 'boolean') continue;
    const group = optimizer.paramGroups[0] as Any;
    const other = { ...dict, stepCount: 99, paramGroups: [{ ...dict.paramGroups[0], [name]: !value }] };
    for (const change of [() => (group[name] = !value), () => optimizer.loadStateDict(other)]) {
      try {
        change();
        group[name] = value; // the same kernel, so nothing is registered
      } catch (error) {
        expect([TypeError, RangeError]).toContain((error as Error).constructor);
        expect(snapshot(optimizer, [])).toBe(before);
      }
      optimizer.loadStateDict(dict);
    }
  }
});
