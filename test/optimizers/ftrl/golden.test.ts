import { FTRL } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new FTRL(params, options as never);
const decaying = (step: number): number => 0.1 / step;

golden('FTRL', create, {
  defaults: {
    formula: truth.ftrl,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 0.1': { options: { lr: 0.1 } },
      'beta 0': { options: { beta: 0 } },
      'from 0': { options: { initialAccumulatorValue: 0 } },
      'z from 0': { formula: { ...truth.ftrl, start: ({ initialAccumulatorValue: n }) => ({ n }) } },
      'no σ': miswritten(truth.ftrl, (x, { lr, beta }) => {
        x.n = x.n + x.g ** 2;
        x.z = x.z + x.g;
        x.w = -x.z / ((beta + Math.sqrt(x.n)) / lr);
      }),
      'σ without lr': miswritten(truth.ftrl, (x, { lr, beta }) => {
        const n = x.n + x.g ** 2;
        x.z = x.z + x.g - (Math.sqrt(n) - Math.sqrt(x.n)) * x.w;
        x.n = n;
        x.w = -x.z / ((beta + Math.sqrt(n)) / lr);
      }),
      'the sum before this gradient': miswritten(truth.ftrl, (x, { lr, beta }) => {
        const n = x.n + x.g ** 2;
        x.z = x.z + x.g - ((Math.sqrt(n) - Math.sqrt(x.n)) / lr) * x.w;
        x.w = -x.z / ((beta + Math.sqrt(x.n)) / lr);
        x.n = n;
      }),
      'no root': miswritten(truth.ftrl, (x, { lr, beta }) => {
        const n = x.n + x.g ** 2;
        x.z = x.z + x.g - ((n - x.n) / lr) * x.w;
        x.n = n;
        x.w = -x.z / ((beta + n) / lr);
      }),
    },
  },
  'lr 0.1/t, l1, l2, skipped gradients': {
    formula: truth.ftrl,
    options: { lr: decaying, l1: 0.3, l2: 0.5 },
    skips: (step, param) => step === 1 || (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'no l1': { options: { l1: 0 } },
      'no l2': { options: { l2: 0 } },
      'l1 as a threshold alone': miswritten(truth.ftrl, (x, h, t) => {
        const { lr, beta, l1, l2 } = h;
        truth.ftrl.update(x, h, t);
        x.w = Math.abs(x.z) <= l1 ? 0 : -x.z / ((beta + Math.sqrt(x.n)) / lr + l2);
      }),
      'l1 without the threshold': miswritten(truth.ftrl, (x, h, t) => {
        const { lr, beta, l1, l2 } = h;
        truth.ftrl.update(x, h, t);
        x.w = -(x.z - Math.sign(x.z) * l1) / ((beta + Math.sqrt(x.n)) / lr + l2);
      }),
      'l1 of 2·l1': { options: { l1: 0.6 } },
      'z that starts without l1': {
        formula: { ...truth.ftrl, start: (h, w) => truth.ftrl.start?.({ ...h, l1: 0 }, w) ?? {} },
      },
      'z that starts by the optimizer’s first lr': {
        formula: { ...truth.ftrl, start: (h, w) => truth.ftrl.start?.({ ...h, lr: 0.1 }, w) ?? {} },
      },
    },
  },
  'penalties by schedules, plain gradients': {
    formula: truth.ftrl,
    options: { lr: 0.1, beta: (step) => 1 + 1 / step, l1: (step) => step / 50, l2: (step) => 1 / step },
    gradients: 'plain',
    wrong: {
      'the first beta for ever': { options: { beta: 2 } },
      'the first l1 for ever': { options: { l1: 1 / 50 } },
      'the first l2 for ever': { options: { l2: 1 } },
    },
  },
});
