import { COCOB } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new COCOB(params, options as never);
const decaying = (step: number): number => 1 / step;

golden('COCOB', create, {
  defaults: {
    formula: truth.cocob,
    options: {},
    lengths: LONG,
    wrong: {
      'alpha 10': { options: { alpha: 10 } },
      'no reward': miswritten(truth.cocob, (x, h, t) => {
        truth.cocob.update(x, h, t);
        x.R = 0;
      }),
      'a reward that may be negative': miswritten(truth.cocob, (x, h, t) => {
        const R = x.R - x.g * (x.w - x.w0);
        truth.cocob.update(x, h, t);
        x.R = R;
      }),
      'a reward from w, not from w − w₀': miswritten(truth.cocob, (x, h, t) => {
        const R = Math.max(x.R - x.g * x.w, 0);
        truth.cocob.update(x, h, t);
        x.w = x.w0 + ((x.w - x.w0) / (x.L + x.R)) * (x.L + R);
        x.R = R;
      }),
      'from the weight, not from w₀': miswritten(truth.cocob, (x, h, t) => {
        const { w } = x;
        truth.cocob.update(x, h, t);
        x.w = w + (x.w - x.w0);
      }),
      'the sum without L': miswritten(truth.cocob, (x, { alpha }) => {
        x.L = Math.max(x.L, Math.abs(x.g));
        x.G = x.G + Math.abs(x.g);
        x.R = Math.max(x.R - x.g * (x.w - x.w0), 0);
        x.theta = x.theta - x.g;
        x.w = x.w0 + (x.theta / (x.L * Math.max(x.G, alpha))) * (x.L + x.R);
      }),
    },
  },
  'alpha 2: the sum counts': {
    formula: truth.cocob,
    options: { alpha: 2 },
    gradients: 'plain',
    wrong: {
      'the largest gradient only': miswritten(truth.cocob, (x, h, t) => {
        truth.cocob.update(x, h, t);
        x.w = x.w0 + (x.theta / (x.L * h.alpha * x.L)) * (x.L + x.R);
      }),
      'the sum without L': miswritten(truth.cocob, (x, h, t) => {
        truth.cocob.update(x, h, t);
        x.w = x.w0 + (x.theta / (x.L * Math.max(x.G, h.alpha * x.L))) * (x.L + x.R);
      }),
    },
  },
  'lr 1/t, eps, L2, skipped gradients': {
    formula: truth.cocob,
    options: { lr: decaying, eps: 0.5, weightDecay: 0.05 },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'no decay': { options: { weightDecay: 0 } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'decoupled decay': { formula: { ...truth.cocob, decay: 'decoupled' } },
    },
  },
});
