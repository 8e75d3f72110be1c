import type { Decay, DescentJob, Job, Method, RangeJob, Settings, TrainJob } from './job.js';
import { hueLook, type Look, lookOf, orderedLook } from './looks.js';
import { defaultLr, type Family, families, methods, middleOf, ratesOf, spread } from './methods.js';
import { batchOf, emaDecay, settingsOf } from './settings.js';
import { curvatureTerms, hidden, imagesOfTerm, terms } from './sums.js';

/** A line of a figure: its label in the legend, its look, and its run, which is repeated for each seed. */
export interface Line {
  readonly label: string;
  readonly look: Look;
  readonly job: TrainJob;
}

interface Common {
  /** The figure's name in `--only`, and its anchor in the page. */
  readonly id: string;
  readonly title: string;
  /** What was done; never the result. */
  readonly about: string;
}

/** Training loss, training accuracy and validation accuracy of several runs; `also` adds one more panel. */
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
/**
 * `worth` and `ranking` compare all methods: `worth` with as many learning rates for each, chosen by one rule. `sweep` shows
 * one family, with the curves of each method at its best learning rate.
 */
export interface SweepFigure extends Common {
  readonly kind: 'worth' | 'ranking' | 'sweep';
  readonly sweeps: readonly Sweep[];
}
/** Minimization of sums of functions: each method with every one of its learning rates. */
export interface DescentFigure extends Common {
  readonly kind: 'descent';
  readonly problems: readonly {
    readonly title: string;
    readonly lines: readonly { readonly label: string; readonly look: Look; readonly jobs: readonly DescentJob[] }[];
    /** A longer run that is not drawn. It bounds the lowest value that can be reached. */
    readonly reference: DescentJob;
  }[];
}
export interface EnsembleFigure extends Common {
  readonly kind: 'ensemble';
  readonly members: readonly TrainJob[];
  readonly student: TrainJob;
}
export type Figure = CurvesFigure | SweepFigure | RangeFigure | EnsembleFigure | DescentFigure;

/** A learning rate as text: 1e-4, 5e-3, but 1 and 30. */
export function rate(lr: number): string {
  return lr < 1 ? lr.toExponential() : String(lr);
}

const train = (method: Method, lr: number, more: Partial<TrainJob> = {}): TrainJob => ({
  kind: 'train',
  method,
  lr,
  repeat: 0,
  ...more,
});
const models = (lrs: Partial<Record<Method, number>>): Line[] =>
  (Object.entries(lrs) as [Method, number][]).map(([method, lr]) => ({
    label: `${methods[method].name} ${rate(lr)}`,
    look: lookOf(method),
    job: train(method, lr),
  }));
const rates = (method: Method, lrs: readonly number[]): Line[] =>
  lrs.map((lr, i) => ({ label: `lr ${rate(lr)}`, look: orderedLook(i, lrs.length), job: train(method, lr) }));

function decayLines(method: Method, lr: number): Line[] {
  const decays: [string, Decay | undefined][] = [
    ['constant', undefined],
    ['step, × ½ at each quarter', 'step'],
    ['exponential, e^(−3k/steps)', 'exponential'],
    ['1/t, 1/(1 + 9k/steps)', '1/t'],
    ['cosine to 0', 'cosine'],
  ];
  return decays.map(([label, decay], i) => ({ label, look: hueLook(i), job: train(method, lr, decay && { decay }) }));
}

const sweepsOf = (family: Family, settings: Settings): Sweep[] =>
  family.methods.map((method) => ({
    method,
    family,
    jobs: ratesOf(method, settings.rates).map((lr) => train(method, lr)),
  }));

function familyFigures(settings: Settings): SweepFigure[] {
  const all = families.flatMap((family) => sweepsOf(family, settings));
  const batches = all.flatMap(({ method }) => {
    const size = batchOf(settings, method);
    return size === settings.batch
      ? []
      : `${methods[method].name}, a full-batch method, uses mini-batches of ${size}, so that its ${settings.epochs} epochs have fewer steps. It compares the signs of successive gradients, which small mini-batches flip at random.`;
  });
  // Where the default is far from the best rate on this task.
  const elsewhere = all.flatMap(({ method }) => {
    const [lr, middle] = [defaultLr(method), middleOf(method)];
    return lr === undefined || lr === middle
      ? []
      : [`${methods[method].name} around ${rate(middle)} and at its default of ${rate(lr)}`];
  });
  const without = all.flatMap(({ method }) => (defaultLr(method) === undefined ? [methods[method].name] : []));
  return [
    {
      id: 'worth',
      kind: 'worth',
      title: 'Which of these is worth it',
      about: `Every class of the library, and SGD with momentum and Nesterov momentum, with an equal budget: ${settings.rates} learning rates each, half a decade apart, with the default of the class in the middle (0.01 if it has none), and ${settings.seeds === 1 ? 'one seed' : `${settings.seeds} seeds`} at each rate. The rate taken is the one with the lowest median of the final training loss, so that the validation images choose nothing and their accuracy is a fair test. All other options are the defaults, except that ASGD averages over the second half of its run, and Shampoo and SOAP have blocks of at most 128. ${batches.join(' ')} L-BFGS, SFO and Hessian-free are not here: they need the same functions at each call, and this network gives them other images in each step. The figure of the second order compares them with first-order methods at equal work.`,
      sweeps: all.map((sweep) => ({
        ...sweep,
        jobs: spread(defaultLr(sweep.method) ?? 1e-2, settings.rates).map((lr) => train(sweep.method, lr)),
      })),
    },
    {
      id: 'ranking',
      kind: 'ranking',
      title: 'Every class, over learning rates',
      about: `Every class of the library, and SGD with momentum and Nesterov momentum, each at ${settings.rates} learning rates half a decade apart, around the default of its class. ${elsewhere.length === 0 ? '' : `Tried elsewhere: ${elsewhere.join('; ')}. `}${without.length === 0 ? '' : `No default: ${without.join(', ')}. `}All other options are the defaults, except that ASGD averages over the second half of its run, and Shampoo and SOAP have blocks of at most 128. The best learning rate is the one with the highest validation accuracy, which favours every method slightly and equally. A run that diverged, with any seed, has no accuracy and ranks below all others: its loss became infinite or NaN, or ended above that of the untrained network. A frame marks the best learning rate, a triangle the default. ${batches.join(' ')}`,
      sweeps: all,
    },
    ...families.map(
      (family): SweepFigure => ({
        id: `family-${family.id}`,
        kind: 'sweep',
        title: family.title,
        about: `${family.about} First panel: the accuracy at the end of a run with each learning rate. Other panels: the curves of each method at its best learning rate, which follows the name.`,
        sweeps: sweepsOf(family, settings),
      }),
    ),
  ];
}

function descentFigure(settings: Settings): DescentFigure {
  const { passes, rates } = settings;
  // Each with the middle of its learning rates: the gradients of these problems are smaller than those of the network.
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
    title: 'Second order: SFO, L-BFGS and Hessian-free against first-order methods',
    about: `Two sums of ${terms} functions, each the mean loss over a mini-batch of ${size} images at half their width: softmax regression with an L2 penalty, which is convex, and a sigmoid autoencoder with tied weights and ${hidden} hidden units, which is not. A pass is the work of ${terms} evaluations of a function and its gradient. SFO evaluates one function at a time and models the curvature of each. L-BFGS evaluates the whole sum. Hessian-free evaluates the whole sum, too, and multiplies vectors by the Gauss-Newton matrix of ${curvatureTerms} of the functions, others in each iteration. These products are work as well. They count by their multiplications, 1.5 times those of a gradient for softmax regression and 1.4 times for the autoencoder. An iteration takes dozens of them and has no new point before its end: hence the steps of its line. The first-order methods step after each function. SFO, L-BFGS and Hessian-free run with their defaults. Each first-order method is drawn at the best of ${rates} learning rates half a decade apart, with the others as faint lines. The gap is the distance to the lowest value that any run found, including L-BFGS over ${10 * passes} passes, which is not drawn.`,
    problems: [
      { title: 'Softmax regression', problem: 'softmax' as const },
      { title: 'Autoencoder', problem: 'autoencoder' as const },
    ].map(({ title, problem }) => {
      const job = { kind: 'descent', problem, passes } as const;
      return {
        title,
        lines: [
          { label: 'SFO', look: lookOf('sfo'), jobs: [{ ...job, method: 'sfo' as const }] },
          { label: 'L-BFGS', look: lookOf('lbfgs'), jobs: [{ ...job, method: 'lbfgs' as const }] },
          { label: 'Hessian-free', look: lookOf('hessianFree'), jobs: [{ ...job, method: 'hessianFree' as const }] },
          ...firstOrder.map(([method, middle]) => ({
            label: methods[method].name,
            look: lookOf(method),
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
  const members = Array.from({ length: settings.members }, (_, repeat) =>
    train('adam', 1e-3, { repeat, ...(repeat === 0 && { average: true as const }) }),
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
      about: 'A usual learning rate for each optimizer; it follows the name.',
      lines: models({ sgd: 5e-3, momentum: 5e-3, rmsprop: 1e-4, adam: 1e-3 }),
    },
    {
      id: 'same-rate',
      kind: 'curves',
      title: 'Six optimizers at one learning rate',
      about: 'The same four optimizers, Nesterov momentum and Adagrad, all at 1e-3.',
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
        'SGD with momentum 0.9 and an initial learning rate of 1e-2: constant, or decayed by four schedules. k is the number of completed steps.',
      lines: decayLines('momentum', 1e-2),
    },
    {
      id: 'range-test',
      kind: 'range',
      title: 'Learning rate range test',
      about:
        'The learning rate grows geometrically from 1e-5 to 1 within 120 steps of one run. The vertical line is the suggestion of lrRangeTest: the learning rate at which the loss falls fastest. The test ends when the loss has exploded. Losses above 1.5 times the first one are cut off.',
      jobs: [rangeTest('sgd'), rangeTest('momentum'), rangeTest('adam')],
    },
    {
      id: 'bias-correction',
      kind: 'curves',
      also: 'updates',
      title: 'Adam with and without bias correction',
      about:
        'Adam at 1e-3. Its moving averages start at zero, and bias correction divides them by the sum of their weights so far. The first panel shows the size of the first steps: the root mean square change of all parameters.',
      lines: [
        { label: 'bias-corrected', look: lookOf('adam'), job: train('adam', 1e-3) },
        { label: 'uncorrected', look: lookOf('uncorrectedAdam'), job: train('uncorrectedAdam', 1e-3) },
      ],
    },
    {
      id: 'ensemble',
      kind: 'ensemble',
      title: 'Ensembles',
      about: `${settings.members} networks trained with Adam at 1e-3, each with its own initial weights and order of batches. The bars show each member alone, the average of their predicted probabilities, their majority vote, which has no loss because it has no probabilities, and a student distilled from the average. SWA and EMA are running averages of the weights of member 1. SWA averages the weights at each scoring in the last 40% of the run. EMA averages the weights after every step with decay ${emaDecay(settings)}.`,
      members,
      // It has its own initial weights, as if it were one more member.
      student: train('adam', 1e-3, { repeat: settings.members, teachers: members }),
    },
    descentFigure(settings),
  ];
}

/** The values of `--only`. */
export const figureIds: readonly string[] = figures(settingsOf({ seed: 0 })).map((figure) => figure.id);

export function jobsOf(figure: Figure): readonly Job[] {
  switch (figure.kind) {
    case 'worth':
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
