// The option `hessian` of a step of Sophia: what it accepts, and that a step which is refused or skipped has no effect.
import { describe, expect, test } from 'vitest';
import { allocate, Sophia } from '../../../lib/index.js';
import type { Any } from '../../support/bad-input.js';
import { onEach } from '../../support/sparse.js';

const of = (...values: number[]): Float32Array => Float32Array.from(values);
const hessianOf = (sophia: Sophia, name: string): unknown => (sophia.stateDict().state[name] as Any).hessian;
const pair = (): Sophia => new Sophia({ a: of(1, 2), b: of(3) }, { betas: [0.5, 0.5] }) as Any;

test('each param has its estimate, or null', () => {
  onEach(() => {
    const sophia = pair() as Any;
    sophia.step({ a: of(1, 1), b: of(1) }, { hessian: { a: of(4, 8), b: null } });
    expect([hessianOf(sophia, 'a'), hessianOf(sophia, 'b')]).toEqual([of(2, 4), of(0)]);
    sophia.step({ a: of(1, 1), b: of(1) });
    sophia.step({ a: of(1, 1), b: of(1) }, { hessian: { a: of(0, 0), b: of(1) } });
    expect([hessianOf(sophia, 'a'), hessianOf(sophia, 'b')]).toEqual([of(1, 2), of(0.5)]);
  });
});

test('a param whose gradient is null keeps its H, as all its state', () => {
  onEach(() => {
    const sophia = pair() as Any;
    const hessian = { a: of(4, 8), b: of(2) };
    sophia.step({ a: of(1, 1), b: of(1) }, { hessian });
    const before = structuredClone(sophia.stateDict().state.a);
    sophia.step({ a: null, b: of(1) }, { hessian });
    expect([sophia.stateDict().state.a, hessianOf(sophia, 'b')]).toEqual([before, of(1.5)]);
    sophia.step({ a: of(1, 1), b: null }, { hessian });
    expect([hessianOf(sophia, 'a'), hessianOf(sophia, 'b')]).toEqual([of(3, 6), of(1.5)]);
  });
});

test('skipNonFinite skips an estimate that is not finite: nothing changes, and the next step is taken', () => {
  onEach(() => {
    const w = of(1, 1);
    const sophia = new Sophia(w, { skipNonFinite: true }) as Any;
    for (const options of [
      { hessian: of(Number.NaN, 4) },
      { hessian: of(1, Number.NEGATIVE_INFINITY) },
      { hessian: of(3e38, 1), hessianScale: 2 },
    ]) {
      const { applied, gradNorm } = sophia.step(of(1, 1), options);
      expect([applied, gradNorm]).toEqual([false, Number.NaN]);
    }
    expect([hessianOf(sophia, '0'), w, sophia.stepCount, sophia.skippedSteps]).toEqual([of(0, 0), of(1, 1), 0, 3]);
    expect(() => sophia.step(of(1, 1), { hessian: of(Number.NaN, 4), gradScale: 'x' })).toThrow('gradScale');
    expect(sophia.step(of(1, 1), { hessian: of(3e38, 1) }).applied).toBe(true);
    const without = new Sophia(of(1)) as Any; // as with gradients
    without.step(of(1), { hessian: of(Number.NaN) });
    expect(hessianOf(without, '0')).toEqual(of(Number.NaN));
  });
});

test('the error of stateDtype says what keeps the state in float32', () => {
  expect(() => new Sophia(of(1), { stateDtype: 'bfloat16' } as Any)).toThrow('the hessian of a step changes its state');
});

describe('an estimate that does not fit is refused, and nothing changes', () => {
  test.each([
    [of(1, 2), 'Sophia: hessian: Float32Array(2), expected a record of gradients by name'],
    [{ a: of(1, 2) }, 'Sophia: hessian["b"]: undefined, expected a Float32Array, or null to leave the param as it is'],
    [{ a: of(1), b: null }, 'Sophia: hessian["a"]: length 1, expected 2'],
    [{ a: [1, 2], b: null }, 'Sophia: hessian["a"]: [1, 2], expected a Float32Array or null'],
    [
      { a: { rows: Int32Array.of(0), values: of(1) }, b: null },
      'Sophia: hessian["a"]: an object, expected a Float32Array',
    ],
  ])('%o', (hessian, message) => {
    const sophia = pair() as Any;
    const before = JSON.stringify(sophia.stateDict());
    expect(() => sophia.step({ a: of(1, 1), b: of(1) }, { hessian })).toThrow(message);
    expect(JSON.stringify(sophia.stateDict())).toBe(before);
  });
});

test('a step that is refused or skipped leaves H as it was', () => {
  onEach(() => {
    const sophia = new Sophia(of(1), { skipNonFinite: true });
    expect(() => sophia.step(of(1, 2), { hessian: of(1) })).toThrow('grads');
    expect(() => sophia.step(of(1), { hessian: of(1), gradScale: Number.NaN })).toThrow('gradScale');
    expect(sophia.step(of(Number.NaN), { hessian: of(1) }).applied).toBe(false);
    expect(hessianOf(sophia as Any, '0')).toEqual(of(0));
    sophia.registerStepPostHook(() => {
      throw new Error('after the step');
    });
    expect(() => sophia.step(of(1), { hessian: of(1) })).toThrow('after the step');
    expect(hessianOf(sophia as Any, '0')).toEqual(of(Math.fround(1 - 0.99)));
  });
});

test('stepAsync takes no estimate', async () => {
  const [w, g] = [allocate(1), allocate(1)];
  const sophia = new Sophia(w);
  await expect(sophia.stepAsync(g, { hessian: of(1) } as Any)).rejects.toThrow('hessian');
  const step = sophia.stepAsync(g);
  expect(() => sophia.step(g, { hessian: of(1) })).toThrow('a step in flight');
  await step;
});

test('hessianScale multiplies the estimate in float32, and is refused without one', () => {
  onEach(() => {
    const [scaled, plain] = [new Sophia(of(1, 2)), new Sophia(of(1, 2))];
    scaled.step(of(1, 1), { hessian: of(0.3, 7), hessianScale: 0.1 });
    plain.step(of(1, 1), { hessian: of(0.3, 7).map((x) => Math.fround(0.1) * x) });
    expect(scaled.stateDict()).toEqual(plain.stateDict());
    for (const hessianScale of ['1', Number.NaN])
      expect(() => scaled.step(of(1, 1), { hessian: of(1, 1), hessianScale } as Any)).toThrow('Sophia: hessianScale');
    expect(() => scaled.step(of(1, 1), { hessianScale: 1 })).toThrow('hessianScale: unknown option');
    expect(scaled.stateDict()).toEqual(plain.stateDict());
  });
});
