// SOAP and Shampoo: which params are matrices, what their state is, and what a change of an option does to it.
import { describe, expect, test } from 'vitest';
import { allocate, createOptimizer, type Optimizer, Shampoo, SOAP } from '../../../lib/index.js';
import { type Any, bits, numbers, refused } from '../../support/rig.js';

const matrix = (rows: number, columns: number) => ({ data: numbers(rows * columns, 1), shape: [rows, columns] });
const make = () => ({
  hidden: matrix(4, 3),
  filter: { data: numbers(24, 2), shape: [2, 3, 2, 2] },
  bias: numbers(4, 2),
  line: { data: numbers(3, 3), shape: [3] },
});
const grads = (seed: number) => ({
  hidden: numbers(12, seed),
  filter: numbers(24, seed + 1),
  bias: numbers(4, seed + 2),
  line: numbers(3, seed + 3),
});
type Made = ReturnType<typeof make>;
const arrays = ({ hidden, filter, bias, line }: Made): Float32Array[] => [hidden.data, filter.data, bias, line.data];

const lengthsOf = (optimizer: Optimizer, key: string): Record<string, number> =>
  Object.fromEntries(
    Object.entries(optimizer.stateDict().state[key]!)
      .filter(([, value]) => value instanceof Float32Array)
      .map(([name, value]) => [name, (value as Float32Array).length]),
  );

const classes = { SOAP, Shampoo } as const;

describe.each(Object.entries(classes))('%s', (name, Class) => {
  const create = (params: Any, options: Any = {}): Optimizer => new (Class as Any)(params, options) as Optimizer;

  test('a tensor of more dimensions is a matrix of its first one and the rest', () => {
    const [filter, flat] = [make().filter, make().filter];
    const [a, b] = [create(filter), create({ data: flat.data, shape: [2, 12] })];
    for (let step = 0; step < 3; step++) {
      a.step(numbers(24, step));
      b.step(numbers(24, step));
    }
    expect(bits(filter.data)).toBe(bits(flat.data));
  });

  test('a param with one dimension gets what one without a shape gets', () => {
    const [line, plain] = [numbers(5, 1), numbers(5, 1)];
    const [a, b] = [create({ data: line, shape: [5] }), create(plain)];
    for (let step = 0; step < 3; step++) {
      a.step(numbers(5, step));
      b.step(numbers(5, step));
    }
    expect(bits(line)).toBe(bits(plain));
  });

  test('a loaded run continues with the same bits, and takes over the sizes of its state', () => {
    const [a, b] = [make(), make()];
    const options = { lr: 0.1, maxPreconditionerDim: 3, preconditionFrequency: 2, ema: 0.9 };
    const [first, second] = [create(a, options), create(b, { ema: 0.9 })];
    for (let step = 0; step < 4; step++) first.step(grads(step) as Any);
    for (const [i, array] of arrays(a).entries()) arrays(b)[i]!.set(array);
    second.loadStateDict(structuredClone(first.stateDict()));
    for (let step = 4; step < 7; step++) for (const optimizer of [first, second]) optimizer.step(grads(step) as Any);
    expect(arrays(b).map(bits)).toEqual(arrays(a).map(bits));
    expect(second.stateDict()).toEqual(first.stateDict());
  });

  test('a dict with arrays of other lengths is refused, and changes nothing', () => {
    const params = make();
    const optimizer = create(params);
    optimizer.step(grads(1) as Any);
    const before = optimizer.stateDict();
    const wrong = structuredClone(before) as Any;
    wrong.state.hidden.leftFactor = new Float32Array(15);
    refused(RangeError, /leftFactor.*15/, () => optimizer.loadStateDict(wrong));
    expect(optimizer.stateDict()).toEqual(before);
  });

  test('another maxPreconditionerDim starts the state anew', () => {
    const [a, b] = [make(), make()];
    const changed = create(a);
    changed.step(grads(1) as Any);
    changed.step(grads(2) as Any);
    for (const [i, array] of arrays(a).entries()) arrays(b)[i]!.set(array);
    changed.paramGroups[0]!['maxPreconditionerDim'] = 2;
    const fresh = create(b, { maxPreconditionerDim: 2 });
    for (let step = 3; step < 6; step++) for (const optimizer of [changed, fresh]) optimizer.step(grads(step) as Any);
    expect(bits(a.hidden.data)).toBe(bits(b.hidden.data));
    expect(bits(a.filter.data)).toBe(bits(b.filter.data));
  });

  test('another maxPreconditionerDim beyond both sides changes nothing', () => {
    const optimizer = create(make(), { maxPreconditionerDim: 100 });
    for (const step of [1, 2]) optimizer.step(grads(step) as Any);
    const before = optimizer.stateDict().state;
    optimizer.paramGroups[0]!['maxPreconditionerDim'] = 200;
    expect(optimizer.stateDict().state).toEqual(before);
    expect((before['hidden'] as Any).updates).toBeGreaterThan(0);
  });

  test('null, empty and sparse gradients', () => {
    const params = [matrix(0, 3), matrix(3, 0), matrix(2, 2), matrix(2, 3)];
    const optimizer = create(params);
    const before = bits(params[3]!.data);
    for (let step = 0; step < 3; step++)
      optimizer.step([params[0]!.data.slice(), params[1]!.data.slice(), numbers(4, 2), null] as Any);
    expect(bits(params[3]!.data)).toBe(before);
    expect(params[2]!.data.every(Number.isFinite)).toBe(true);
    refused(TypeError, new RegExp(`${name}.*sparse`), () =>
      create(matrix(3, 2)).step({ rows: Int32Array.of(0), values: numbers(2, 1) } as Any),
    );
  });

  test('gradients of 0 make no NaN', () => {
    const { data, shape } = matrix(3, 4);
    const before = data.slice();
    const optimizer = create({ data, shape }, { weightDecay: 0 });
    for (let step = 0; step < 3; step++) optimizer.step(new Float32Array(12) as Any);
    expect(bits(data)).toBe(bits(before));
  });

  test('gradients whose products overflow make no NaN, and NaN stays NaN', () => {
    const graftings = Class === Shampoo ? ['none', 'sgd', 'adagrad', 'rmsprop', 'adam'] : [undefined];
    for (const [size, grafting] of [1e18, 1e25, 1e38].flatMap((s) => graftings.map((g) => [s, g] as const))) {
      const { data, shape } = matrix(3, 4);
      const optimizer = create({ data, shape }, grafting === undefined ? {} : { grafting });
      for (let step = 0; step < 4; step++) optimizer.step(numbers(12, step).map((x) => x * size) as Any);
      expect(data.some(Number.isNaN), String(size)).toBe(false);
    }
    const { data, shape } = matrix(3, 4);
    const optimizer = create({ data, shape });
    for (let step = 0; step < 2; step++) optimizer.step(new Float32Array(12).fill(Number.NaN) as Any);
    expect(data.every(Number.isNaN)).toBe(true);
  });

  test('stepAsync has the bits of step', async () => {
    const shared = { data: allocate(12), shape: [4, 3] };
    shared.data.set(numbers(12, 1));
    const plain = matrix(4, 3);
    const [a, b] = [create(shared), create(plain)];
    const g = allocate(12);
    for (let step = 0; step < 3; step++) {
      g.set(numbers(12, step));
      await a.stepAsync(g as Any);
      b.step(numbers(12, step) as Any);
    }
    expect(bits(shared.data)).toBe(bits(plain.data));
  });

  test('options out of range are refused', () => {
    const wrong = (options: Any) => () => create(matrix(2, 2), options);
    refused(RangeError, /maxPreconditionerDim: 0, expected/, wrong({ maxPreconditionerDim: 0 }));
    refused(RangeError, /preconditionFrequency: 0, expected/, wrong({ preconditionFrequency: 0 }));
    refused(RangeError, /preconditionFrequency: 1.5, expected/, wrong({ preconditionFrequency: 1.5 }));
    refused(TypeError, /preconditionFrequency: function/, wrong({ preconditionFrequency: () => 1 }));
    refused(RangeError, /betas\[0\]: 1, expected \[0, 1\)/, wrong({ betas: [1, 0.9] }));
  });

  test('createOptimizer knows it', () => {
    expect(createOptimizer(name.toLowerCase() as 'soap', make())).toBeInstanceOf(Class);
  });
});

describe('state', () => {
  test('SOAP: two factors and two bases of a matrix; none for a side that is too long', () => {
    const soap = new SOAP(make(), { maxPreconditionerDim: 3 });
    const ofMatrix = { expAvg: 12, expAvgSq: 12, leftFactor: 0, rightFactor: 9, leftBasis: 0, rightBasis: 9 };
    expect(lengthsOf(soap as Any, 'hidden')).toEqual(ofMatrix);
    expect(lengthsOf(soap as Any, 'bias')).toEqual({ expAvg: 4, expAvgSq: 4 });
  });

  test('Shampoo: factors and roots of each block, and squares if grafting needs them', () => {
    const shampoo = new Shampoo(make(), { maxPreconditionerDim: 3 });
    // 4 rows are blocks of 3 and 1 rows; the vector of 4 as well.
    const ofMatrix = { expAvg: 12, leftFactor: 10, rightFactor: 18, leftRoot: 10, rightRoot: 18 };
    expect(lengthsOf(shampoo as Any, 'hidden')).toEqual(ofMatrix);
    expect(lengthsOf(shampoo as Any, 'bias')).toEqual({ expAvg: 4, leftFactor: 10, leftRoot: 10 });
    const grafted = new Shampoo(make(), { maxPreconditionerDim: 3, grafting: 'adam' });
    expect(lengthsOf(grafted as Any, 'hidden')).toEqual({ ...ofMatrix, squareAvg: 12 });
  });

  test('Shampoo: until the first root P is I, also where a lower preconditionFrequency begins in mid-run', () => {
    const [a, b] = [matrix(2, 2), matrix(2, 2)];
    const [changed, whole] = [a, b].map((p) => new Shampoo(p, { preconditionFrequency: 100, betas: [0.9, 0.999] }));
    for (let step = 1; step < 20; step++) {
      if (step === 16) changed!.paramGroups[0]!.preconditionFrequency = 10;
      for (const optimizer of [changed!, whole!]) optimizer.step(numbers(4, step));
      expect(bits(a.data), `step ${step}`).toBe(bits(b.data));
    }
    for (const optimizer of [changed!, whole!]) optimizer.step(numbers(4, 20));
    expect(bits(a.data)).not.toBe(bits(b.data));
  });

  test('the first step of SOAP moves and decays nothing', () => {
    const params = make();
    const before = arrays(params).map(bits);
    const soap = new SOAP(params, { lr: 0.1, weightDecay: 0.5 });
    soap.step(grads(1));
    expect(arrays(params).map(bits)).toEqual(before);
    soap.step(grads(2));
    for (const [i, array] of arrays(params).entries()) expect(bits(array)).not.toBe(before[i]);
  });
});
