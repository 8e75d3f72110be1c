import { ProximalAdagrad } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new ProximalAdagrad(params, options as never);
const decaying = (step: number): number => 0.01 / step;

/** The update with another shrinkage of z. */
function shrunk(
  of: (z: number, h: { lr: number; l1: number; eps: number; H: number }) => number,
): ReturnType<typeof miswritten> {
  return miswritten(truth.proximalAdagrad, (x, { lr, l1, eps }) => {
    x.s = x.s + x.g ** 2;
    const H = eps + Math.sqrt(x.s);
    x.w = of(x.w - (lr * x.g) / H, { lr, l1, eps, H });
  });
}
const soft = (z: number, by: number): number => Math.sign(z) * Math.max(Math.abs(z) - by, 0);

golden('ProximalAdagrad', create, {
  defaults: {
    formula: truth.proximalAdagrad,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 0.01': { options: { lr: 0.01 } },
      'l1 1e-3': { options: { l1: 1e-3 } },
      'eps 1e-10': { options: { eps: 1e-10 } },
      'eps inside the root': miswritten(truth.proximalAdagrad, (x, { lr, eps }) => {
        x.s = x.s + x.g ** 2;
        x.w = x.w - (lr * x.g) / Math.sqrt(eps + x.s);
      }),
      'the sum before this gradient': miswritten(truth.proximalAdagrad, (x, { lr, eps }) => {
        x.w = x.w - (lr * x.g) / (eps + Math.sqrt(x.s));
        x.s = x.s + x.g ** 2;
      }),
    },
  },
  'lr 0.01/t, l1, skipped gradients': {
    formula: truth.proximalAdagrad,
    options: { lr: decaying, l1: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'no l1': { options: { l1: 0 } },
      'l1 without H': shrunk((z, { lr, l1 }) => soft(z, lr * l1)),
      'l1 without lr': shrunk((z, { l1, H }) => soft(z, l1 / H)),
      'a threshold alone': shrunk((z, { lr, l1, H }) => (Math.abs(z) <= (lr * l1) / H ? 0 : z)),
      'no threshold': shrunk((z, { lr, l1, H }) => z - (Math.sign(z) * lr * l1) / H),
      'l1 in the gradient': miswritten(truth.proximalAdagrad, (x, h, t) => {
        truth.proximalAdagrad.update(Object.assign(x, { g: x.g + h.l1 * Math.sign(x.w) }), { ...h, l1: 0 }, t);
      }),
    },
  },
  'eps 0, l1, squares of 0': {
    formula: truth.proximalAdagrad,
    options: { eps: 0, l1: 0.01 },
    wrong: { 'eps 1e-3': { options: { eps: 1e-3 } } },
  },
  'eps 0': {
    formula: truth.proximalAdagrad,
    options: { eps: 0 },
    wrong: { 'eps 1e-3': { options: { eps: 1e-3 } } },
  },
});
