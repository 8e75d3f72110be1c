import { MADGRAD } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new MADGRAD(params, options as never);

/** The update with another x, from a changed copy. */
function point(of: (x: truth.MadgradCell, h: { eps: number; rate: number }, t: number) => number) {
  return miswritten(truth.madgrad, (x, { lr, eps, momentum: mu }, t) => {
    const rate = lr + eps;
    x.G = x.G + rate * Math.sqrt(t) * x.g ** 2;
    x.z = x.z + rate * Math.sqrt(t) * x.g;
    x.w = mu * x.w + (1 - mu) * of(x, { eps, rate }, t);
  });
}

golden('MADGRAD', create, {
  defaults: {
    formula: truth.madgrad,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'momentum 0.8': { options: { momentum: 0.8 } },
      'a square root': point(({ w0, z, G }, { eps }) => w0 - z / (Math.sqrt(G) + eps)),
      'eps inside the root': point(({ w0, z, G }, { eps }) => w0 - z / Math.cbrt(G + eps)),
      'no √t': miswritten(truth.madgrad, (x, h, t) =>
        truth.madgrad.update(x, { ...h, lr: (h.lr + h.eps) / Math.sqrt(t) - h.eps }, t),
      ),
      '√(t−1), as t from 0': miswritten(truth.madgrad, (x, h, t) => truth.madgrad.update(x, h, t - 1)),
      'lr without eps': miswritten(truth.madgrad, (x, h, t) => truth.madgrad.update(x, { ...h, lr: h.lr - h.eps }, t)),
      'from the weight, not from w₀': miswritten(truth.madgrad, (x, h, t) => {
        truth.madgrad.update(Object.assign(x, { w0: x.w }), h, t);
      }),
    },
  },
  'lr 1e-3/t, L2, skipped gradients': {
    formula: truth.madgrad,
    options: { lr: (step) => 1e-3 / step, eps: 0.01, momentum: 0.5, weightDecay: 0.05 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes((step) => 1e-3 / step),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: truth.madgradDecoupled },
    },
  },
  'decoupledWeightDecay, lr 0 in every third step': {
    formula: truth.madgradDecoupled,
    options: { lr: (step) => (step % 3 === 0 ? 0 : 0.01), weightDecay: 0.5, decoupledWeightDecay: true },
    wrong: {
      'L2 decay': { formula: truth.madgrad },
      'decay before the update': { formula: { ...truth.madgrad, decay: 'decoupled' } },
      'eps while lr is 0': { options: { lr: (step) => (step % 3 === 0 ? 1e-30 : 0.01) } },
    },
  },
  'eps 0, momentum 0': {
    formula: truth.madgrad,
    options: { eps: 0, momentum: 0 },
    wrong: { 'eps 1e-6': { options: { eps: 1e-6 } } },
  },
});
