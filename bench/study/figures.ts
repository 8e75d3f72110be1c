import {
  batchOf,
  type Decay,
  type DescentJob,
  emaDecay,
  type Job,
  type RangeJob,
  type Settings,
  settingsOf,
  type TrainJob,
} from './job.js';
import { type Family, families, type Method, methods, middleOf, spread } from './methods.js';
import { hidden, imagesOfTerm, terms } from './sums.js';

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
/** A method at each of its learning rates. */
export interface Sweep {
  readonly method: Method;
  readonly family: Family;
  readonly jobs: readonly TrainJob[];
}
/** `ranking`: all methods at a glance; `sweep`: those of a family, with the curves of each at its best learning rate. */
export interface SweepFigure extends Common {
  readonly kind: 'ranking' | 'sweep';
  readonly sweeps: readonly Sweep[];
}
/** Ways down sums of functions: of each method, its run with every learning rate. */
export interface DescentFigure extends Common {
  readonly kind: 'descent';
  readonly problems: readonly {
    readonly title: string;
    readonly lines: readonly { readonly label: string; readonly jobs: readonly DescentJob[] }[];
    /** A longer run, drawn nowhere: how low it is possible to come. */
    readonly reference: DescentJob;
  }[];
}
export interface EnsembleFigure extends Common {
  readonly kind: 'ensemble';
  readonly members: readonly TrainJob[];
  readonly student: TrainJob;
}
export type Figure = CurvesFigure | SweepFigure | RangeFigure | EnsembleFigure | DescentFigure;

/** How a learning rate is written: 1e-4, 5e-3, but 1 and 30. */
export function rate(lr: number): string {
  return lr < 1 ? lr.toExponential() : String(lr);
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
    label: `${methods[method].name} ${rate(lr)}`,
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

const sweepsOf = (family: Family, settings: Settings): Sweep[] =>
  family.methods.map((method) => ({
    method,
    family,
    jobs: spread(middleOf(method), settings.rates).map((lr) => train(method, lr)),
  }));

function familyFigures(settings: Settings): SweepFigure[] {
  const all = families.flatMap((family) => sweepsOf(family, settings));
  const batches = all.flatMap(({ method }) => {
    const size = batchOf(settings, method);
    return size === settings.batch
      ? []
      : `${methods[method].name}, a full-batch method, takes mini-batches of ${size}, and so fewer steps in its ${settings.epochs} epochs: it compares the signs of successive gradients, which small mini-batches turn at random.`;
  });
  return [
    {
      id: 'ranking',
      kind: 'ranking',
      title: 'Every class, over learning rates',
      about: `Every class of the library, and SGD with its two momentums, each at ${settings.rates} learning rates half a decade apart; the other options are the defaults, but that ASGD averages over the second half of its run. The highest validation accuracy chooses the best learning rate, which flatters each a little and all alike. A frame marks the best, a triangle the default. ${batches.join(' ')}`,
      sweeps: all,
    },
    ...families.map(
      (family): SweepFigure => ({
        id: `family-${family.id}`,
        kind: 'sweep',
        title: family.title,
        about: `${family.about} First the accuracy at the end of a run with each learning rate, then the curves of each at its best one, which stands behind the name.`,
        sweeps: sweepsOf(family, settings),
      }),
    ),
  ];
}

function descentFigure(settings: Settings): DescentFigure {
  const { passes, rates } = settings;
  // With the middles of their learning rates: these problems' gradients are smaller than the network's.
  const firstOrder: [Method, number][] = [
    ['sgd', 0.3],
    ['momentum', 0.03],
    ['adagrad', 0.1],
    ['adam', 0.01],
  ];
  const size = imagesOfTerm(settings);
  return {
    id: 'second-order',
    kind: 'descent',
    title: 'Second order: SFO and L-BFGS against first-order methods',
    about: `Two sums of ${terms} functions, each the mean loss over a mini-batch of ${size} images at half their width: softmax regression with an L2 penalty, which is convex, and a sigmoid autoencoder with tied weights and ${hidden} hidden units, which is not. An effective pass is ${terms} evaluations of a function and its gradient. SFO takes one function at a time and models the curvature of each, L-BFGS takes the whole sum, the first-order methods step after each function. SFO and L-BFGS run as they come; each first-order method is given its best of ${rates} learning rates half a decade apart, the others are its faint lines. The gap is to the lowest value that any run found, among them L-BFGS over ${10 * passes} passes, which is not drawn.`,
    problems: [
      { title: 'Softmax regression', problem: 'softmax' as const },
      { title: 'Autoencoder', problem: 'autoencoder' as const },
    ].map(({ title, problem }) => {
      const job = { kind: 'descent', problem, passes } as const;
      return {
        title,
        lines: [
          { label: 'SFO', jobs: [{ ...job, method: 'sfo' as const }] },
          { label: 'L-BFGS', jobs: [{ ...job, method: 'lbfgs' as const }] },
          ...firstOrder.map(([method, middle]) => ({
            label: methods[method].name,
            jobs: spread(middle, rates).map((lr) => ({ ...job, method, lr })),
          })),
        ],
        reference: { ...job, method: 'lbfgs', passes: 10 * passes },
      };
    }),
  };
}

/** All figures of the study, in the order of the page. */
export function figures(settings: Settings): Figure[] {
  const members = Array.from({ length: settings.members }, (_, member) =>
    train('adam', 1e-3, { member, ...(member === 0 && { average: true as const }) }),
  );
  const rangeTest = (method: Method): RangeJob => ({ kind: 'range', method, from: 1e-5, to: 1, steps: 120 });
  return [
    ...familyFigures(settings),
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
    descentFigure(settings),
  ];
}

/** The names that `--only` takes. */
export const figureIds: readonly string[] = figures(settingsOf({ seed: 0 })).map((figure) => figure.id);

export function jobsOf(figure: Figure): readonly Job[] {
  switch (figure.kind) {
    case 'ranking':
    case 'sweep':
      return figure.sweeps.flatMap((sweep) => sweep.jobs);
    case 'descent':
      return figure.problems.flatMap(({ lines, reference }) => [reference, ...lines.flatMap((line) => line.jobs)]);
    case 'curves':
      return figure.lines.map((line) => line.job);
    case 'range':
      return figure.jobs;
    case 'ensemble':
      return [...figure.members, figure.student];
  }
}
