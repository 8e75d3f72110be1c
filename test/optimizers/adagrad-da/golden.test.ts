import { AdagradDA } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new AdagradDA(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('AdagradDA', create, {
  defaults: {
    formula: truth.adagradDa,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 0.01': { options: { lr: 0.01 } },
      'l1 1e-3': { options: { l1: 1e-3 } },
      'eps 1e-10': { options: { eps: 1e-10 } },
      'centred at the first weights': {
        formula: {
          ...truth.adagradDa,
          stateNames: { ...truth.adagradDa.stateNames, w0: null },
          start: (_, w) => ({ w0: w }),
          update: (x, h, t) => {
            truth.adagradDa.update(x as never, h, t);
            x.w = x.w + (x['w0'] ?? Number.NaN);
          },
        },
      },
      'the mean of the gradients, without t': miswritten(truth.adagradDa, (x, h, t) => {
        truth.adagradDa.update(x, h, t);
        x.w = x.w / t;
      }),
      'the sum of squares before this gradient': miswritten(truth.adagradDa, (x, h, t) => {
        const { s, g } = x;
        truth.adagradDa.update(x, h, t);
        x.w = -(h.lr * x.a) / (h.eps + Math.sqrt(s));
        x.s = s + g ** 2;
      }),
    },
  },
  'lr 0.01/t, l1, skipped gradients': {
    formula: truth.adagradDa,
    options: { lr: decaying, l1: 0.1 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no l1': { options: { l1: 0 } },
      'l1 of the sum': miswritten(truth.adagradDa, (x, h, t) => truth.adagradDa.update(x, { ...h, l1: h.l1 / t }, t)),
      'a threshold alone': miswritten(truth.adagradDa, (x, h, t) => {
        truth.adagradDa.update(x, h, t);
        if (x.w !== 0) truth.adagradDa.update(Object.assign({ ...x }, { g: 0 }), { ...h, l1: 0 }, t);
        x.w = x.w === 0 ? 0 : -(h.lr * x.a) / (h.eps + Math.sqrt(x.s));
      }),
    },
  },
  'eps 0, l1, squares of 0': {
    formula: truth.adagradDa,
    options: { eps: 0, l1: 0.01 },
    wrong: { 'eps 1e-3': { options: { eps: 1e-3 } } },
  },
});
