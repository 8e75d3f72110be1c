// An embedding recommender: users and items are rows of two tables, and a score is the dot product of a pair of them. Each batch
// touches a few rows, so its gradients are sparse: { rows, values }. A step costs what these rows cost. schuss/rows computes the
// scores and the gradients natively, without copies.
//
// npx tsx examples/recommender.mts
import { Adagrad } from 'schuss';
import { dots, scaled } from 'schuss/rows';

const [users, items, width, batch, epochs] = [400, 200, 8, 64, 12];

// Pseudo-random numbers, the same in each run.
let seed = 1;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

// Users like items of their own group; a tenth of the clicks are noise. The last tenth of the events is for the test.
const groups = 5;
const events = Array.from({ length: 30_000 }, () => {
  const [user, item] = [Math.floor(random() * users), Math.floor(random() * items)];
  const likes = user % groups === item % groups;
  return { user, item, clicked: random() < 0.1 ? random() < 0.5 : likes };
});
const [train, test] = [events.slice(0, 27_000), events.slice(27_000)];

const table = (rows: number) => ({
  data: Float32Array.from({ length: rows * width }, () => 0.5 * (random() - 0.5)),
  shape: [rows, width] as const,
});
const params = { users: table(users), items: table(items) };
// One accumulator a row, instead of one a weight: half the memory of a large table.
const adagrad = new Adagrad(params, { lr: 0.3, rowWise: true });

// The same arrays in each step, one row for each event of the batch. A row that is named twice gets the sum.
const grads = {
  users: { rows: new Int32Array(batch), values: new Float32Array(batch * width) },
  items: { rows: new Int32Array(batch), values: new Float32Array(batch * width) },
};

const bias = -1; // most pairs are not liked
const probability = (dot: number): number => 1 / (1 + Math.exp(-(dot + bias)));
const scores = new Float32Array(batch);
const errors = new Float32Array(batch);

for (let epoch = 1; epoch <= epochs; epoch++) {
  let loss = 0;
  let count = 0;
  for (let from = 0; from + batch <= train.length; from += batch) {
    for (let i = 0; i < batch; i++) {
      grads.users.rows[i] = train[from + i]!.user;
      grads.items.rows[i] = train[from + i]!.item;
    }
    dots(params.users, grads.users.rows, params.items, grads.items.rows, scores);
    for (let i = 0; i < batch; i++) {
      const { clicked } = train[from + i]!;
      const p = probability(scores[i]!);
      loss -= Math.log(Math.max(clicked ? p : 1 - p, 1e-7));
      errors[i] = p - (clicked ? 1 : 0); // the gradient of the loss for the dot product
      count++;
    }
    // The gradient for a user is the item's row times the error, and the other way round.
    scaled(params.items, grads.items.rows, errors, grads.users.values);
    scaled(params.users, grads.users.rows, errors, grads.items.values);
    adagrad.step(grads);
  }
  if (epoch % 4 === 0) console.log(`epoch ${epoch}: log loss ${(loss / count).toFixed(3)}`);
}

const found = new Float32Array(test.length);
const [testUsers, testItems] = [Int32Array.from(test, ({ user }) => user), Int32Array.from(test, ({ item }) => item)];
dots(params.users, testUsers, params.items, testItems, found);
const right = test.filter(({ clicked }, i) => probability(found[i]!) > 0.5 === clicked).length;
console.log(`new events: accuracy ${(right / test.length).toFixed(3)} (0.95 is the most that the noise allows)`);
