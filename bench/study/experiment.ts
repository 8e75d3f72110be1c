import type * as tfjs from '@tensorflow/tfjs-core';
import { Random } from '../common/random.js';
import {
  constant,
  cosine,
  distillationLoss,
  exponentialDecay,
  inverseTimeDecay,
  lrRangeTest,
  type Optimizer,
  type Schedule,
  stepDecay,
  WeightAverage,
} from '../common/schuss.js';
import type { Data, Examples } from './data.js';
import { descend } from './descend.js';
import type {
  Decay,
  DescentJob,
  Job,
  RangeJob,
  RangeResult,
  ResultOf,
  Score,
  Scores,
  Settings,
  TrainJob,
  TrainResult,
} from './job.js';
import { newOptimizer, stepOf } from './methods.js';
import { crossEntropy, externalLoss, Network } from './network.js';
import { batchOf, distillation, emaDecay, stepsOf, stepsPerEpoch } from './settings.js';

/** Everything that a job needs besides its own description. */
export interface Context {
  readonly tf: typeof tfjs;
  readonly data: Data;
  readonly settings: Settings;
  /** Training logits of the job's teachers. */
  readonly teachers: readonly Float32Array[];
  /** Called as steps are done. */
  readonly onSteps?: (steps: number) => void;
}

/** The four decay schedules, each spanning the whole run of `steps`. */
const decays: Record<Decay, (lr: number, steps: number) => Schedule> = {
  step: (lr, steps) => stepDecay(lr, { every: Math.ceil(steps / 4), factor: 0.5 }),
  exponential: (lr, steps) => exponentialDecay(lr, { rate: 3 / steps }),
  '1/t': (lr, steps) => inverseTimeDecay(lr, { rate: 9 / steps }),
  cosine: (lr, steps) => cosine(lr, { steps }),
};

/** Runs a job. The same job, data and settings give the same numbers in every worker. */
export function perform<J extends Job>(job: J, context: Context): ResultOf<J> {
  const kinds = {
    train: () => train(job as TrainJob, context),
    range: () => rangeTest(job as RangeJob, context),
    descent: () => descend(job as DescentJob, context.data, context.settings, () => context.onSteps?.(1)),
  };
  return kinds[job.kind]() as ResultOf<J>;
}

function train(job: TrainJob, context: Context): TrainResult {
  const { settings } = context;
  const steps = stepsOf(job, settings);
  const scoreEvery = Math.max(1, Math.round(stepsPerEpoch(settings, job.method) / settings.scoresPerEpoch));
  const network = newNetwork(job.repeat, context);
  const schedule = job.decay === undefined ? constant(job.lr) : decays[job.decay](job.lr, steps);
  const optimizer = newOptimizer(job.method, network.shaped, schedule, settings);
  const swa = new WeightAverage(network.params, { mode: 'swa' });
  const ema = new WeightAverage(network.params, { decay: emaDecay(settings) });
  const nextBatch = batches(job, context);

  const before = network.params.map((param) => param.slice());
  const losses: number[] = [];
  const lrs: number[] = [];
  const updates: number[] = [];
  const scores: (Scores & { step: number })[] = [];
  let logits: TrainResult['logits'] = null;
  let divergedAt: number | null = null;

  for (let step = 0; divergedAt === null; step++) {
    if (step % scoreEvery === 0 || step === steps) {
      logits = logitsOf(network, context, averageOf(optimizer));
      const current = scoresOf(logits, context);
      if (Number.isFinite(current.train.loss)) scores.push({ step, ...current });
      else divergedAt = step;
      // Only the last part of the run is averaged: early weights would spoil the average.
      if (job.average && step >= 0.6 * steps) swa.update();
    }
    if (step === steps || divergedAt !== null) break;
    const { inputs, rows } = nextBatch();
    const { loss, gradients } = network.lossAndGradients(inputs, lossOf(job, rows, context));
    if (Number.isFinite(loss)) {
      network.params.forEach((param, i) => {
        before[i]!.set(param);
      });
      stepOf(job.method, optimizer, gradients, loss);
      losses.push(loss);
      lrs.push(schedule(step + 1));
      updates.push(rootMeanSquareChange(before, network.params));
      if (job.average) ema.update();
      context.onSteps?.(1);
    } else {
      divergedAt = step;
    }
  }
  optimizer.dispose();
  const common = { kind: 'train', losses, lrs, updates, scores } as const;
  if (divergedAt !== null) {
    context.onSteps?.(steps - losses.length);
    return { ...common, divergedAt, logits: null };
  }
  const averages = job.average && {
    swa: scoresOf(logitsOf(network, context, swa.params), context),
    ema: scoresOf(logitsOf(network, context, ema.params), context),
  };
  return { ...common, divergedAt, logits, ...(averages && { averages }) };
}

function rangeTest(job: RangeJob, context: Context): RangeResult {
  const network = newNetwork(0, context);
  const optimizer = newOptimizer(job.method, network.shaped, job.from, context.settings);
  const nextBatch = batches({ ...job, repeat: 0 }, context);
  const { lrs, losses, suggestion } = lrRangeTest(
    optimizer,
    () => {
      const { inputs, rows } = nextBatch();
      const { loss, gradients } = network.lossAndGradients(
        inputs,
        crossEntropy(context.tf, labelsOf(context.data.train, rows)),
      );
      stepOf(job.method, optimizer, gradients, loss);
      context.onSteps?.(1);
      return loss;
    },
    { from: job.from, to: job.to, steps: job.steps },
  );
  optimizer.dispose();
  return { kind: 'range', lrs: [...lrs], losses: [...losses], suggestion };
}

/** The averaged weights of an optimizer that keeps such an average; undefined for all others. */
function averageOf(optimizer: Optimizer): readonly Float32Array[] | undefined {
  // Empty before the first step.
  return optimizer.stepCount > 0 && 'averagedParams' in optimizer
    ? (optimizer.averagedParams as Float32Array[])
    : undefined;
}

function newNetwork(repeat: number, { tf, data, settings }: Context): Network {
  return new Network(
    tf,
    [data.inputs, ...settings.hidden, data.classes],
    new Random(settings.seed, `weights ${repeat}`),
  );
}

/** Mini-batches, in a new random order each epoch. Images left over at the end of an epoch are skipped. */
function batches(
  { method, repeat }: Pick<TrainJob, 'method' | 'repeat'>,
  { data, settings }: Context,
): () => { inputs: Float32Array; rows: Int32Array } {
  const random = new Random(settings.seed, `batches ${repeat}`);
  const size = batchOf(settings, method);
  const inputs = new Float32Array(size * data.inputs);
  let order = new Int32Array(0);
  let next = 0;
  return () => {
    if (next + size > order.length) {
      order = random.permutation(settings.train) as Int32Array<ArrayBuffer>;
      next = 0;
    }
    const rows = order.subarray(next, next + size);
    next += size;
    rows.forEach((row, i) => {
      inputs.set(data.train.inputs.subarray(row * data.inputs, (row + 1) * data.inputs), i * data.inputs);
    });
    return { inputs, rows };
  };
}

function lossOf(job: TrainJob, rows: Int32Array, { tf, data, teachers }: Context) {
  const labels = labelsOf(data.train, rows);
  if (job.teachers === undefined) return crossEntropy(tf, labels);
  const { classes } = data;
  const teacher = teachers.map((logits) => {
    const batch = new Float32Array(rows.length * classes);
    rows.forEach((row, i) => {
      batch.set(logits.subarray(row * classes, (row + 1) * classes), i * classes);
    });
    return batch;
  });
  return externalLoss(tf, (logits, grad) =>
    distillationLoss(logits, teacher, { classes, ...distillation, labels, grad }),
  );
}

function labelsOf(examples: Examples, rows: Int32Array): Int32Array {
  return rows.map((row) => examples.labels[row] as number);
}

type Logits = NonNullable<TrainResult['logits']>;

function logitsOf(network: Network, { data }: Context, params?: readonly Float32Array[]): Logits {
  return {
    train: network.logits(data.train.inputs, params),
    validation: network.logits(data.validation.inputs, params),
  };
}

function scoresOf(logits: Logits, { data: { train, validation, classes } }: Context): Scores {
  return { train: score(logits.train, train, classes), validation: score(logits.validation, validation, classes) };
}

/** Mean cross-entropy and accuracy of logits, one matrix row for each example. The lowest class wins a tie. */
export function score(logits: Float32Array, { labels }: Examples, classes: number): Score {
  let loss = 0;
  let right = 0;
  labels.forEach((label, row) => {
    const values = logits.subarray(row * classes, (row + 1) * classes);
    const most = values.reduce((a, b) => Math.max(a, b));
    loss +=
      Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0)) - ((values[label] as number) - most);
    if (values.indexOf(most) === label) right++;
  });
  return { loss: loss / labels.length, accuracy: right / labels.length };
}

function rootMeanSquareChange(before: readonly Float32Array[], after: readonly Float32Array[]): number {
  let sum = 0;
  let count = 0;
  before.forEach((old, i) => {
    const now = after[i] as Float32Array;
    for (let k = 0; k < old.length; k++) {
      const change = now[k]! - old[k]!;
      sum += change * change;
    }
    count += old.length;
  });
  return Math.sqrt(sum / count);
}
