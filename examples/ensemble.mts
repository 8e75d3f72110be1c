// Trains five members, each on noisy data of its own, averages what they predict, and distils them into one student, which is
// better than a member and as fast as one.
//
// npx tsx examples/ensemble.mts
import { Adam, averagePredictions, cosine, distillationLoss, majorityVote } from 'schuss';
import * as network from './network.mts';

const [members, steps, batch] = [5, 400, 50];
const { classes } = network;
const perMember = 100; // each member sees its own points
const train = network.spiral(members * perMember, network.randomFrom(1), 0.2); // a fifth of the labels are chance
const unlabelled = network.spiral(2000, network.randomFrom(3)).points;
const test = network.spiral(2000, network.randomFrom(2));

/** Trains a network on random batches of points. `gradient` writes the gradient for the logits of a batch. */
function trained(
  seed: number,
  points: Float32Array,
  gradient: (logits: Float32Array, batch: Int32Array, grad: Float32Array) => void,
): network.Arrays {
  const random = network.randomFrom(seed);
  const [weights, grads] = [network.arrays(), network.arrays()];
  network.initialize(weights, random);
  const adam = new Adam(weights, { lr: cosine(0.02, { steps }), zeroGrads: true });
  const [x, grad] = [new Float32Array(2 * batch), new Float32Array(batch * classes)];
  for (let step = 0; step < steps; step++) {
    const chosen = Int32Array.from({ length: batch }, () => Math.floor((random() * points.length) / 2));
    chosen.forEach((point, i) => {
      x.set(points.subarray(2 * point, 2 * point + 2), 2 * i);
    });
    gradient(network.logitsOf(weights, x), chosen, grad);
    for (let i = 0; i < batch; i++) {
      const own = x.subarray(2 * i, 2 * i + 2);
      const { h } = network.forward(weights, own);
      network.backward(weights, grads, own, h, grad.subarray(classes * i, classes * (i + 1)));
    }
    adam.step(grads);
  }
  return weights;
}

const all = Array.from({ length: members }, (_, m) =>
  trained(m + 10, train.points.subarray(2 * perMember * m, 2 * perMember * (m + 1)), (logits, chosen, grad) => {
    chosen.forEach((place, i) => {
      const point = perMember * m + place;
      const row = logits.subarray(classes * i, classes * (i + 1));
      grad.set(
        network.crossEntropyGradient(row, train.labels[point]!).map((v) => v / batch),
        classes * i,
      );
    });
  }),
);

const onTest = all.map((weights) => network.logitsOf(weights, test.points));
const single = onTest.map((logits) => network.accuracy(logits, test.labels));
console.log(`members: accuracy ${single.map((a) => a.toFixed(3)).join(', ')}`);

const votes = majorityVote(onTest, { classes });
const voted = votes.filter((vote, i) => vote === test.labels[i]).length / votes.length;
const averaged = network.accuracy(averagePredictions(onTest, { from: 'logits', classes }), test.labels);
console.log(`majority vote ${voted.toFixed(3)}, average of the probabilities ${averaged.toFixed(3)}`);

// The student learns what the members predict for points that nobody has labelled.
const opinions = all.map((weights) => network.logitsOf(weights, unlabelled));
const student = trained(99, unlabelled, (logits, chosen, grad) => {
  const teachers = opinions.map((rows) => {
    const own = new Float32Array(batch * classes);
    chosen.forEach((point, i) => {
      own.set(rows.subarray(classes * point, classes * (point + 1)), classes * i);
    });
    return own;
  });
  distillationLoss(logits, teachers, { classes, temperature: 2, grad });
});
const mean = single.reduce((a, b) => a + b) / members;
const own = network.accuracy(network.logitsOf(student, test.points), test.labels);
console.log(`mean member ${mean.toFixed(3)}, student ${own.toFixed(3)}`);
