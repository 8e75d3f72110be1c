import { averagePredictions, majorityVote } from '../common/schuss.js';
import type { Data, Examples } from './data.js';
import { score } from './experiment.js';
import type { EnsembleFigure } from './figures.js';
import type { Scores } from './job.js';
import type { Results } from './pool.js';

/** One bar of the ensemble's figure. A majority vote has no probabilities and therefore no loss. */
export interface Bar {
  readonly label: string;
  readonly group: 'member' | 'combined' | 'student' | 'weights';
  readonly loss: number | null;
  readonly trainAccuracy: number;
  readonly validationAccuracy: number;
}

/** Bars for each member and each way to combine them. Members that diverged are left out. */
export function ensembleBars(figure: EnsembleFigure, results: Results, data: Data): Bar[] {
  const bar = (label: string, group: Bar['group'], { train, validation }: Scores): Bar => ({
    label,
    group,
    loss: train.loss,
    trainAccuracy: train.accuracy,
    validationAccuracy: validation.accuracy,
  });
  const { classes } = data;
  const members = figure.members.map((job) => results.get(job));
  const alive = members.flatMap(({ logits }) => logits ?? []);
  const scored = (
    side: (logits: { train: Float32Array; validation: Float32Array }) => Float32Array,
    examples: Examples,
  ) => {
    const averaged = averagePredictions(alive.map(side), { from: 'logits', classes });
    const vote = majorityVote(alive.map(side), { classes });
    return {
      // Logarithms of probabilities are logits: their softmax is the probabilities.
      average: score(averaged.map(Math.log), examples, classes),
      vote: vote.filter((label, i) => label === examples.labels[i]).length / examples.labels.length,
    };
  };

  const bars = members.flatMap(({ logits, scores }, i) => {
    const last = scores.at(-1);
    return logits && last ? bar(`member ${i + 1}`, 'member', last) : [];
  });
  if (alive.length > 0) {
    const train = scored((logits) => logits.train, data.train);
    const validation = scored((logits) => logits.validation, data.validation);
    bars.push(bar('averaged predictions', 'combined', { train: train.average, validation: validation.average }));
    bars.push({
      label: 'majority vote',
      group: 'combined',
      loss: null,
      trainAccuracy: train.vote,
      validationAccuracy: validation.vote,
    });
  }
  const student = results.get(figure.student);
  const last = student.scores.at(-1);
  if (student.logits && last) bars.push(bar('distilled student', 'student', last));
  const averages = members[0]?.averages;
  if (averages)
    bars.push(
      bar('SWA weights of member 1', 'weights', averages.swa),
      bar('EMA weights of member 1', 'weights', averages.ema),
    );
  return bars;
}
