// A recommender that all ranks train at once, without locks: the tables of users and items are in memory that they share. A batch
// touches few rows, so two ranks seldom write the same one.
//
// npx schuss launch -n 2 examples/distributed/hogwild.mjs
import { Adagrad } from 'schuss';
import { hogwild, init, shardIndices } from 'schuss/distributed';
import { dots, scaled } from 'schuss/rows';

const [users, items, width, batch, epochs, groups] = [400, 200, 8, 32, 12, 5];

// Pseudo-random numbers, the same on each rank, so all have the same events.
let seed = 1;
function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

// Users like items of their own group; a tenth of the clicks are noise. The last tenth of the events is for the test.
const events = Array.from({ length: 30_000 }, () => {
  const [user, item] = [Math.floor(random() * users), Math.floor(random() * items)];
  return { user, item, clicked: random() < 0.1 ? random() < 0.5 : user % groups === item % groups };
});
const [train, test] = [events.slice(0, 27_000), events.slice(27_000)];

const table = (rows) => ({
  data: Float32Array.from({ length: rows * width }, () => 0.5 * (random() - 0.5)),
  shape: [rows, width],
});

const world = await init();
// Each rank's optimizer has its own accumulators, of the gradients that it has seen.
const { params, optimizer } = await hogwild(
  world,
  { users: table(users), items: table(items) },
  (shared) => new Adagrad(shared, { lr: 0.3, rowWise: true }),
);

const bias = -1; // most pairs are not liked
const probability = (dot) => 1 / (1 + Math.exp(-(dot + bias)));
const scores = new Float32Array(batch);
const errors = new Float32Array(batch);
const gradient = () => ({ rows: new Int32Array(batch), values: new Float32Array(batch * width) });
const grads = { users: gradient(), items: gradient() };

for (let epoch = 0; epoch < epochs; epoch++) {
  const own = shardIndices(train.length, world, { seed: 1, epoch }); // this rank's part of the events
  for (let from = 0; from + batch <= own.length; from += batch) {
    for (let i = 0; i < batch; i++) {
      grads.users.rows[i] = train[own[from + i]].user;
      grads.items.rows[i] = train[own[from + i]].item;
    }
    dots(params.users, grads.users.rows, params.items, grads.items.rows, scores);
    for (let i = 0; i < batch; i++) errors[i] = probability(scores[i]) - (train[own[from + i]].clicked ? 1 : 0);
    scaled(params.items, grads.items.rows, errors, grads.users.values);
    scaled(params.users, grads.users.rows, errors, grads.items.values);
    optimizer.step(grads);
  }
}
await world.barrier(); // now the params are final

if (world.rank === 0) {
  const found = new Float32Array(test.length);
  const [testUsers, testItems] = [Int32Array.from(test, ({ user }) => user), Int32Array.from(test, ({ item }) => item)];
  dots(params.users, testUsers, params.items, testItems, found);
  const right = test.filter(({ clicked }, i) => probability(found[i]) > 0.5 === clicked).length;
  console.log(`${world.size} ranks, ${optimizer.stepCount} steps each`);
  console.log(`new events: accuracy ${(right / test.length).toFixed(3)} (0.95 is the most that the noise allows)`);
}
await world.close();
