import { Adan } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Adan(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('Adan', create, {
  defaults: {
    formula: truth.adan,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-2': { options: { lr: 1e-2 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'the paper’s β': { options: { betas: [0.02, 0.08, 0.01] } },
      'a difference from 0 in the first step': miswritten(truth.adan, (x, h, t) => {
        const first = t === 1 ? h.beta2 * x.g : 0;
        const g = x.g;
        truth.adan.update(x, h, t);
        if (t === 1) x.v = (1 - h.beta2) * g;
        x.s = x.s + (1 - h.beta3) * ((g + first) ** 2 - g ** 2) * (t === 1 ? 1 : 0);
      }),
      'no difference in n': miswritten(truth.adan, (x, h, t) => {
        const n = h.beta3 * x.s + (1 - h.beta3) * x.g ** 2;
        const ahead = Math.sqrt(n / (1 - h.beta3 ** t)) + h.eps;
        const { w } = x;
        const u = truth.adanDirection(x, h, t) * (Math.sqrt(x.s / (1 - h.beta3 ** t)) + h.eps);
        x.s = n;
        x.w = w - (h.lr * u) / ahead;
      }),
      'v without its β₂': miswritten(truth.adan, (x, h, t) => {
        const u = truth.adanDirection(x, h, t);
        const root = Math.sqrt(x.s / (1 - h.beta3 ** t)) + h.eps;
        x.w = x.w - h.lr * (u + ((1 - h.beta2) * x.v) / (1 - h.beta2 ** t) / root);
      }),
      'no bias corrections': miswritten(truth.adan, (x, h) => {
        truth.adan.update(x, h, Number.MAX_SAFE_INTEGER);
      }),
      'eps inside the root': miswritten(truth.adan, (x, h, t) => {
        const u = truth.adanDirection(x, h, t);
        const n = x.s / (1 - h.beta3 ** t);
        x.w = x.w - (h.lr * u * (Math.sqrt(n) + h.eps)) / Math.sqrt(n + h.eps);
      }),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.adan,
    options: { lr: decaying, betas: [0.8, 0.9, 0.95], weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': {
        formula: {
          ...truth.adan,
          decay: 'L2',
          update: (x, h, t) => truth.adan.update(x as never, { ...h, weightDecay: 0 }, t),
        },
      },
      noProx: { formula: truth.adanNoProx },
    },
  },
  'noProx, decay': {
    formula: truth.adanNoProx,
    options: { lr: decaying, noProx: true, weightDecay: 0.5 },
    wrong: { prox: { formula: truth.adan }, 'no decay': { options: { weightDecay: 0 } } },
  },
});
