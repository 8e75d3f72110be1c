import { expect, test } from 'vitest';
import { NovoGrad } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { paramNorm, Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const create: Create = (params, options) => new NovoGrad(params, options as never);
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

type Cell = truth.Cell<'m' | 'v'>;

/** A formula with another v. */
function average(of: (square: number, v: number, h: truth.Hyper, t: number) => number): Wrong {
  return {
    formula: {
      ...truth.novograd,
      measure(param, h, t) {
        const square = paramNorm(param, (x) => x.g) ** 2;
        for (const x of param as Cell[]) x.v = of(square, x.v, h, t);
      },
    },
  };
}

const mistakes: Record<string, Wrong> = {
  'v from 0': average((square, v, { beta2 }) => beta2 * v + (1 - beta2) * square),
  'no average': average((square) => square),
  'the average of the norm': average((square, v, { beta2 }, t) =>
    t === 1 ? square : (beta2 * Math.sqrt(v) + (1 - beta2) * Math.sqrt(square)) ** 2,
  ),
  'the norm of each element': {
    formula: {
      ...truth.novograd,
      measure(param, { beta2 }, t) {
        for (const x of param as Cell[]) x.v = t === 1 ? x.g ** 2 : beta2 * x.v + (1 - beta2) * x.g ** 2;
      },
    },
  },
  'the norm of all params': {
    reference: class extends Reference {
      protected override measure(param: readonly truth.Cell<string>[], h: truth.Hyper, t: number): void {
        const square = paramNorm(this.params.flat(), (x) => x.g) ** 2;
        for (const x of param as Cell[]) x.v = t === 1 ? square : h.beta2 * x.v + (1 - h.beta2) * square;
      }
    },
  },
};

golden('NovoGrad', create, {
  'defaults, gradients from 1e-19 to 1e18, params of 0 among them': {
    formula: truth.novograd,
    options: {},
    lengths: LONG,
    wrong: {
      ...mistakes,
      'lr 2e-2': { options: { lr: 2e-2 } },
      'the betas of optax': { options: { betas: [0.9, 0.25] } },
      'gradient averaging': { options: { gradAveraging: true } },
    },
  },
  'lr 0.1/√t, decay, averaging, skipped gradients': {
    formula: truth.novograd,
    options: { lr: decaying, betas: [0.8, 0.9], weightDecay: 0.1, eps: 0.1, gradAveraging: true },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...mistakes,
      ...lrMistakes(decaying),
      ...nullMistake,
      'no averaging': { options: { gradAveraging: false } },
      'no decay': { options: { weightDecay: 0 } },
      'eps 0.11': { options: { eps: 0.11 } },
      'eps inside the root': miswritten(truth.novograd, (x, { lr, beta1, eps, weightDecay }) => {
        x.m = beta1 * x.m + (1 - beta1) * (x.g / Math.sqrt(x.v + eps) + weightDecay * x.w);
        x.w = x.w - lr * x.m;
      }),
      L2: { formula: { ...truth.novograd, decay: 'L2' } },
      'decay beside the momentum': miswritten({ ...truth.novograd, decay: 'decoupled' }, (x, h, t) =>
        truth.novograd.update(x, { ...h, weightDecay: 0 }, t),
      ),
    },
  },
});

test('v is a number of the state, and a resumed run goes on with it', () => {
  const w = Float32Array.of(1, 2);
  const optimizer = new NovoGrad({ w });
  optimizer.step({ w: Float32Array.of(3, 4) });
  expect(optimizer.stateDict().state['w']).toMatchObject({ step: 1, expAvgSq: 25 });
  const again = w.slice();
  const resumed = new NovoGrad({ w: again });
  resumed.loadStateDict(optimizer.stateDict());
  for (const o of [optimizer, resumed]) o.step({ w: Float32Array.of(1, -1) });
  expect(again).toEqual(w);
  expect(resumed.stateDict()).toEqual(optimizer.stateDict());
  expect(resumed.stateDict().state['w']?.['expAvgSq']).toBeCloseTo(0.98 * 25 + 0.02 * 2, 12);
});
