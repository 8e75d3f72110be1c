import { ADOPT } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new ADOPT(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('ADOPT', create, {
  defaults: {
    formula: truth.adopt,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-2': { options: { lr: 1e-2 } },
      'β₂ 0.999': { options: { betas: [0.9, 0.999] } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'no clip': { formula: truth.adoptUnclipped },
      'a first step that moves': miswritten(truth.adopt, (x, h, t) => {
        truth.adopt.update(x, h, t);
        if (t === 1) x.w = x.w - h.lr * (1 - h.beta1) * Math.sign(x.g);
      }),
      's from 0': miswritten(truth.adopt, (x, h, t) => {
        truth.adopt.update(x, h, t);
        if (t === 1) x.s = (1 - h.beta2) * x.g ** 2;
      }),
      'the s of this step': miswritten(truth.adopt, (x, h, t) => {
        if (t > 1) x.s = h.beta2 * x.s + (1 - h.beta2) * x.g ** 2;
        const { s } = x;
        truth.adopt.update(x, h, t);
        if (t > 1) x.s = s;
      }),
      'a clip by t': miswritten(truth.adopt, (x, h, t) => {
        const { s } = x;
        if (t === 1) return truth.adopt.update(x, h, t);
        truth.adopt.update(x, h, t + 1);
        x.s = h.beta2 * s + (1 - h.beta2) * x.g ** 2;
      }),
      'a sum with eps, not a maximum': miswritten(truth.adopt, (x, { lr, beta1, beta2, eps }, t) => {
        if (t > 1) {
          const limit = (t - 1) ** 0.25;
          x.m = beta1 * x.m + (1 - beta1) * Math.min(Math.max(x.g / (Math.sqrt(x.s) + eps), -limit), limit);
          x.w = x.w - lr * x.m;
        }
        x.s = t === 1 ? x.g ** 2 : beta2 * x.s + (1 - beta2) * x.g ** 2;
      }),
    },
  },
  'lr 0.01/t, L2, skipped gradients': {
    formula: truth.adopt,
    options: { lr: (step) => 1e-3 / step, betas: [0.8, 0.95], eps: 0.01, weightDecay: 0.05 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes((step) => 1e-3 / step),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: truth.adoptDecoupled },
    },
  },
  decoupledWeightDecay: {
    formula: truth.adoptDecoupled,
    options: { lr: decaying, weightDecay: 0.5, decoupledWeightDecay: true },
    wrong: {
      ...lrMistakes(decaying),
      'L2 decay': { formula: truth.adopt },
      'a first step that decays': { formula: { ...truth.adopt, decay: 'decoupled' } },
    },
  },
  'useClipping: false, plain gradients': {
    formula: truth.adoptUnclipped,
    options: { useClipping: false, eps: 0.1 },
    gradients: 'plain',
    wrong: { 'a clip': { formula: truth.adopt } },
  },
});
