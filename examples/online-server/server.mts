// An HTTP server that learns while it serves. It queues incoming events and learns them on other threads (stepAsync), with sparse
// gradients for the rows that they name. Meanwhile it serves predictions. Its state survives a restart.
//
// PORT=3000 STATE=./recommender.state npx tsx examples/online-server/server.mts
//
// curl localhost:3000/events -H 'content-type: application/json' -d '[{"user":1,"item":2,"clicked":true}]'
// curl 'localhost:3000/score?user=1&item=2'; curl 'localhost:3000/recommend?user=1&count=3'; curl localhost:3000/stats
import { existsSync } from 'node:fs';
import fastify from 'fastify';
import { backend } from 'schuss';
import { type Event, Recommender } from './recommender.mts';

const { PORT = '3000', STATE = 'recommender.state', USERS = '10000', ITEMS = '1000' } = process.env;
const sizes = { users: Number(USERS), items: Number(ITEMS), width: 16 };
const queueLimit = 20_000;
const saveEvery = 60_000; // milliseconds

const model = new Recommender(sizes);
if (existsSync(STATE)) await model.load(STATE);

const app = fastify({ logger: { level: 'warn' } });

// The events to learn, and the one run that learns them.
let queue: Event[] = [];
let learning: Promise<void> | undefined;
let savedAt = Date.now();

async function learnAll(): Promise<void> {
  try {
    while (queue.length > 0) {
      const events = queue;
      queue = [];
      await model.learn(events);
      if (Date.now() - savedAt > saveEvery) await save();
    }
  } catch (error) {
    app.log.error(error);
  } finally {
    learning = undefined;
  }
}

async function save(): Promise<void> {
  await model.save(STATE);
  savedAt = Date.now();
}

function startLearning(): void {
  if (learning === undefined && queue.length > 0) learning = learnAll();
}

const user = { type: 'integer', minimum: 0, maximum: sizes.users - 1 };
const item = { type: 'integer', minimum: 0, maximum: sizes.items - 1 };
const event = {
  type: 'object',
  required: ['user', 'item', 'clicked'],
  additionalProperties: false,
  properties: { user, item, clicked: { type: 'boolean' } },
};

app.post<{ Body: Event[] }>(
  '/events',
  { schema: { body: { type: 'array', maxItems: queueLimit, items: event } } },
  async ({ body }, reply) => {
    if (queue.length + body.length > queueLimit)
      return reply.code(503).header('retry-after', 1).send({ queued: queue.length });
    queue.push(...body);
    startLearning();
    return reply.code(202).send({ queued: queue.length });
  },
);

app.get<{ Querystring: { user: number; item: number } }>(
  '/score',
  { schema: { querystring: { type: 'object', required: ['user', 'item'], properties: { user, item } } } },
  async ({ query }) => ({ score: model.score(query.user, query.item) }),
);

const count = { type: 'integer', minimum: 1, maximum: 100, default: 10 };
app.get<{ Querystring: { user: number; count: number } }>(
  '/recommend',
  { schema: { querystring: { type: 'object', required: ['user'], properties: { user, count } } } },
  async ({ query }) => model.recommend(query.user, query.count),
);

app.get('/stats', async () => ({
  steps: model.steps,
  queued: queue.length,
  learning: learning !== undefined,
  logLoss: model.logLoss,
  backend: backend(),
}));

// On close, the server takes no new requests, learns the queued events, and saves everything.
app.addHook('onClose', async () => {
  startLearning();
  await learning;
  await save();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close());

console.log(`listening on ${await app.listen({ port: Number(PORT), host: '127.0.0.1' })}`);
