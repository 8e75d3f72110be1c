// A momentum that is switched on, off and on again: by a Schedule, by assignment, by loading.
import { describe, expect, test } from 'vitest';
import { type Optimizer, RMSprop, SGD, type SGDOptions, type StateDict } from '../../../lib/index.js';
import { type Any, bits, numbers, refused } from '../../support/rig.js';
import { onEach } from '../../support/sparse.js';

const length = 40;
const gradient = (step: number): Float32Array => numbers(length, step);
const buffer = { lr: 0.1, momentumForm: 'buffer' } as const;

/** Runs steps `from` to `to`, with the momentum of each assigned before it. */
function assigned(optimizer: Optimizer, momentum: (t: number) => number, from: number, to: number): void {
  for (let t = from; t <= to; t++) {
    (optimizer.paramGroups[0] as Any).momentum = momentum(t);
    optimizer.step(gradient(t));
  }
}

function run(optimizer: Optimizer, from: number, to: number): void {
  for (let t = from; t <= to; t++) optimizer.step(gradient(t));
}

/** The weights of torch.optim.SGD in float64. */
function torch(momentum: (t: number) => number, dampening: number, nesterov: boolean, steps: number): number[] {
  return Array.from(numbers(length, 99), (start, i) => {
    let w = start;
    let b: number | undefined;
    for (let t = 1; t <= steps; t++) {
      const [g, mu] = [gradient(t)[i]!, momentum(t)];
      let d = g;
      if (mu !== 0) {
        b = b === undefined ? g : mu * b + (1 - dampening) * g;
        d = nesterov ? g + mu * b : b;
      }
      w -= 0.1 * d;
    }
    return w;
  });
}

const momenta: Record<string, (t: number) => number> = {
  'on from step 4': (t) => (t < 4 ? 0 : 0.9),
  'on, off, on': (t) => (t % 5 < 2 ? 0 : 0.9),
  'on, and off for good': (t) => (t < 6 ? 0.9 : 0),
  'off in the first step, then growing': (t) => 1 - 1 / t,
};

describe.each(Object.entries(momenta))('the buffer form, momentum %s', (_, momentum) => {
  test.each<[string, Partial<SGDOptions>]>([
    ['plain', {}],
    ['damped', { dampening: 0.5 }],
    ['Nesterov', { nesterov: true }],
  ])('%s: follows PyTorch, by a Schedule as by assignment', (_, more) => {
    onEach(() => {
      const w = numbers(length, 99);
      run(new SGD(w, { ...buffer, ...more, momentum }), 1, 15);
      const { dampening = 0, nesterov = false } = more as { dampening?: number; nesterov?: boolean };
      const expected = torch(momentum, dampening, nesterov, 15);
      for (let i = 0; i < length; i++) expect(Math.abs(w[i]! - expected[i]!)).toBeLessThan(2e-6);
      if (nesterov) return; // refuses an assigned 0
      const v = numbers(length, 99);
      assigned(new SGD(v, { ...buffer, ...more, momentum: 0 }), momentum, 1, 15);
      expect(bits(v)).toBe(bits(w));
    });
  });

  test('a run that is saved and loaded after any step is the same run', () => {
    const w = numbers(length, 99);
    run(new SGD(w, { ...buffer, momentum, dampening: 0.5 }), 1, 15);
    for (let at = 0; at <= 15; at++) {
      for (const byAssignment of [false, true]) {
        for (const live of [0, 0.7]) {
          const x = numbers(length, 99);
          const options = { ...buffer, dampening: 0.5 };
          const first = new SGD(x, { ...options, momentum: byAssignment ? 0 : momentum });
          if (byAssignment) assigned(first, momentum, 1, at);
          else run(first, 1, at);
          const second = new SGD(x, { ...options, momentum: byAssignment ? live : momentum });
          second.step(new Float32Array(length)); // the state that is replaced
          second.loadStateDict(structuredClone(first.stateDict()));
          if (byAssignment) assigned(second, momentum, at + 1, 15);
          else run(second, at + 1, 15);
          expect(bits(x), `saved after step ${at}`).toBe(bits(w));
        }
      }
    }
  });
});

describe('momentum that a dict switches on', () => {
  const expected = torch((t) => (t < 4 ? 0 : 0.9), 0.5, false, 8);
  const options = { ...buffer, dampening: 0.5 };
  const loads: Record<string, (dict: Any, w: Float32Array) => SGD> = {
    'as a number': (dict, w) => {
      dict.paramGroups[0].momentum = 0.9;
      const sgd = new SGD(w, { ...options, momentum: 0.8 });
      sgd.loadStateDict(dict);
      return sgd;
    },
    'with a buffer of null, as PyTorch writes it': (dict, w) => {
      dict.paramGroups[0].momentum = 0.9;
      dict.state[0].momentumBuffer = null;
      const sgd = new SGD(w, options);
      sgd.loadStateDict(dict);
      return sgd;
    },
    'by the Schedule that the optimizer keeps': (dict, w) => {
      const sgd = new SGD(w, { ...options, momentum: (t) => (t < 4 ? 0 : 0.9) });
      sgd.loadStateDict(dict, { schedules: 'keep' });
      return sgd;
    },
  };
  test.each(Object.entries(loads))('%s: the buffer begins with the gradient', (_, load) => {
    onEach(() => {
      const w = numbers(length, 99);
      const plain = new SGD(w, { ...options, momentum: 0 });
      run(plain, 1, 3);
      const dict = structuredClone(plain.stateDict());
      expect(dict.state[0], 'a plain run has no buffer').toEqual({ step: 3, momentum: 0 });
      run(load(dict, w), 4, 8);
      for (let i = 0; i < length; i++) expect(Math.abs(w[i]! - expected[i]!)).toBeLessThan(2e-6);
    });
  });

  test('a dict that has used its buffer and lacks it is refused', () => {
    const sgd = new SGD(new Float32Array(2), { ...options, momentum: 0.9 });
    sgd.step(Float32Array.of(1, 2));
    const dict = sgd.stateDict() as Any;
    const { momentumBuffer: _, ...rest } = dict.state[0];
    refused(TypeError, /state\[0\]\.momentumBuffer: undefined/, () =>
      sgd.loadStateDict({ ...dict, state: { 0: rest } } as StateDict),
    );
  });
});

test('the buffer form: a step with momentum 0 leaves the buffer alone, also if its gradient is infinite', () => {
  onEach(() => {
    for (const nesterov of [false, true]) {
      const momentum = (t: number) => (t === 2 ? 0 : 0.9);
      const sgd = new SGD(new Float32Array(3), { ...buffer, momentum, nesterov });
      sgd.step(Float32Array.of(1, -2, 3));
      const before = sgd.stateDict().state[0]!['momentumBuffer'];
      sgd.step(Float32Array.of(Number.POSITIVE_INFINITY, Number.NaN, 0));
      expect(sgd.stateDict().state[0]!['momentumBuffer']).toEqual(before);
    }
  });
});

test('the buffer begins anew when the form changes', () => {
  onEach(() => {
    const w = new Float32Array(1);
    const sgd = new SGD(w, { lr: 1, momentum: 0.5 });
    sgd.step(Float32Array.of(1)); // v = -1, w = -1
    const group = sgd.paramGroups[0] as Any;
    group.momentumForm = 'buffer';
    group.dampening = 0.5;
    sgd.step(Float32Array.of(4)); // b = 4, w = -5
    expect(w[0]).toBe(-5);
    sgd.step(Float32Array.of(2)); // b = 0.5*4 + 0.5*2 = 3, w = -8
    expect(w[0]).toBe(-8);
  });
});

describe.each<[string, (w: Float32Array, momentum: SGDOptions['momentum']) => Optimizer]>([
  ['SGD, velocity form', (w, momentum) => new SGD(w, { lr: 0.1, momentum })],
  ['RMSprop', (w, momentum) => new RMSprop(w, { momentum })],
  ['RMSprop, centered', (w, momentum) => new RMSprop(w, { momentum, centered: true })],
])('%s', (_, make) => {
  test('an assigned momentum of 0 does what a Schedule that gives 0 does', () => {
    onEach(() => {
      const momentum = (t: number) => (t % 4 === 3 ? 0 : 0.9);
      const [w, v] = [numbers(length, 99), numbers(length, 99)];
      run(make(w, momentum), 1, 12);
      assigned(make(v, 0.9), momentum, 1, 12);
      expect(bits(v)).toBe(bits(w));
    });
  });

  test('without momentum from the start it keeps no state for it', () => {
    const optimizer = make(new Float32Array(4), 0);
    optimizer.step(new Float32Array(4));
    const names = Object.keys(optimizer.stateDict().state[0]!);
    expect(names.filter((name) => name === 'velocity' || name === 'momentumBuffer')).toEqual([]);
  });
});
