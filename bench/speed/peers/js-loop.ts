import { stepping } from '../alternate.js';
import { type Common, common, fillGrads, fillStart, type Task, tensorsOf } from '../task.js';
import { everyNth, type Peer } from './peer.js';

// The fastest loops that we could write by hand in JavaScript: one loop over typed arrays, constants outside the loop, no
// allocation. Arithmetic is in float64, as V8 computes it, and rounds only when it stores. In float32, with Math.fround around
// each operation, the loops are up to 1.8 times slower. The fastest loop of each list on this machine is used.

type Loop = (w: Float32Array, g: Float32Array, a: Float32Array, b: Float32Array, t: number) => void;

const f = Math.fround;

const loops: Record<Common, readonly Loop[]> = {
  adam: [
    (w, g, m, v, t) => {
      const stepSize = 1e-3 / (1 - 0.9 ** t);
      const correction = 1 / Math.sqrt(1 - 0.999 ** t);
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const first = 0.9 * m[i]! + 0.1 * x;
        const second = 0.999 * v[i]! + 0.001 * x * x;
        m[i] = first;
        v[i] = second;
        w[i] = w[i]! - (stepSize * first) / (Math.sqrt(second) * correction + 1e-8);
      }
    },
    (w, g, m, v, t) => {
      const stepSize = 1e-3 / (1 - 0.9 ** t);
      const correction = 1 / Math.sqrt(1 - 0.999 ** t);
      let i = 0;
      for (const last = w.length - 1; i < last; i += 2) {
        const x0 = g[i]!;
        const x1 = g[i + 1]!;
        const first0 = 0.9 * m[i]! + 0.1 * x0;
        const first1 = 0.9 * m[i + 1]! + 0.1 * x1;
        const second0 = 0.999 * v[i]! + 0.001 * x0 * x0;
        const second1 = 0.999 * v[i + 1]! + 0.001 * x1 * x1;
        m[i] = first0;
        m[i + 1] = first1;
        v[i] = second0;
        v[i + 1] = second1;
        w[i] = w[i]! - (stepSize * first0) / (Math.sqrt(second0) * correction + 1e-8);
        w[i + 1] = w[i + 1]! - (stepSize * first1) / (Math.sqrt(second1) * correction + 1e-8);
      }
      if (i < w.length) {
        m[i] = 0.9 * m[i]! + 0.1 * g[i]!;
        v[i] = 0.999 * v[i]! + 0.001 * g[i]! * g[i]!;
        w[i] = w[i]! - (stepSize * m[i]!) / (Math.sqrt(v[i]!) * correction + 1e-8);
      }
    },
    (w, g, m, v, t) => {
      const stepSize = f(1e-3 / (1 - 0.9 ** t));
      const correction = f(1 / Math.sqrt(1 - 0.999 ** t));
      const [beta1, rest1, beta2, rest2, eps] = [f(0.9), f(0.1), f(0.999), f(0.001), f(1e-8)] as const;
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const first = f(f(beta1 * m[i]!) + f(rest1 * x));
        const second = f(f(beta2 * v[i]!) + f(rest2 * f(x * x)));
        m[i] = first;
        v[i] = second;
        w[i] = f(w[i]! - f(f(stepSize * first) / f(f(f(Math.sqrt(second)) * correction) + eps)));
      }
    },
  ],
  sgd: [
    (w, g) => {
      for (let i = 0; i < w.length; i++) w[i] = w[i]! - 0.01 * g[i]!;
    },
    (w, g) => {
      const lr = f(0.01);
      for (let i = 0; i < w.length; i++) w[i] = f(w[i]! - f(lr * g[i]!));
    },
  ],
  momentum: [
    (w, g, velocity) => {
      for (let i = 0; i < w.length; i++) {
        const v = 0.9 * velocity[i]! - 0.01 * g[i]!;
        velocity[i] = v;
        w[i] = w[i]! + v;
      }
    },
    (w, g, velocity) => {
      const [lr, momentum] = [f(0.01), f(0.9)] as const;
      for (let i = 0; i < w.length; i++) {
        const v = f(f(momentum * velocity[i]!) - f(lr * g[i]!));
        velocity[i] = v;
        w[i] = f(w[i]! + v);
      }
    },
  ],
  adagrad: [
    (w, g, sum) => {
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const s = sum[i]! + x * x;
        sum[i] = s;
        w[i] = w[i]! - (0.01 * x) / (Math.sqrt(s) + 1e-10);
      }
    },
    (w, g, sum) => {
      const [lr, eps] = [f(0.01), f(1e-10)] as const;
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const s = f(sum[i]! + f(x * x));
        sum[i] = s;
        w[i] = f(w[i]! - f(f(lr * x) / f(f(Math.sqrt(s)) + eps)));
      }
    },
  ],
  rmsprop: [
    (w, g, average) => {
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const s = 0.9 * average[i]! + 0.1 * x * x;
        average[i] = s;
        w[i] = w[i]! - (1e-3 * x) / (Math.sqrt(s) + 1e-8);
      }
    },
    (w, g, average) => {
      const [lr, alpha, rest, eps] = [f(1e-3), f(0.9), f(0.1), f(1e-8)] as const;
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const s = f(f(alpha * average[i]!) + f(rest * f(x * x)));
        average[i] = s;
        w[i] = f(w[i]! - f(f(lr * x) / f(f(Math.sqrt(s)) + eps)));
      }
    },
  ],
};

const initial = { adam: 0, sgd: 0, momentum: 0, adagrad: 0.1, rmsprop: 0 } as const;

/** The fastest of a method's loops, tried on arrays that stay in the cache. */
function fastest(method: Common): Loop {
  const arrays = Array.from({ length: 4 }, () => fillGrads(new Float32Array(4096)).map(Math.abs));
  const [w, g, a, b] = arrays as [Float32Array, Float32Array, Float32Array, Float32Array];
  const times = loops[method].map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 8; round++) {
    for (const [i, loop] of loops[method].entries()) {
      const { run } = stepping('', () => loop(w, g, a, b, 10));
      times[i] = Math.min(times[i] as number, run(50) as number);
    }
  }
  return loops[method][times.indexOf(Math.min(...times))] as Loop;
}

const chosen = new Map<Common, Loop>();

export const jsLoop: Peer = {
  id: 'js',
  label: 'JavaScript loop',
  methods: common,
  manyTensors: true,
  async load() {
    return `V8 ${process.versions.v8}`;
  },
  async start(task: Task) {
    const method = task.method as Common;
    const loop = chosen.get(method) ?? fastest(method);
    chosen.set(method, loop);
    const array = (length: number): Float32Array => new Float32Array(length);
    const params = tensorsOf(task, (length) => fillStart(array(length)));
    const grads = tensorsOf(task, (length) => fillGrads(array(length)));
    const states = [0, 1].map(() => tensorsOf(task, (length) => array(length).fill(initial[method])));
    let t = 0;
    const { run } = stepping('', () => {
      t++;
      for (let i = 0; i < params.length; i++) loop(params[i]!, grads[i]!, states[0]![i]!, states[1]![i]!, t);
    });
    return { run, sample: (stride) => everyNth(params[0]!, stride), dispose() {} };
  },
};
