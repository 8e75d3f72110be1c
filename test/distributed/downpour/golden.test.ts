// Downpour SGD in round-robin order, against a simulation of one process. Equal to the bit.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { DownpourWorker, ParameterServer } from '../../../lib/distributed/index.js';
import { Adagrad } from '../../../lib/index.js';
import { type Gradient, type Plan, roundRobin } from '../../support/distributed/round-robin.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { numbers, random } from '../../support/random.js';

const f = Math.fround;
const lengths = { matrix: 70, empty: 0, bias: 3 };
const all = lengths.matrix + lengths.bias;
const start = numbers(all, 1);
const targets = [2, 3, 4, 5].map((seed) => numbers(all, seed, 3));

/** Each worker pulls towards a point of its own. */
const gradient: Gradient = (worker, step, w) => w.map((x, i) => f((x - targets[worker]![i]!) * (1 + (step % 3))));

function split(all: ArrayLike<number>): Record<keyof typeof lengths, Float32Array> {
  const [matrix, bias] = [new Float32Array(lengths.matrix), new Float32Array(lengths.bias)];
  for (let i = 0; i < lengths.matrix; i++) matrix[i] = all[i]!;
  for (let i = 0; i < lengths.bias; i++) bias[i] = all[lengths.matrix + i]!;
  return { matrix, empty: new Float32Array(0), bias };
}
const join = ({ matrix, bias }: ReturnType<typeof split>): number[] => [...matrix, ...bias];

const usual: Plan = {
  steps: [7, 7, 7],
  fetchEvery: 1,
  pushEvery: 1,
  warmStart: 0,
  maxStaleness: Number.POSITIVE_INFINITY,
  localLr: 0.03,
  lr: 0.1,
};

/** Runs a plan on a world. Returns the params and statistics of each rank. */
async function run(plan: Plan, gradientOf: Gradient, { servers = 1, seed = 0 } = {}) {
  return onRanks(plan.steps.length + servers, async (world) => {
    const { rank } = world;
    // Training begins from the servers' params.
    const params = split(rank < servers ? start : numbers(all, 100 + rank));
    const { warmStart, maxStaleness, fetchEvery, pushEvery, localLr, lr } = plan;
    if (rank < servers) {
      const server = new ParameterServer(world, params, {
        optimizer: (part) => new Adagrad(part, { lr }),
        order: 'roundRobin',
        servers,
        warmStart,
        ...(Number.isFinite(maxStaleness) ? { maxStaleness } : {}),
      });
      const statistics = await server.serve();
      return { w: join(params), statistics };
    }
    const delay = random(seed * 10 + rank);
    const worker = new DownpourWorker(world, params, { lr: localLr, servers, fetchEvery, pushEvery });
    await worker.fetch();
    for (let step = 1; step <= plan.steps[rank - servers]!; step++) {
      if (seed > 0 && delay() < 0.5) await sleep(4 * delay());
      await worker.step(split(gradientOf(rank - servers, step, join(params))));
    }
    await worker.close();
    return { w: join(params), statistics: undefined };
  });
}

async function check(plan: Plan, gradientOf: Gradient, options: Parameters<typeof run>[2] = {}): Promise<void> {
  const { w, ...counts } = roundRobin(plan, [...start], gradientOf);
  const results = await run(plan, gradientOf, options);
  for (const [rank, result] of results.entries()) {
    expect(result.w, `params of rank ${rank}`).toEqual(w);
    if (result.statistics !== undefined) expect(result.statistics).toEqual({ ...counts, lost: [] });
  }
}

describe.each([1, 2])('%i server(s)', (servers) => {
  test.each<[string, Partial<Plan>]>([
    ['one worker', { steps: [9] }],
    ['three workers', {}],
    ['workers that close early', { steps: [2, 9, 0, 5] }],
    ['fetches every 3 steps', { fetchEvery: 3 }],
    ['pushes of 2 steps, with one left at the end', { pushEvery: 2 }],
    ['fetches and pushes at different steps', { steps: [11, 11], fetchEvery: 2, pushEvery: 3 }],
    ['a warm start', { warmStart: 4 }],
    ['a warm start that the first worker does not reach', { steps: [3, 5], warmStart: 10 }],
    ['pushes that are dropped for their age', { fetchEvery: 4, maxStaleness: 5 }],
  ])('%s', async (_, plan) => {
    await check({ ...usual, ...plan }, gradient, { servers });
  });

  test('pushes with NaN are dropped, and keep their turn', async () => {
    const sick: Gradient = (worker, step, w) =>
      gradient(worker, step, w).map((x, i) => (worker === 1 && step % 3 === 0 && i === all - 1 ? Number.NaN : x));
    await check({ ...usual, steps: [8, 8, 8], pushEvery: 2 }, sick, { servers });
  });
});

test('the bits do not depend on who is slow', async () => {
  for (const seed of [1, 2, 3]) await check({ ...usual, fetchEvery: 2, warmStart: 2 }, gradient, { seed });
});

test('a simulation in another order has other bits', () => {
  const last = (worker: number): number => usual.steps.length - 1 - worker;
  const reversed = roundRobin(usual, [...start], (worker, step, w) => gradient(last(worker), step, w));
  expect(reversed.w).not.toEqual(roundRobin(usual, [...start], gradient).w);
});
