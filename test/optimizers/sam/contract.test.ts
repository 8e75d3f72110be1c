import { describe, expect, test } from 'vitest';
import { Adam, allocate, Lookahead, SAM, SGD } from '../../../lib/index.js';

const w0 = [3, 4, 0.1];

function rig(options: object = {}) {
  const w = Float32Array.from(w0);
  const g = new Float32Array(3);
  const base = new Adam(w, { lr: 0.1, ...options });
  const sam = new SAM(base, { rho: 0.5, grads: g });
  return { w, g, base, sam };
}

test('step calls the closure twice and gives the steps of firstStep and secondStep', () => {
  const [a, b] = [rig(), rig()];
  let calls = 0;
  for (let s = 0; s < 3; s++) {
    const { loss, applied } = a.sam.step(() => {
      calls++;
      a.g.set(a.w);
      return a.w[0]!;
    });
    expect([loss > 0, applied]).toEqual([true, true]);
    b.sam.firstStep(b.w.slice());
    b.sam.secondStep(b.w.slice());
  }
  expect(calls).toBe(6);
  expect(a.w).toEqual(b.w);
  expect(a.sam.stateDict()).toEqual(b.sam.stateDict());
  expect(a.sam.stepCount).toBe(3);
});

test('the params are put back bit by bit, and the base steps from there', () => {
  const { w, sam, base } = rig();
  const twin = Float32Array.from(w0);
  const plain = new Adam(twin, { lr: 0.1 });
  const second = Float32Array.of(0.3, -0.1, 1e-3);
  sam.firstStep(Float32Array.of(1e-30, 2, -3));
  expect(w).not.toEqual(Float32Array.from(w0));
  sam.secondStep(second);
  plain.step(second);
  expect(w).toEqual(twin);
  expect(base.stateDict()).toEqual(plain.stateDict());
});

test('a null gradient leaves its param, and gradScale and maximize turn the climb', () => {
  const [a, b] = [Float32Array.of(1, 2), Float32Array.of(3)];
  const sam = new SAM(new SGD([{ params: a, maximize: true }, { params: b }], { lr: 1 }), { rho: 5 });
  expect(sam.firstStep([Float32Array.of(3, 4), null], { gradScale: 2 }).gradNorm).toBe(10);
  expect([Array.from(a), Array.from(b)]).toEqual([[-2, -2], [3]]);
  sam.secondStep([null, Float32Array.of(1)]);
  expect([Array.from(a), Array.from(b)]).toEqual([[1, 2], [2]]);
});

test('zeroGrads: gradients that a backward pass adds to are 0 before each of the two', () => {
  const [w, g] = [Float32Array.of(3, 4), new Float32Array(2)];
  const adding = new SAM(new SGD(w, { lr: 0.1, zeroGrads: true }), { grads: g });
  const found: number[] = [];
  const { gradNorm } = adding.firstStep(g.map((_, i) => w[i]!));
  expect(gradNorm).toBe(5);
  adding.secondStep(g);
  w.set([3, 4]);
  adding.step(() => {
    found.push(...g);
    for (let i = 0; i < 2; i++) g[i]! += w[i]!;
    return 1;
  });
  expect([...found, ...g]).toEqual([0, 0, 0, 0, 0, 0]);
  const other = Float32Array.of(3, 4);
  const setting = new SAM(new SGD(other, { lr: 0.1 }), { grads: g });
  setting.step(() => {
    g.set(other);
    return 1;
  });
  expect(w).toEqual(other);
});

test('between the two steps, everything else is an error, and the params climb once', () => {
  const { w, sam, base } = rig();
  const g = Float32Array.of(1, 1, 1);
  expect(() => sam.secondStep(g)).toThrow(
    'SAM.secondStep: this: params that have not climbed, expected firstStep(grads) before',
  );
  sam.firstStep(g);
  const climbed = w.slice();
  expect(() => base.step(g)).toThrow(TypeError);
  for (const action of [
    () => sam.firstStep(g),
    () => sam.step(() => 1),
    () => sam.addParamGroup({ params: new Float32Array(1) } as never),
  ])
    expect(action).toThrow('SAM: this: params that have climbed, expected secondStep(grads) first');
  expect(w).toEqual(climbed);
  sam.secondStep(g);
  expect(base.stepCount).toBe(1);
  base.step(g); // allowed again
});

describe('bad input', () => {
  test('is refused before anything changes', () => {
    const { w, sam } = rig();
    const sparse = { rows: Int32Array.of(0), values: Float32Array.of(1) };
    for (const grads of [new Float32Array(2), 'x', w, sparse])
      expect(() => sam.firstStep(grads as never), String(grads)).toThrow(/expected/);
    expect(() => sam.firstStep(new Float32Array(3), { gradScale: Number.NaN })).toThrow(RangeError);
    expect(w).toEqual(Float32Array.from(w0));
    expect(() => new SAM({} as never)).toThrow(TypeError);
    expect(() => new SAM(new Lookahead(new SGD(w, { lr: 1 })) as never)).toThrow(TypeError);
    expect(() => new SAM(new SGD(w, { lr: 1 }), { rho: -1 })).toThrow('SAM: rho: -1, expected [0, inf)');
    expect(() => new SAM(new SGD(w, { lr: 1 }), { roh: 1 } as never)).toThrow('rho');
    expect(() => new SAM(new SGD(w, { lr: 1 })).step(() => 1)).toThrow('SAM.step: grads: undefined');
  });

  test('and errors of the second step leave the params where they were', () => {
    const { w, sam, g } = rig();
    sam.firstStep(Float32Array.of(1, 2, 3));
    expect(() => sam.secondStep(new Float32Array(2))).toThrow(RangeError);
    expect(w).toEqual(Float32Array.from(w0));
    let calls = 0;
    const fails = (): number => {
      g.fill(1);
      if (++calls === 2) throw new Error('no');
      return 1;
    };
    expect(() => sam.step(fails)).toThrow('no');
    expect(w).toEqual(Float32Array.from(w0));
    expect(sam.stepCount).toBe(0);
    expect(() => sam.step(() => 'x' as never)).toThrow(TypeError);
  });
});

test('it saves and loads the state of the base, prints both, and disposes of it', () => {
  const [a, b] = [rig(), rig()];
  for (let s = 0; s < 2; s++) a.sam.step(() => a.g.fill(1).length);
  b.w.set(a.w);
  b.sam.loadStateDict(structuredClone(a.sam.stateDict()));
  for (const { sam, g } of [a, b]) sam.step(() => g.fill(0.5).length);
  expect(b.w).toEqual(a.w);
  expect(() => a.sam.loadStateDict({ version: 1, optimizer: 'Adam' } as never)).toThrow(TypeError);
  expect(String(a.sam)).toMatch(/^SAM \(\n {2}rho: 0\.5\n/);
  const before = a.w.slice();
  a.sam.firstStep(Float32Array.of(1, 1, 1));
  a.sam.dispose();
  expect(a.w).toEqual(before);
  expect(() => a.sam.stepCount).toThrow(TypeError);
});

test('a run that was saved between the two steps goes on with the second', () => {
  const [a, b] = [rig(), rig()];
  a.sam.step(() => a.g.fill(1).length);
  a.sam.firstStep(Float32Array.of(1, 2, -3));
  const dict = structuredClone(a.sam.stateDict());
  b.w.set(a.w); // the params that have climbed
  b.sam.loadStateDict(dict);
  const g = Float32Array.of(0.5, -1, 2);
  expect(() => b.sam.firstStep(g)).toThrow('params that have climbed');
  for (const { sam } of [a, b]) sam.secondStep(g);
  expect(b.w).toEqual(a.w);
  expect(b.sam.stateDict()).toEqual(a.sam.stateDict());
  expect(a.sam.stateDict()).not.toHaveProperty('before');
  for (const before of [{ 0: new Float32Array(2) }, { 1: new Float32Array(3) }, { 0: [1, 2, 3] }])
    expect(() => b.sam.loadStateDict({ ...dict, before } as never)).toThrow(/SAM\.loadStateDict: before/);
  expect(b.sam.stateDict()).toEqual(a.sam.stateDict());
});

test('a state that a hook saves is that after the step; none is loaded between the two steps', () => {
  const { w, g, sam } = rig();
  let saved: ReturnType<typeof sam.stateDict> | undefined;
  sam.registerStepPostHook(() => {
    saved = sam.stateDict();
  });
  g.fill(1);
  sam.firstStep(g);
  sam.secondStep(g);
  expect(saved).toEqual(sam.stateDict());
  const resumed = rig();
  resumed.w.set(w);
  resumed.sam.loadStateDict(saved!);
  for (const each of [sam, resumed.sam]) {
    each.firstStep(g);
    const climbed = resumed.w.slice();
    expect(() => each.loadStateDict(saved!)).toThrow(/params that have climbed/);
    expect(resumed.w).toEqual(climbed);
    each.secondStep(g);
  }
  expect(resumed.w).toEqual(w);
});

test('hooks run around the second step, with this SAM and the params put back', () => {
  const { w, sam } = rig();
  const seen: unknown[] = [];
  const remove = sam.registerStepPreHook((optimizer, grads) =>
    seen.push(optimizer, [...(grads as Float32Array)], w[0]),
  );
  sam.registerStepPostHook((optimizer, { applied }) => seen.push(optimizer, applied));
  sam.firstStep(Float32Array.of(1, 1, 1));
  sam.secondStep(Float32Array.of(1, 2, 3));
  expect(seen).toEqual([sam, [1, 2, 3], 3, sam, true]);
  remove();
  expect(() => sam.registerStepPreHook(1 as never)).toThrow('SAM.registerStepPreHook: hook');
});

test('it writes no params while another optimizer steps them on another thread', async () => {
  const w = allocate(3);
  w.set(w0);
  const [g, ones] = [allocate(3), Float32Array.of(1, 1, 1)];
  const other = new SGD(w, { lr: 1 });
  const sam = new SAM(new SGD(w, { lr: 1 }), { rho: 0.5 });
  const first = other.stepAsync(g);
  expect(() => sam.firstStep(ones)).toThrow('the memory of a step in flight');
  await first;
  expect(w).toEqual(Float32Array.from(w0));
  sam.firstStep(ones);
  const climbed = w.slice();
  const second = other.stepAsync(g);
  for (const action of [() => sam.secondStep(ones), () => sam.dispose()])
    expect(action).toThrow('the memory of a step in flight');
  await second;
  expect(w).toEqual(climbed);
  sam.secondStep(new Float32Array(3)); // goes on
  expect(w).toEqual(Float32Array.from(w0));
});

test('a getter among the options that climbs does not lose the params', () => {
  const { w, sam } = rig();
  const g = Float32Array.of(1, 2, 3);
  const options = {
    get gradScale(): number {
      sam.firstStep(g);
      return 1;
    },
  };
  expect(() => sam.firstStep(g, options)).toThrow('SAM: this: params that have climbed');
  expect(() => sam.secondStep(new Float32Array(2))).toThrow(RangeError);
  expect(w).toEqual(Float32Array.from(w0));
});

describe('dispose', () => {
  test('in a hook changes nothing, and neither does a second step there', () => {
    const { w, sam, base } = rig();
    const twin = rig();
    const g = Float32Array.of(1, 2, 3);
    const errors: unknown[] = [];
    const attempt = (action: () => unknown): void => {
      try {
        action();
      } catch (error) {
        errors.push(error);
      }
    };
    base.registerStepPostHook(() => {
      attempt(() => sam.dispose());
      attempt(() => sam.secondStep(g));
    });
    for (const each of [sam, twin.sam]) {
      each.firstStep(g);
      each.secondStep(g);
    }
    expect(errors.map(String)).toEqual([
      expect.stringContaining('in the middle of a hook'),
      expect.stringContaining('in the middle of a hook'),
    ]);
    expect(w).toEqual(twin.w);
    sam.firstStep(g);
    expect(() => base.step(g)).toThrow('a step between firstStep and secondStep'); // the guard is there still
    sam.dispose();
    expect(w).toEqual(twin.w);
  });

  test('works with a param that was detached after the climb, and the others are back', () => {
    const make = () => {
      const [a, b] = [Float32Array.of(1, 2), Float32Array.of(3)];
      const sam = new SAM(new SGD({ a, b }, { lr: 1 }), { rho: 5 });
      sam.firstStep({ a: Float32Array.of(1, 1), b: Float32Array.of(1) });
      structuredClone(a.buffer, { transfer: [a.buffer] });
      return { b, sam };
    };
    const stepped = make();
    expect(() => stepped.sam.secondStep({ a: new Float32Array(2), b: new Float32Array(1) })).toThrow('params["a"]');
    expect(stepped.b[0]).toBe(3);
    const { b, sam } = make();
    sam.dispose();
    expect(b[0]).toBe(3);
    expect(() => sam.stepCount).toThrow('disposed');
  });
});

test('step: a closure that climbs by itself leaves the params where they were', () => {
  const { w, g, sam } = rig();
  const climb = () => {
    g.set(w);
    sam.firstStep(g);
    return 1;
  };
  expect(() => sam.step(climb)).toThrow('SAM: this: params that have climbed');
  expect(w).toEqual(Float32Array.from(w0));
  sam.step(() => {
    g.set(w);
    return 1;
  });
  expect(sam.stepCount).toBe(1);
});

test('a state that was saved between the two steps can be replaced, until a step has moved the params', () => {
  const { w, g, sam } = rig();
  const before = sam.stateDict();
  g.set(w);
  sam.firstStep(g);
  const between = sam.stateDict();
  expect(() => sam.loadStateDict(before)).toThrow('params that have climbed');
  sam.secondStep(g);
  w.set([100, 100, 100]);
  sam.loadStateDict(between);
  sam.loadStateDict(before); // as the undo of a load that failed elsewhere
  expect(sam.stateDict()).toEqual(before);
  expect(w).toEqual(Float32Array.of(100, 100, 100));
  sam.firstStep(g);
  expect(() => sam.loadStateDict(before)).toThrow('params that have climbed');
});
