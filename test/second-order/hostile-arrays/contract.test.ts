// Arrays whose methods and properties the user has redefined: nothing of them is called, and the bits are the same.
import { expect, test } from 'vitest';
import { checkGradient, LBFGS, minimize, minimizeAsync, SFO } from '../../../lib/index.js';
import { bytes, f32, f64 } from '../../support/arrays.js';
import type { Any } from '../../support/bad-input.js';
import { rosenbrock } from '../../support/second-order/functions.js';
import type { Numbers } from '../../support/second-order/problems.js';

const prototype = Object.getPrototypeOf(Float32Array.prototype) as object;
const redefined: readonly PropertyKey[] = [
  ...Reflect.ownKeys(prototype).filter((key) => key !== 'constructor' && key !== 'toString'),
  'BYTES_PER_ELEMENT',
];

/** Redefines every property of an array, to take its memory away when it is read. `constructor` is read by errors. */
function trap<T extends Numbers>(array: T): T {
  const buffer = array.buffer as ArrayBuffer;
  const spring = () => {
    if (buffer.byteLength > 0) structuredClone(buffer, { transfer: [buffer] });
    throw new Error('a property of the array was read');
  };
  for (const key of redefined) Object.defineProperty(array, key, { get: spring, configurable: true });
  Object.defineProperty(array, 'constructor', {
    value: Object.defineProperty({}, Symbol.species, { get: spring }),
    configurable: true,
  });
  return array;
}

const terms = (f: (x: Numbers, grad: Numbers) => number) => ({
  N: 3,
  f: (_: number, x: Numbers, grad: Numbers) => f(x, grad),
});
/** Rosenbrock's function, which sets a trap on all arrays that it gets. */
const trapping = (x: Numbers, grad: Numbers): number => {
  const value = rosenbrock(x, grad);
  for (const array of [x, grad]) if (!Object.hasOwn(array, 'set')) trap(array);
  return value;
};

const methods: [string, Any][] = [
  ['lbfgs', {}],
  ['lbfgs on terms', { onPass() {} }],
  ['sfo', { method: 'sfo' }],
  ['adam', { method: 'adam', maxIterations: 20 }],
  ['sgd on terms', { method: 'sgd', lr: 1e-4, passes: 5 }],
];

test.each(methods)('minimize and minimizeAsync, %s', async (name, options) => {
  for (const x0 of /adam|sgd/.test(name) ? [f32(-1.2, 1)] : [f32(-1.2, 1), f64(-1.2, 1)]) {
    const problem = (f: (x: Numbers, grad: Numbers) => number): Any => (/terms|sfo/.test(name) ? terms(f) : f);
    const copied: Numbers[] = [];
    const callback = ({ x }: { x: Numbers }) => {
      copied.push(x);
      trap(x);
    };
    const truth = minimize<Any>(problem(rosenbrock), x0, options);
    const run = minimize<Any>(problem(trapping), trap(x0.slice()), { ...options, callback });
    expect(copied.length).toBe(run.iterations);
    expect(bytes(run.x)).toEqual(bytes(truth.x));
    expect(run).toEqual(truth);
    expect(await minimizeAsync<Any>(problem(trapping), trap(x0.slice()), options)).toEqual(truth);
  }
});

test('checkGradient', () => {
  const truth = checkGradient(rosenbrock, f64(-1.2, 1));
  expect(checkGradient<Numbers>(trapping, trap(f64(-1.2, 1)))).toEqual(truth);
});

test('LBFGS: params, gradients and the arrays of a state dict', () => {
  const run = (wrap: <T extends Numbers>(array: T) => T) => {
    const [x, grads] = [f32(-1.2, 1), f32(0, 0)];
    const closure = () => rosenbrock(x, grads);
    const options = { grads: wrap(grads), maxIterations: 7 };
    const lbfgs = new LBFGS(wrap(x), options);
    const results = [lbfgs.step(closure), lbfgs.step(closure)];
    const dict = lbfgs.stateDict();
    const resumed = new LBFGS(x, options);
    for (const state of Object.values(dict.state))
      for (const value of Object.values(state)) if (typeof value === 'object') wrap(value);
    resumed.loadStateDict(dict);
    results.push(resumed.step(closure));
    return { results, at: [x[0], x[1], grads[0], grads[1]] };
  };
  expect(run(trap)).toEqual(run((array) => array));
});

test('SFO: params, the gradients that f gets, and the arrays of a state dict', () => {
  const run = (wrap: <T extends Numbers>(array: T) => T) => {
    const x: Float32Array = f32(-1.2, 1);
    const options = {
      N: 4,
      f(i: number, at: Float32Array, grads: Float32Array) {
        const value = rosenbrock(at, grads) + i;
        if (!Object.hasOwn(grads, 'set')) wrap(grads);
        return value;
      },
    };
    const sfo = new SFO(wrap(x), options);
    const results = Array.from({ length: 20 }, () => sfo.step());
    const dict = sfo.stateDict() as Any;
    const resumed = new SFO(x, options);
    for (const value of [
      ...Object.values(dict.state[0]),
      ...Object.values(dict.model),
      ...Object.values(dict.model.terms),
    ])
      if (ArrayBuffer.isView(value)) wrap(value as Numbers);
    resumed.loadStateDict(dict);
    results.push(...Array.from({ length: 20 }, () => resumed.step()));
    return { results, at: [x[0], x[1]] };
  };
  expect(run(trap)).toEqual(run((array) => array));
});
