/** Gradients whose square is beyond float32, up to 3e19: (1−β)·g² is computed as ((1−β)·g)·g, which is not. */

import { expect, test } from 'vitest';
import {
  Adadelta,
  Adam,
  AdamW,
  Adan,
  AdEMAMix,
  LAMB,
  NAdam,
  OptimisticAdam,
  RAdam,
  RMSprop,
  ScheduleFreeAdamW,
  SimplifiedAdEMAMix,
  Yogi,
} from '../../lib/index.js';
import { declarations } from '../support/classes.js';
import * as second from '../support/golden/element-truth.js';
import * as truth from '../support/golden/reference.js';
import { type Create, golden, type Run, type Wrong } from '../support/golden/run.js';

/** The formula with g² first: it saturates. */
function squaredFirst(formula: truth.Formula): Wrong {
  const saturate = (x: truth.Cell<string>): void => {
    if (Math.fround(x.g ** 2) === Number.POSITIVE_INFINITY) x['s'] = Number.POSITIVE_INFINITY;
  };
  const { measure, update } = formula;
  return {
    formula: {
      ...formula,
      ...(measure && {
        measure: (param, h, t) => {
          for (const x of param) saturate(x);
          measure(param, h, t);
        },
      }),
      update: (x, h, t) => {
        if (measure === undefined) saturate(x);
        update(x, h, t);
      },
    },
  };
}

const run = (formula: truth.Formula, options: truth.Options = {}): Run => ({
  formula,
  options,
  magnitude: 30, // 'wild' gradients go up to 1e18
  wrong: { 'g² first, which is infinite': squaredFirst(formula) },
});

const adadelta: Create = (params, options) => new Adadelta(params, options as never);
const adam: Create = (params, options) => new Adam(params, options as never);
const rmsprop: Create = (params, options) => new RMSprop(params, options as never);
const schedulefree: Create = (params, options) => new ScheduleFreeAdamW(params, options as never);

golden('g² beyond float32', adadelta, { Adadelta: run(truth.adadelta) });
golden('g² beyond float32', adam, {
  Adam: run(truth.adam),
  amsgrad: run(truth.amsgrad, { amsgrad: true }),
});
golden('g² beyond float32', (params, options) => new AdamW(params, options as never), {
  AdamW: run(truth.adamW, { weightDecay: 0.1 }),
});
golden('g² beyond float32', (params, options) => new AdEMAMix(params, options as never), {
  AdEMAMix: run(truth.ademamix),
});
golden('g² beyond float32', (params, options) => new LAMB(params, options as never), { LAMB: run(truth.lamb) });
golden('g² beyond float32', (params, options) => new NAdam(params, options as never), { NAdam: run(truth.nadam) });
golden('g² beyond float32', (params, options) => new RAdam(params, options as never), {
  // The first five steps are plain momentum, and would hide the others.
  RAdam: run(truth.radam, { lr: (step) => (step < 6 ? 0 : 1e-3) }),
});
golden('g² beyond float32', rmsprop, {
  RMSprop: run(truth.rmsprop),
  momentum: run(truth.rmspropMomentum, { momentum: 0.9 }),
  centered: run(truth.rmspropCentered, { centered: true, alpha: 0.95 }),
  'centered, momentum': run(truth.rmspropCenteredMomentum, { centered: true, alpha: 0.95, momentum: 0.9 }),
});
golden('g² beyond float32', schedulefree, { ScheduleFreeAdamW: run(truth.scheduleFreeAdamw) });
golden('g² beyond float32', (params, options) => new Adan(params, options as never), { Adan: run(second.adan) });
golden('g² beyond float32', (params, options) => new OptimisticAdam(params, options as never), {
  OptimisticAdam: run(second.optimisticAdam),
});
golden('g² beyond float32', (params, options) => new SimplifiedAdEMAMix(params, options as never), {
  SimplifiedAdEMAMix: run(second.simplifiedAdemamix),
});
golden('g² beyond float32', (params, options) => new Yogi(params, options as never), { Yogi: run(second.yogi) });

test('every class whose state has an average of g² is among them', () => {
  const named = declarations.filter(({ kernels }) =>
    Object.values(kernels).some(({ state }) => state.includes('expAvgSq') || state.includes('squareAvg')),
  );
  const names = ['Adadelta', 'Adam', 'AdamW', 'AdEMAMix', 'LAMB', 'NAdam', 'RAdam', 'RMSprop', 'ScheduleFreeAdamW'];
  const second = ['Adan', 'OptimisticAdam', 'SimplifiedAdEMAMix', 'Yogi'];
  // Adafactor averages g² + eps1, and its first average is g² itself. So are ADOPT's and StableAdamW's. Prodigy averages
  // (d·g)², Muon has AdamW's kernel, and the squares of Shampoo and SOAP belong to matrices. MomoAdam's test is in its own
  // folder, and DAdaptAdamW has the case among its golden tests. MARS averages x² of an x with a norm of at most 1, and
  // AdamMini a mean of g² that is made in float64.
  const others = [
    'Adafactor',
    'ADOPT',
    'StableAdamW',
    'Prodigy',
    'Muon',
    'Shampoo',
    'SOAP',
    'MomoAdam',
    'DAdaptAdamW',
    'MARS',
    'AdamMini',
  ];
  expect(named.map(({ name }) => name).sort()).toEqual([...names, ...second, ...others].sort());
});
