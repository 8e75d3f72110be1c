import { alternate, secondsOf } from '../alternate.js';
import type { Context } from '../context.js';
import { everyNth } from '../peers/peer.js';
import { closePython } from '../peers/python.js';
import type { Measured, RecommenderRow } from '../results.js';
import { ratioOf, scaled } from '../statistics.js';
import { checkMemory, fillStart } from '../task.js';
import { batchesOf } from './batches.js';
import { byHand } from './by-hand.js';
import { type Model, models, sparseMethods, type Trainer, type Training } from './model.js';
import { ours } from './ours.js';
import { torchTrainer } from './torch.js';

type Way = readonly [id: string, label: string, start: (training: Training) => Trainer | Promise<Trainer>];

/**
 * A recommender's whole training step: scores, gradients and update of the rows of a batch, beside PyTorch's sparse embeddings
 * and beside loops by hand.
 */
export async function recommender({ settings, say }: Context): Promise<Measured<{ rows: RecommenderRow[] }>> {
  const { sizes, batches: counts } = settings.special.recommender;
  const ways: Way[] = [];
  if (settings.peers.includes('js')) ways.push(['by-hand', 'JavaScript loop', byHand]);
  if (settings.peers.includes('torch')) ways.push(['torch', 'PyTorch', torchTrainer]);
  const rows: RecommenderRow[] = [];
  try {
    checkMemory((sizes.users + sizes.items) * sizes.width, 3 * (1 + ways.length));
    for (const model of Object.keys(models) as Model[]) {
      for (const method of sparseMethods) {
        for (const count of counts) {
          say(`recommender, ${models[model]}, ${method}, batches of ${count}`);
          const training = { model, method, sizes, batches: batchesOf(sizes, count) };
          rows.push(...(await oneTraining(training, ways, settings.pace)));
        }
      }
    }
    return { rows };
  } catch (error) {
    return { skipped: (error as Error).message };
  } finally {
    await closePython();
  }
}

async function oneTraining(
  training: Training,
  ways: readonly Way[],
  pace: Context['settings']['pace'],
): Promise<RecommenderRow[]> {
  const { model, method, batches } = training;
  const batch = batches[0]!.clicked.length;
  const expected = await expectation(training);
  const trainers: Trainer[] = [ours(training)];
  const skipped = new Map<string, string>();
  for (const [id, , start] of ways) {
    try {
      const trainer = await start(training);
      trainers.push(trainer);
      await check(trainer, expected);
    } catch (error) {
      skipped.set(id, (error as Error).message);
    }
  }
  const outcomes = await alternate(
    trainers.filter(({ name }) => !skipped.has(name)),
    pace,
  );
  for (const trainer of trainers) await trainer.dispose();
  const mine = secondsOf(outcomes, 'schuss');
  return [['schuss', 'schuss'] as const, ...ways].map(([peer, label]) => {
    const row = { model, method, batch, peer, label };
    const outcome = outcomes.get(peer) ?? { failed: skipped.get(peer)! };
    if ('failed' in outcome) return { ...row, measured: { skipped: outcome.failed } };
    const { seconds } = outcome;
    return { ...row, measured: { nsPerEvent: scaled(seconds, 1e9 / batch), ofOurs: ratioOf(seconds, mine) } };
  });
}

const checkedSteps = 3;
/** Coprime to the widths, so that all columns are checked. */
const checkedStride = 7;
/** Tolerance as a fraction of the largest change: sums round differently. */
const tolerance = 1e-3;
/**
 * The share of weights that may differ more. Where the gradients of a row cancel, rounding decides the sign of their sum, and
 * the first step of Adam has the size lr whatever the sum is.
 */
const allowed = 1e-3;

interface Expectation {
  readonly values: readonly number[];
  readonly error: number;
}

/** The weights after three steps of schuss, and the tolerance. */
async function expectation(training: Training): Promise<Expectation> {
  const { items, width } = training.sizes;
  const before = everyNth(fillStart(new Float32Array(items * width)), checkedStride);
  const trainer = ours(training);
  await trainer.run(checkedSteps);
  const values = Array.from(await trainer.sample(checkedStride));
  await trainer.dispose();
  const change = values.reduce((most, w, i) => Math.max(most, Math.abs(w - before[i]!)), 0);
  return { values, error: tolerance * change };
}

/** @throws Error if a trainer does not compute the same weights */
async function check(trainer: Trainer, { values, error }: Expectation): Promise<void> {
  await trainer.run(checkedSteps);
  const theirs = await trainer.sample(checkedStride);
  // Not `>`: NaN is wrong too.
  const others = values.flatMap((value, i) => (Math.abs(theirs[i]! - value) <= error ? [] : [i]));
  const [first] = others;
  if (first === undefined || others.length <= allowed * values.length) return;
  throw new Error(
    `computes something else: after ${checkedSteps} steps ${theirs[first]} where schuss has ${values[first]}`,
  );
}
