import {
  type Decay,
  emaDecay,
  type Job,
  type Method,
  methods,
  type RangeJob,
  type Settings,
  settingsOf,
  type TrainJob,
} from './job.js';

/** A line of a figure: what the legend calls it, and the run that it shows. */
export interface Line {
  readonly label: string;
  readonly job: TrainJob;
}

interface Common {
  /** Names the figure in `--only` and in the page's addresses. */
  readonly id: string;
  readonly title: string;
  /** What was done; never what came out. */
  readonly about: string;
}

/** Training loss, training and validation accuracy of several runs; `also` draws one thing more. */
export interface CurvesFigure extends Common {
  readonly kind: 'curves';
  readonly lines: readonly Line[];
  readonly also?: 'lr' | 'updates';
}
export interface RangeFigure extends Common {
  readonly kind: 'range';
  readonly jobs: readonly RangeJob[];
}
export interface EnsembleFigure extends Common {
  readonly kind: 'ensemble';
  readonly members: readonly TrainJob[];
  readonly student: TrainJob;
}
export type Figure = CurvesFigure | RangeFigure | EnsembleFigure;

/** How a learning rate is written: 1e-4, 5e-3. */
export function rate(lr: number): string {
  return lr.toExponential();
}

const train = (method: Method, lr: number, more: Partial<TrainJob> = {}): TrainJob => ({
  kind: 'train',
  method,
  lr,
  member: 0,
  ...more,
});
const models = (lrs: Partial<Record<Method, number>>): Line[] =>
  (Object.entries(lrs) as [Method, number][]).map(([method, lr]) => ({
    label: `${methods[method]} ${rate(lr)}`,
    job: train(method, lr),
  }));
const rates = (method: Method, lrs: readonly number[]): Line[] =>
  lrs.map((lr) => ({ label: `lr ${rate(lr)}`, job: train(method, lr) }));

function decayLines(method: Method, lr: number): Line[] {
  const decays: [string, Decay | undefined][] = [
    ['constant', undefined],
    ['step, × ½ at each quarter', 'step'],
    ['exponential, e^(−3k/steps)', 'exponential'],
    ['1/t, 1/(1 + 9k/steps)', '1/t'],
    ['cosine to 0', 'cosine'],
  ];
  return decays.map(([label, decay]) => ({ label, job: train(method, lr, decay && { decay }) }));
}

/** All figures of the study, in the order of the page. */
export function figures(settings: Settings): Figure[] {
  const members = Array.from({ length: settings.members }, (_, member) =>
    train('adam', 1e-3, { member, ...(member === 0 && { average: true as const }) }),
  );
  const rangeTest = (method: Method): RangeJob => ({ kind: 'range', method, from: 1e-5, to: 1, steps: 120 });
  return [
    {
      id: 'momentum',
      kind: 'curves',
      title: 'SGD against momentum',
      about: 'Plain stochastic gradient descent and SGD with momentum 0.9, at the same learning rate.',
      lines: models({ sgd: 5e-3, momentum: 5e-3 }),
    },
    {
      id: 'optimizers',
      kind: 'curves',
      title: 'Four optimizers, each at its own learning rate',
      about: 'A learning rate that is usual for each; the number after the name is its learning rate.',
      lines: models({ sgd: 5e-3, momentum: 5e-3, rmsprop: 1e-4, adam: 1e-3 }),
    },
    {
      id: 'same-rate',
      kind: 'curves',
      title: 'Six optimizers at one learning rate',
      about: 'The same four, all at 1e-3, with Nesterov momentum and Adagrad beside them.',
      lines: models({ sgd: 1e-3, momentum: 1e-3, nesterov: 1e-3, adagrad: 1e-3, rmsprop: 1e-3, adam: 1e-3 }),
    },
    {
      id: 'lr-sgd',
      kind: 'curves',
      title: 'Learning rates of SGD',
      about: 'Plain SGD, over two orders of magnitude of the learning rate.',
      lines: rates('sgd', [1e-4, 1e-3, 3e-3, 5e-3, 1e-2]),
    },
    {
      id: 'lr-momentum',
      kind: 'curves',
      title: 'Learning rates of SGD with momentum',
      about: 'Momentum 0.9, at the same learning rates as plain SGD.',
      lines: rates('momentum', [1e-4, 1e-3, 3e-3, 5e-3, 1e-2]),
    },
    {
      id: 'lr-rmsprop',
      kind: 'curves',
      title: 'Learning rates of RMSprop',
      about: 'RMSprop with its default alpha of 0.99.',
      lines: rates('rmsprop', [1e-4, 5e-4, 1e-3, 5e-3, 1e-2]),
    },
    {
      id: 'lr-rmsprop-small',
      kind: 'curves',
      title: 'Small learning rates of RMSprop',
      about: 'The same, one order of magnitude lower.',
      lines: rates('rmsprop', [1e-5, 5e-5, 1e-4, 5e-4]),
    },
    {
      id: 'lr-adam',
      kind: 'curves',
      title: 'Learning rates of Adam',
      about: 'Adam with its default betas of 0.9 and 0.999.',
      lines: rates('adam', [1e-4, 5e-4, 1e-3, 5e-3, 1e-2]),
    },
    {
      id: 'decay',
      kind: 'curves',
      also: 'lr',
      title: 'Learning rate decay',
      about:
        'SGD with momentum 0.9 from a learning rate of 1e-2: kept, or lowered along four schedules. k is the number of steps done.',
      lines: decayLines('momentum', 1e-2),
    },
    {
      id: 'range-test',
      kind: 'range',
      title: 'Learning rate range test',
      about:
        'The learning rate grows geometrically from 1e-5 to 1 within 120 steps of one run. The vertical line is the learning rate that lrRangeTest suggests: where the loss falls fastest. The test ends once the loss has blown up; what lies above 1.5 times the first loss is cut off.',
      jobs: [rangeTest('sgd'), rangeTest('momentum'), rangeTest('adam')],
    },
    {
      id: 'bias-correction',
      kind: 'curves',
      also: 'updates',
      title: 'Adam with and without bias correction',
      about:
        'Adam at 1e-3. Its averages start at zero; bias correction divides by how much of them is filled. The first panel shows the size of each of the first steps: the root mean square, over all parameters, of what the step changed.',
      lines: [
        { label: 'bias-corrected', job: train('adam', 1e-3) },
        { label: 'uncorrected', job: train('uncorrectedAdam', 1e-3) },
      ],
    },
    {
      id: 'ensemble',
      kind: 'ensemble',
      title: 'Ensembles',
      about: `${settings.members} networks trained with Adam at 1e-3 from their own initial weights and order of batches: each alone, the average of their predicted probabilities, their majority vote, and a student distilled from the average. SWA and EMA are running averages of the weights of member 1: SWA of those at each scoring in the last 40% of the run, EMA of every step's with decay ${emaDecay(settings)}.`,
      members,
      // Its own initial weights, like one more member.
      student: train('adam', 1e-3, { member: settings.members, teachers: members }),
    },
  ];
}

/** The names that `--only` takes. */
export const figureIds: readonly string[] = figures(settingsOf({ seed: 0 })).map((figure) => figure.id);

export function jobsOf(figure: Figure): readonly Job[] {
  switch (figure.kind) {
    case 'curves':
      return figure.lines.map((line) => line.job);
    case 'range':
      return figure.jobs;
    case 'ensemble':
      return [...figure.members, figure.student];
  }
}
