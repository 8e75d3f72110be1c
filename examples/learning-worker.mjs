// The layout of a server with short answers: one worker computes the gradients, steps and saves; the main thread only reads shared
// memory. It answers from the moving averages, of which the worker publishes the rows that a step has moved. It saves to the file
// that STATE names, and a second run resumes from there.
//
// node examples/learning-worker.mjs
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Adam, loadCheckpoint, saveCheckpoint } from 'schuss';
import { dots, scaled } from 'schuss/rows';

const [users, items, width] = [200, 100, 8];
const state = process.env.STATE ?? 'clicks.safetensors';
const saveEvery = 10_000; // milliseconds

const table = (rows) => ({ data: new Float32Array(new SharedArrayBuffer(4 * rows * width)), shape: [rows, width] });
const tables = () => ({ users: table(users), items: table(items) });
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** The worker. `live` is what is trained; `published` is what the main thread reads. */
async function learn({ live, published }) {
  const adam = new Adam(live, { lr: 0.02, rowSteps: true, ema: 0.9 });
  if (existsSync(state)) await loadCheckpoint(state, { params: live, optimizer: adam });
  // emaParams is memory of this thread, which no other can see. So its rows are copied: all at the start, then those of a step.
  for (const name of ['users', 'items']) published[name].data.set(adam.emaParams[name]);
  const publish = (name, rows) => {
    const ema = adam.emaParams[name];
    for (const row of rows) published[name].data.set(ema.subarray(row * width, (row + 1) * width), row * width);
  };

  const step = ({ user, item, clicked }) => {
    const grads = {
      users: { rows: user, values: new Float32Array(user.length * width) },
      items: { rows: item, values: new Float32Array(item.length * width) },
    };
    const scores = dots(live.users, user, live.items, item, new Float32Array(user.length));
    const errors = scores.map((score, i) => sigmoid(score) - clicked[i]); // of the logistic loss
    scaled(live.items, item, errors, grads.users.values);
    scaled(live.users, user, errors, grads.items.values);
    adam.step(grads); // there is no event loop to keep free
    publish('users', user);
    publish('items', item);
  };

  // Every save starts between two steps. Its copy takes the time of this thread, and no request waits for that.
  const save = () => saveCheckpoint(state, { params: live, optimizer: adam });
  let savedAt = Date.now();
  parentPort.on('message', async (batch) => {
    if (batch === 'stop') {
      await save();
      parentPort.close();
      return;
    }
    step(batch);
    if (Date.now() - savedAt > saveEvery) {
      savedAt = Date.now();
      save().catch((error) => console.error(error)); // the old file stays, and the next save tries again
    }
    parentPort.postMessage(adam.stepCount);
  });
  parentPort.postMessage(adam.stepCount);
}

async function serve() {
  const [live, published] = [tables(), tables()];
  for (const { data } of Object.values(live)) for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * i) / 4;
  const worker = new Worker(new URL(import.meta.url), { workerData: { live, published } });
  let [steps] = await once(worker, 'message');
  console.log(steps > 0 ? `resumed at step ${steps}` : 'a new model');

  // One batch is on its way at a time. What arrives meanwhile waits for the next.
  const queue = [];
  let isLearning = false;
  const send = () => {
    if (isLearning || queue.length === 0) return;
    const batch = queue.splice(0, 256);
    isLearning = true;
    worker.postMessage({
      user: Int32Array.from(batch, ({ user }) => user),
      item: Int32Array.from(batch, ({ item }) => item),
      clicked: Float32Array.from(batch, ({ clicked }) => (clicked ? 1 : 0)),
    });
  };
  worker.on('message', (stepCount) => {
    steps = stepCount;
    isLearning = false;
    send();
  });

  // An answer may see some rows before a step and some after it, which does no harm to a score.
  const [u, i, out] = [new Int32Array(1), new Int32Array(1), new Float32Array(1)];
  const score = (user, item) => {
    [u[0], i[0]] = [user, item];
    return sigmoid(dots(published.users, u, published.items, i, out)[0]);
  };

  // In place of requests: each user likes the items of its own parity, and each event is scored before it is learnt.
  let right = 0;
  const [events, last] = [60_000, 5000];
  for (let n = 0; n < events; n++) {
    const [user, item] = [(n * 7919) % users, Math.floor((n * 7919) / users) % items];
    const clicked = (user - item) % 2 === 0;
    if (n >= events - last && score(user, item) > 0.5 === clicked) right++;
    queue.push({ user, item, clicked });
    send();
    while (queue.length > 1000) await setImmediate(); // a server would answer 503
  }
  while (queue.length > 0 || isLearning) await setImmediate();
  worker.postMessage('stop');
  await once(worker, 'exit');
  console.log(`${steps} steps; of the last ${last} events: accuracy ${(right / last).toFixed(3)}`);
}

if (isMainThread) await serve();
else await learn(workerData);
