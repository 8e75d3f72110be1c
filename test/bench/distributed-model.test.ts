// The α-β model of bench/ against efficiencies that were computed apart from it, rounded to two places.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dataParallel, downpour, efficiency, type Network, zero1 } from '../../bench/distributed-model/model.js';
import { root } from '../support/root.js';

const work = { n: 1e8, compute: 0.5 };
const ethernet: Network = { alpha: 30e-6, beta: 0.8e-9 };
const fast: Network = { alpha: 2e-6, beta: 0.08e-9 };

describe('10⁸ parameters and half a second of computing', () => {
  test.each([
    ['10 GbE', 2, ethernet, 0.58, 0.59, 0.7],
    ['10 GbE', 8, ethernet, 0.45, 0.46, 0.59],
    ['10 GbE', 32, ethernet, 0.42, 0.43, 0.57],
    ['10 GbE', 1024, ethernet, 0.41, 0.42, 0.56],
    ['100 Gb RDMA', 2, fast, 0.86, 0.89, 0.89],
    ['100 Gb RDMA', 8, fast, 0.82, 0.86, 0.85],
    ['100 Gb RDMA', 32, fast, 0.8, 0.85, 0.85],
    ['100 Gb RDMA', 1024, fast, 0.8, 0.85, 0.84],
  ])('%s, %i ranks', (_, p, network, plain, sharded, half) => {
    const of = (seconds: number): number => Number(efficiency(work, seconds).toFixed(2));
    expect([
      of(dataParallel(p, work, network)),
      of(zero1(p, work, network)),
      of(dataParallel(p, work, network, 2)),
    ]).toEqual([plain, sharded, half]);
  });

  test.each([
    [2, 0.36, 0.89],
    [8, 0.09, 0.89],
    [32, 0.02, 0.89],
    [1024, 0, 0.89],
  ])('Downpour with %i workers over 10 GbE', (p, one, many) => {
    const of = (servers: number, every: number): number =>
      Number(efficiency(work, downpour(p, work, ethernet, { servers, every })).toFixed(2));
    expect([of(1, 1), of(Math.max(1, p / 8), 10)]).toEqual([one, many]);
  });
});

test('the guide names the numbers that were measured', () => {
  const { alpha, beta } = JSON.parse(readFileSync(join(root, 'bench', 'results', 'threads.json'), 'utf8')) as Network;
  const guide = readFileSync(join(root, 'docs', 'guide', 'distributed.md'), 'utf8');
  expect(guide).toContain(`α = ${(1e6 * alpha).toFixed(1)} µs and β = ${(1e9 * beta).toFixed(2)} ns`);
});
