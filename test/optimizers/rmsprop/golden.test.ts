import { RMSprop } from '../../../lib/index.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new RMSprop(params, options as never);

const decaying = (step: number): number => 0.1 / step;
// Small steps, and an eps as large as the decay, keep weights that decay alone moves from overshooting 0 (see run.ts).
const decayingFromLess = (step: number): number => 1e-3 / step;

golden('RMSprop', create, {
  defaults: {
    formula: truth.rmsprop,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'alpha 0.9': { options: { alpha: 0.9 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'eps inside the root': miswritten(truth.rmsprop, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.w = x.w - (lr * x.g) / Math.sqrt(x.s + eps);
      }),
      '(1-α) missing': miswritten(truth.rmsprop, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
      'α and 1-α exchanged': miswritten(truth.rmsprop, (x, { lr, alpha, eps }) => {
        x.s = (1 - alpha) * x.s + alpha * x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
      '1-α of α rounded to float32': miswritten(truth.rmsprop, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - Math.fround(alpha)) * x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
      'the average before this gradient': miswritten(truth.rmsprop, (x, { lr, alpha, eps }) => {
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
      }),
      'bias correction': miswritten(truth.rmsprop, (x, { lr, alpha, eps }, t) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s / (1 - alpha ** t)) + eps);
      }),
      centered: { formula: truth.rmspropCentered },
    },
  },
  'eps 1e-25, below √s of the tiniest': {
    formula: truth.rmsprop,
    options: { lr: 0.001, eps: 1e-25 },
    lengths: LONG,
    wrong: {
      'denormals flushed to 0': miswritten(truth.rmsprop, (x, { lr, alpha, eps }) => {
        const s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.s = s < 2 ** -126 ? 0 : s;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
    },
  },
  'lr 1e-3/t, decay, alpha by a schedule, skipped gradients': {
    formula: truth.rmsprop,
    options: { lr: decayingFromLess, alpha: (step) => 1 - 1 / (step + 1), weightDecay: 0.01, eps: 0.01 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      'the first lr for ever': { options: { lr: 1e-3 } },
      'the first alpha for ever': { options: { alpha: 0.5 } },
      'the alpha of the step before': { options: { alpha: (step) => 1 - 1 / Math.max(2, step) } },
      'decoupled decay': { formula: { ...truth.rmsprop, decay: 'decoupled' } },
      'no decay': { options: { weightDecay: 0 } },
    },
  },
  centered: {
    formula: truth.rmspropCentered,
    options: { lr: 0.01, centered: true, alpha: 0.95 },
    wrong: {
      'not centered': { formula: truth.rmsprop },
      'the mean, not squared, subtracted': miswritten(truth.rmspropCentered, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.a = alpha * x.a + (1 - alpha) * x.g;
        x.w = x.w - (lr * x.g) / (Math.sqrt(Math.max(x.s - Math.abs(x.a), 0)) + eps);
      }),
      'the mean before this gradient': miswritten(truth.rmspropCentered, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        const before = x.a;
        x.a = alpha * x.a + (1 - alpha) * x.g;
        x.w = x.w - (lr * x.g) / (Math.sqrt(Math.max(x.s - before ** 2, 0)) + eps);
      }),
      'the centered gradient above': miswritten(truth.rmspropCentered, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.a = alpha * x.a + (1 - alpha) * x.g;
        x.w = x.w - (lr * (x.g - x.a)) / (Math.sqrt(Math.max(x.s - x.a ** 2, 0)) + eps);
      }),
      'eps inside the root': miswritten(truth.rmspropCentered, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.a = alpha * x.a + (1 - alpha) * x.g;
        x.w = x.w - (lr * x.g) / Math.sqrt(Math.max(x.s - x.a ** 2, 0) + eps);
      }),
    },
  },
  'momentum, lr 1e-3/t, decay': {
    formula: truth.rmspropMomentum,
    options: { lr: decayingFromLess, momentum: 0.9, weightDecay: 0.01, eps: 0.01 },
    wrong: {
      'no momentum': { formula: truth.rmsprop },
      'lr inside the buffer': miswritten(truth.rmspropMomentum, (x, { lr, alpha, eps, momentum }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.b = momentum * x.b + (lr * x.g) / (Math.sqrt(x.s) + eps);
        x.w = x.w - x.b;
      }),
      'momentum of the raw gradient': miswritten(truth.rmspropMomentum, (x, { lr, alpha, eps, momentum }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.b = momentum * x.b + x.g;
        x.w = x.w - (lr * x.b) / (Math.sqrt(x.s) + eps);
      }),
      'an average, (1-μ)': miswritten(truth.rmspropMomentum, (x, { lr, alpha, eps, momentum }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.b = momentum * x.b + ((1 - momentum) * x.g) / (Math.sqrt(x.s) + eps);
        x.w = x.w - lr * x.b;
      }),
      'decoupled decay': { formula: { ...truth.rmspropMomentum, decay: 'decoupled' } },
    },
  },
  'momentum that is 0 in some steps': {
    formula: truth.rmspropMomentum,
    options: { momentum: (step) => (step % 4 === 0 ? 0 : 0.9) },
    wrong: {
      'plain steps leave the buffer': miswritten(truth.rmspropMomentum, (x, h, t) => {
        const { b } = x;
        truth.rmspropMomentum.update(x, h, t);
        if (h.momentum === 0) x.b = b;
      }),
    },
  },
  'centered, momentum by a schedule, lr 0.1/t': {
    formula: truth.rmspropCenteredMomentum,
    options: { lr: decaying, centered: true, momentum: (step) => 0.9 - 0.4 / step },
    wrong: {
      'not centered': { formula: truth.rmspropMomentum },
      'no momentum': { formula: truth.rmspropCentered },
      'the first momentum for ever': { options: { momentum: 0.5 } },
      'the momentum of the previous update': miswritten(truth.rmspropCenteredMomentum, (x, h, t) =>
        truth.rmspropCenteredMomentum.update(x, { ...h, momentum: h.previousMomentum }, t),
      ),
    },
  },
});
