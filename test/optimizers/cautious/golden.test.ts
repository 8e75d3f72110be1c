import { Adam, Adamax, AdamW, AdEMAMix, Lion, NAdam, RAdam, SGD } from '../../../lib/index.js';
import * as truth from '../../support/golden/reference.js';
import { Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, type Run, type Wrong } from '../../support/golden/run.js';

type Class = new (params: Float32Array[], options: never) => ReturnType<Create>;

const making =
  (Class: unknown, more: object = {}): Create =>
  (params, options) =>
    new (Class as Class)(params, { ...options, ...more, cautious: true } as never);

type Cell = truth.Cell<string>;

/** Another mask or factor. */
function measured(formula: truth.Formula, measure: truth.Formula['measure']): Wrong {
  return { formula: { ...formula, ...(measure === undefined ? {} : { measure }) } };
}

function mistakes(plain: truth.Formula, formula: truth.Formula): Record<string, Wrong> {
  const then = (change: (param: readonly Cell[]) => void): Wrong =>
    measured(formula, (param, h, t) => {
      formula.measure?.(param, h, t);
      change(param);
    });
  const shareOf = (param: readonly Cell[]): number => param.reduce((sum, x) => sum + x['kept']!, 0) / param.length;
  return {
    'not cautious': { formula: plain },
    'not lengthened': then((param) => {
      for (const x of param) x['scale'] = 1;
    }),
    'n/(kept + 1)': then((param) => {
      const scale = 1 / (shareOf(param) + 1 / param.length);
      for (const x of param) x['scale'] = scale;
    }),
    'the others are kept': then((param) => {
      for (const x of param) x['kept'] = x['kept'] === 1 ? 0 : 1;
    }),
    'a step of each sign where g is 0': then((param) => {
      const scale = param.length / param.filter((x) => x['kept'] === 1 || x.g === 0).length;
      for (const x of param) Object.assign(x, { kept: x['kept'] === 1 || x.g === 0 ? 1 : 0, scale });
    }),
    'the share of all params': {
      reference: class extends Reference {
        protected override measure(param: readonly Cell[], h: truth.Hyper, t: number): void {
          super.measure(param, h, t);
          const scale = 1 / Math.max(shareOf(this.params.flat()), 1e-3);
          for (const x of param) x['scale'] = scale;
        }
      },
    },
  };
}

function run(plain: truth.Formula, formula: truth.Formula, options: Run['options'], more: Partial<Run> = {}): Run {
  return {
    formula,
    options,
    gradients: 'plain',
    skips: (step, param) => (step + param) % 5 === 0,
    wrong: mistakes(plain, formula),
    ...more,
  };
}

const decaying = (step: number): number => 0.1 / Math.sqrt(step);

golden('cautious AdamW', making(AdamW), {
  'defaults, gradients from 1e-19 to 1e18': {
    formula: truth.cautiousAdamW,
    options: {},
    lengths: LONG,
    wrong: { 'not cautious': { formula: truth.adamW } },
  },
  'lr 0.1/√t, decay': run(truth.adamW, truth.cautiousAdamW, { lr: decaying, weightDecay: 0.1, eps: 0.01 }),
});
golden('cautious Adam', making(Adam), {
  'L2 decay': run(truth.adam, truth.cautiousAdam, { lr: decaying, weightDecay: 0.1, eps: 0.01 }),
});
golden('cautious Adam', making(Adam, { amsgrad: true }), {
  amsgrad: run(truth.amsgrad, truth.cautiousAmsgrad, { lr: decaying, eps: 0.01 }),
});
golden('cautious Lion', making(Lion), {
  'lr 0.1/√t, decay': run(truth.lion, truth.cautiousLion, { lr: decaying, weightDecay: 0.1 }),
});
golden('cautious NAdam', making(NAdam), {
  'lr 0.1/√t': run(truth.nadam, truth.cautiousNadam, { lr: decaying, eps: 0.01 }),
});
golden('cautious RAdam', making(RAdam), {
  'lr 0.1/√t': run(truth.radam, truth.cautiousRadam, { lr: decaying, eps: 0.01 }),
});
golden('cautious Adamax', making(Adamax), {
  'lr 0.1/√t': run(truth.adamax, truth.cautiousAdamax, { lr: decaying, eps: 0.01 }),
});
golden('cautious AdEMAMix', making(AdEMAMix), {
  'lr 0.1/√t': run(truth.ademamix, truth.cautiousAdemamix, { lr: decaying, eps: 0.01 }),
});
golden('cautious SGD', making(SGD, { momentum: 0.9 }), {
  velocity: run(truth.momentum, truth.cautiousMomentum, { lr: decaying, momentum: 0.9 }),
});
golden('cautious SGD', making(SGD, { momentum: 0.9, nesterov: true }), {
  Nesterov: run(truth.nesterov, truth.cautiousNesterov, { lr: 0.1, momentum: 0.9 }),
});
golden('cautious SGD', making(SGD, { momentum: 0.9, momentumForm: 'buffer' }), {
  buffer: run(truth.buffer, truth.cautiousBuffer, { lr: decaying, momentum: 0.9, dampening: 0.1 }),
});
golden('cautious SGD', making(SGD, { momentum: 0.9, momentumForm: 'buffer', nesterov: true }), {
  'buffer, Nesterov': run(truth.bufferNesterov, truth.cautiousBufferNesterov, { lr: decaying, momentum: 0.9 }),
});
