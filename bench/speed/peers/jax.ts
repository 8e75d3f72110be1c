import type * as JaxModule from '@jax-js/jax';
import { versionOf } from '../../common/packages.js';
import { type Common, common, fillGrads, fillStart } from '../task.js';
import { everyNth, type Peer } from './peer.js';

type Jax = typeof JaxModule;
type Arr = JaxModule.Array;
/** A step. `stepSize` and `correction` depend on t. Returns the new weights and states. */
type Update = (np: Jax['numpy'], w: Arr, g: Arr, states: Arr[], stepSize: Arr, correction: Arr) => Arr[];

// jit makes one fused loop of each. jax-js counts references: `.ref` keeps an array that is used again.
const updates: Record<Common, Update> = {
  adam(np, w, g, [m, v], stepSize, correction) {
    const first = (m as Arr).mul(0.9).add(g.ref.mul(0.1));
    const second = (v as Arr).mul(0.999).add(np.square(g).mul(0.001));
    const step = first.ref.mul(stepSize).div(np.sqrt(second.ref).mul(correction).add(1e-8));
    return [w.sub(step), first, second];
  },
  sgd: (_np, w, g) => [w.sub(g.mul(0.01))],
  momentum(_np, w, g, [velocity]) {
    const v = (velocity as Arr).mul(0.9).sub(g.mul(0.01));
    return [w.add(v.ref), v];
  },
  adagrad(np, w, g, [sum]) {
    const s = (sum as Arr).add(np.square(g.ref));
    return [w.sub(g.mul(0.01).div(np.sqrt(s.ref).add(1e-10))), s];
  },
  rmsprop(np, w, g, [average]) {
    const s = (average as Arr).mul(0.9).add(np.square(g.ref).mul(0.1));
    return [w.sub(g.mul(1e-3).div(np.sqrt(s.ref).add(1e-8))), s];
  },
};
const initial: Record<Common, readonly number[]> = {
  adam: [0, 0],
  sgd: [],
  momentum: [0],
  adagrad: [0.1],
  rmsprop: [0],
};

export const jax: Peer = {
  id: 'jax-js',
  label: 'jax-js wasm',
  methods: common,
  manyTensors: false,
  async load() {
    const { init, defaultDevice } = await import('@jax-js/jax');
    await init('wasm');
    defaultDevice('wasm');
    return versionOf('@jax-js/jax');
  },
  async start(task) {
    const n = task.n;
    const method = task.method as Common;
    const { blockUntilReady, jit, numpy: np } = await import('@jax-js/jax');
    const update = jit((w: Arr, g: Arr, states: Arr[], stepSize: Arr, correction: Arr): Arr[] => {
      const result = updates[method](np, w, g, states, stepSize, correction);
      if (method !== 'adam') for (const unused of [stepSize, correction]) unused.dispose();
      return result;
    });
    const gradient = np.array(fillGrads(new Float32Array(n)));
    let live = [
      np.array(fillStart(new Float32Array(n))),
      ...initial[method].map((value) => np.array(new Float32Array(n).fill(value))),
    ];
    let t = 0;
    return {
      async run(steps) {
        const start = performance.now();
        for (let i = 0; i < steps; i++) {
          t++;
          const [w, ...states] = live as [Arr, ...Arr[]];
          live = update(w, gradient.ref, states, 1e-3 / (1 - 0.9 ** t), 1 / Math.sqrt(1 - 0.999 ** t));
          // Without waiting, steps queue for memory and are several times slower.
          await blockUntilReady(live);
        }
        return (performance.now() - start) / 1000;
      },
      sample: (stride) => everyNth((live[0] as Arr).ref.dataSync(), stride),
      dispose() {
        for (const array of [...live, gradient]) array.dispose();
        update.dispose();
      },
    };
  },
};
