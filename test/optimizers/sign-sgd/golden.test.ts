import { SignSGD, Signum } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const signSgd: Create = (params, options) => new SignSGD(params, options as never);
const signum: Create = (params, options) => new Signum(params, options as never);
const decaying = (step: number): number => 0.01 / step;

const decayMistakes = {
  'no decay': { options: { weightDecay: 0 } },
  'decay after the step': miswritten({ ...truth.signum, decay: 'none' }, (x, h, t) => {
    truth.signum.update(x, h, t);
    x.w = x.w * (1 - h.lr * h.weightDecay);
  }),
};

golden('SignSGD', signSgd, {
  defaults: {
    formula: truth.signSgd,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-2': { options: { lr: 1e-2 } },
      'no sign': miswritten(truth.signSgd, (x, { lr }) => {
        x.w = x.w - lr * x.g;
      }),
      'a sign of 0 that is 1': miswritten(truth.signSgd, (x, { lr }) => {
        x.w = x.w - lr * (x.g >= 0 ? 1 : -1);
      }),
      Signum: { formula: { ...truth.signum, defaults: { lr: 1e-3, momentum: 0.9 } } },
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.signSgd,
    options: { lr: decaying, weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': { formula: { ...truth.signSgd, decay: 'L2' } },
    },
  },
  'momentum 0.5': {
    formula: truth.signum,
    options: { momentum: 0.5 },
    wrong: { 'no momentum': { formula: truth.signSgd }, 'momentum 0.9': { options: { momentum: 0.9 } } },
  },
});

golden('Signum', signum, {
  defaults: {
    formula: truth.signum,
    options: {},
    lengths: LONG,
    wrong: {
      'momentum 0.99': { options: { momentum: 0.99 } },
      'the average before the step': miswritten(truth.signum, (x, { lr, momentum: mu }) => {
        x.w = x.w - lr * Math.sign(x.m);
        x.m = mu * x.m + (1 - mu) * x.g;
      }),
      'Lion’s look ahead': miswritten(truth.signum, (x, { lr, momentum: mu }) => {
        x.m = mu * x.m + (1 - mu) * x.g;
        x.w = x.w - lr * Math.sign(mu * x.m + (1 - mu) * x.g);
      }),
      'no sign': miswritten(truth.signum, (x, { lr, momentum: mu }) => {
        x.m = mu * x.m + (1 - mu) * x.g;
        x.w = x.w - lr * x.m;
      }),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.signum,
    options: { lr: decaying, weightDecay: 0.5, momentum: (step) => 0.5 + 0.4 / step },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      ...decayMistakes,
      'the first momentum for ever': { options: { momentum: 0.9 } },
      'L2 decay': { formula: { ...truth.signum, decay: 'L2' } },
    },
  },
});
