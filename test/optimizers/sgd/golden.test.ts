import { SGD } from '../../../lib/index.js';
import * as truth from '../../support/golden/reference.js';
import { Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const create: Create = (params, options) => new SGD(params, options as never);

const decaying = (step: number): number => 0.1 / step;
const growing = (step: number): number => 1 - 1 / (step + 1); // 1/2, 2/3, 3/4, ...

/** Momentum is 0 in every fourth step. An engine that then ran plain SGD would lose the velocity. */
const intermittent = (step: number): number => (step % 4 === 0 ? 0 : 0.9);

const lrMistakes: Record<string, Wrong> = {
  'the first lr for ever': { options: { lr: 0.1 } },
  'the lr of the step before': { options: { lr: (step) => decaying(Math.max(1, step - 1)) } },
  'the lr of the next step': { options: { lr: (step) => decaying(step + 1) } },
};

golden('SGD', create, {
  'lr 0.1': {
    formula: truth.sgd,
    options: { lr: 0.1 },
    wrong: {
      ascent: { options: { maximize: true } },
      'lr 1 + 1e-5 of it': { options: { lr: 0.1 * (1 + 1e-5) } },
      'decay that nobody asked for': { options: { weightDecay: 1e-4 } },
    },
  },
  'lr 0.1/t, decay': {
    formula: truth.sgd,
    options: { lr: decaying, weightDecay: 0.05 },
    lengths: LONG,
    wrong: {
      ...lrMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decay twice (the derivative of λw²)': { options: { weightDecay: 0.1 } },
      'decay without lr': miswritten(truth.sgd, (x, { lr, weightDecay }) => {
        x.w = x.w - lr * (x.g - weightDecay * x.w) - weightDecay * x.w;
      }),
    },
  },
});

golden('SGD with momentum, velocity form', create, {
  'momentum 0.9': {
    formula: truth.momentum,
    options: { lr: 0.01, momentum: 0.9 },
    wrong: {
      'no momentum': { formula: truth.sgd },
      Nesterov: { formula: truth.nesterov },
      'the weight moves by the old velocity': miswritten(truth.momentum, (x, { lr, momentum }) => {
        x.w = x.w + x.v;
        x.v = momentum * x.v - lr * x.g;
      }),
      'an average, (1-μ)g': miswritten(truth.momentum, (x, { lr, momentum }) => {
        x.v = momentum * x.v - lr * (1 - momentum) * x.g;
        x.w = x.w + x.v;
      }),
    },
  },
  'lr 0.1/t, decay': {
    formula: truth.momentum,
    options: { lr: decaying, momentum: 0.9, weightDecay: 0.01 },
    wrong: {
      ...lrMistakes,
      'lr outside the velocity': { formula: truth.buffer },
      'decoupled decay': { formula: { ...truth.momentum, decay: 'decoupled' } },
      'no decay': { options: { weightDecay: 0 } },
    },
  },
  'momentum that grows, skipped gradients': {
    formula: truth.momentum,
    options: { lr: decaying, momentum: growing, momentumForm: 'velocity' },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      'the first momentum for ever': { options: { momentum: growing(1) } },
      'the momentum of the step before': { options: { momentum: (step) => growing(Math.max(1, step - 1)) } },
      'the momentum of the previous update': miswritten(truth.momentum, (x, { lr, previousMomentum }) => {
        x.v = previousMomentum * x.v - lr * x.g;
        x.w = x.w + x.v;
      }),
    },
  },
});

const velocityKept: Wrong = miswritten(truth.momentum, (x, { lr, momentum }) => {
  if (momentum === 0) x.w = x.w - lr * x.g;
  else truth.momentum.update(x, { lr, momentum } as truth.Hyper, 0);
});

/** The buffer form as it would be if every step used the buffer. */
function bufferThroughout(x: truth.Cell<'b' | 'has'>, { lr, momentum, dampening }: truth.Hyper, t: number): void {
  x.b = t === 1 ? x.g : momentum * x.b + (1 - dampening) * x.g;
  x.w = x.w - lr * x.b;
}

golden('SGD with a momentum that is 0 in some steps', create, {
  'velocity form': {
    formula: truth.momentum,
    options: { lr: 0.01, momentum: intermittent },
    wrong: { 'plain steps leave the velocity': velocityKept },
  },
  'velocity form, Nesterov': {
    formula: truth.nesterovChanging,
    options: { lr: 0.01, momentum: intermittent, nesterov: true },
    wrong: { 'the new momentum throughout': { formula: truth.nesterov } },
  },
  'buffer form, decay by a schedule': {
    formula: truth.buffer,
    options: {
      lr: 0.01,
      momentum: intermittent,
      momentumForm: 'buffer',
      dampening: (step) => 1 / step,
      weightDecay: (step) => (step % 2) * 0.1,
    },
    wrong: {
      'plain steps change the buffer': miswritten(truth.buffer, bufferThroughout),
      'the first dampening for ever': { options: { dampening: 1 } },
      'the first decay for ever': { options: { weightDecay: 0.1 } },
    },
  },
  'buffer form, Nesterov': {
    formula: truth.bufferNesterov,
    options: { lr: 0.01, momentum: intermittent, momentumForm: 'buffer', nesterov: true },
    wrong: {
      'no look-ahead': { formula: truth.buffer },
      'plain steps change the buffer': miswritten(truth.bufferNesterov, (x, h) => {
        x.b = h.momentum * x.b + x.g;
        x.w = x.w - h.lr * (x.g + h.momentum * x.b);
      }),
    },
  },
  'buffer form, momentum from step 5 on': {
    formula: truth.buffer,
    options: { lr: 0.01, momentum: (step) => (step < 5 ? 0 : 0.9), momentumForm: 'buffer', dampening: 0.5 },
    skips: (step, param) => param === 1 && step < 8, // its first gradient comes later
    wrong: {
      'the buffer begins in step 1': miswritten(truth.buffer, bufferThroughout),
      'the first gradient of the buffer is damped': miswritten(truth.buffer, (x, h, t) => {
        x.has = 1;
        truth.buffer.update(x, h, t);
      }),
      'the buffer begins with the zeros of plain steps': miswritten(truth.buffer, (x, h, t) => {
        truth.buffer.update(x, h, t);
        x.has = 1;
      }),
    },
  },
  'buffer form, Nesterov, momentum from step 5 on': {
    formula: truth.bufferNesterov,
    options: { lr: 0.01, momentum: (step) => (step < 5 ? 0 : 0.9), momentumForm: 'buffer', nesterov: true },
    wrong: {
      'the buffer begins in step 1': miswritten(truth.bufferNesterov, (x, { lr, momentum }) => {
        x.b = momentum * x.b + x.g;
        x.w = x.w - lr * (x.g + momentum * x.b);
      }),
    },
  },
});

/** Uses the momentum of the previous step, even if the param was not updated in it. */
class MomentumOfTheStepBefore extends Reference {
  protected override update(x: truth.Cell<string>, h: truth.Hyper, t: number): void {
    super.update(x, { ...h, previousMomentum: this.stepCount > 1 ? growing(this.stepCount - 1) : 0 }, t);
  }
}

golden('SGD with Nesterov, velocity form', create, {
  'momentum 0.9': {
    formula: truth.nesterov,
    options: { lr: 0.01, momentum: 0.9, nesterov: true },
    wrong: {
      'no look-ahead': { formula: truth.momentum },
      'no momentum': { formula: truth.sgd },
      'look-ahead of μ instead of 1 + μ': miswritten(truth.nesterov, (x, { lr, momentum }) => {
        const next = momentum * x.v - lr * x.g;
        x.w = x.w - momentum * x.v + momentum * next;
        x.v = next;
      }),
      'the old look-ahead is not taken back': miswritten(truth.nesterov, (x, { lr, momentum }) => {
        x.v = momentum * x.v - lr * x.g;
        x.w = x.w + (1 + momentum) * x.v;
      }),
      'look-ahead by the old velocity': miswritten(truth.nesterov, (x, { lr, momentum }) => {
        x.w = x.w + momentum * x.v - lr * x.g;
        x.v = momentum * x.v - lr * x.g;
      }),
      'the look-ahead is stored as the velocity': miswritten(truth.nesterov, (x, { lr, momentum }) => {
        x.v = momentum * (momentum * x.v - lr * x.g) - lr * x.g;
        x.w = x.w + x.v;
      }),
    },
  },
  'lr 0.1/t, decay': {
    formula: truth.nesterov,
    options: { lr: decaying, momentum: 0.8, nesterov: true, weightDecay: 0.01 },
    lengths: LONG,
    wrong: {
      ...lrMistakes,
      'lr outside the velocity': { formula: truth.bufferNesterov },
      'no look-ahead': { formula: truth.momentum },
      'decoupled decay': { formula: { ...truth.nesterov, decay: 'decoupled' } },
    },
  },
  'momentum that grows': {
    formula: truth.nesterovChanging,
    options: { lr: 0.01, momentum: growing, nesterov: true },
    wrong: {
      'the new momentum throughout (the table’s line)': { formula: truth.nesterov },
      'the new momentum in the velocity': miswritten(truth.nesterovChanging, (x, { lr, momentum }) => {
        x.v = momentum * x.v - lr * x.g;
        x.w = x.w + momentum * x.v - lr * x.g;
      }),
      'the old momentum in the look-ahead': miswritten(truth.nesterovChanging, (x, { lr, previousMomentum }) => {
        x.v = previousMomentum * x.v - lr * x.g;
        x.w = x.w + previousMomentum * x.v - lr * x.g;
      }),
      'the first momentum for ever': { options: { momentum: growing(1) } },
    },
  },
  'momentum that grows, lr 0.1/t, decay, skipped gradients': {
    formula: truth.nesterovChanging,
    options: { lr: decaying, momentum: growing, nesterov: true, weightDecay: 0.01 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes,
      'the momentum of the step before, not of the update before': { reference: MomentumOfTheStepBefore },
      'the new momentum throughout (the table’s line)': { formula: truth.nesterov },
    },
  },
});

golden('SGD with momentum, buffer form', create, {
  'momentum 0.9': {
    formula: truth.buffer,
    options: { lr: 0.01, momentum: 0.9, momentumForm: 'buffer' },
    wrong: {
      Nesterov: { formula: truth.bufferNesterov },
      'an average, (1-μ)g': miswritten(truth.buffer, (x, { lr, momentum }) => {
        x.b = momentum * x.b + (1 - momentum) * x.g;
        x.w = x.w - lr * x.b;
      }),
    },
  },
  'lr 0.1/t, decay': {
    formula: truth.buffer,
    options: { lr: decaying, momentum: 0.9, momentumForm: 'buffer', weightDecay: 0.01 },
    wrong: {
      ...lrMistakes,
      'lr inside the velocity': { formula: truth.momentum },
      'decoupled decay': { formula: { ...truth.buffer, decay: 'decoupled' } },
    },
  },
  'dampening, momentum that grows': {
    formula: truth.buffer,
    options: { lr: decaying, momentum: growing, dampening: 0.3, momentumForm: 'buffer' },
    skips: (step, param) => param === 1 && step < 5, // its first gradient comes after step 1
    wrong: {
      'no dampening': { options: { dampening: 0 } },
      'dampening of the first gradient': miswritten(truth.buffer, (x, { lr, momentum, dampening }) => {
        x.b = momentum * x.b + (1 - dampening) * x.g;
        x.w = x.w - lr * x.b;
      }),
      'dampening instead of 1 - dampening': { options: { dampening: 0.7 } },
      'the first gradient is that of step 1': {
        reference: class extends Reference {
          protected override update(x: truth.Cell<string>, h: truth.Hyper, t: number): void {
            if (this.stepCount > 1) x['has'] = 1;
            super.update(x, h, t);
          }
        },
      },
      'the momentum of the previous update': miswritten(truth.buffer, (x, { lr, previousMomentum, dampening }, t) => {
        x.b = t === 1 ? x.g : previousMomentum * x.b + (1 - dampening) * x.g;
        x.w = x.w - lr * x.b;
      }),
    },
  },
  'Nesterov, lr 0.1/t, decay': {
    formula: truth.bufferNesterov,
    options: { lr: decaying, momentum: 0.9, nesterov: true, momentumForm: 'buffer', weightDecay: 0.01 },
    wrong: {
      'no look-ahead': { formula: truth.buffer },
      'the buffer alone, twice damped': miswritten(truth.bufferNesterov, (x, { lr, momentum }, t) => {
        x.b = t === 1 ? x.g : momentum * x.b + x.g;
        x.w = x.w - lr * momentum * x.b;
      }),
      'look-ahead by the old buffer': miswritten(truth.bufferNesterov, (x, { lr, momentum }, t) => {
        x.w = x.w - lr * (x.g + momentum * x.b);
        x.b = t === 1 ? x.g : momentum * x.b + x.g;
      }),
      'lr inside the velocity': { formula: truth.nesterov },
    },
  },
});
