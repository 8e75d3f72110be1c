// Draws docs/guide/distributed-model.svg. With --measure it first measures the threads of this machine.
//
// npm run build:ts && node --import tsx bench/distributed-model/main.ts [--measure]
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runWorkers } from '../../dist/distributed/index.mjs';
import { draw } from '../report/draw.js';
import { inMode } from '../report/theme.js';
import { modelSpec, type NamedNetwork } from './plot.js';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const recorded = path('../results/threads.json');

if (process.argv.includes('--measure')) {
  const { exitCode, reason } = await runWorkers(path('measure.mjs'), { size: 2, argv: [recorded] });
  if (exitCode !== 0) throw new Error(`measure.mjs failed: ${reason}`);
}

interface Threads {
  readonly alpha: number;
  readonly beta: number;
}
const threads = JSON.parse(readFileSync(recorded, 'utf8')) as Threads;
const networks: readonly NamedNetwork[] = [
  { name: 'threads (measured)', ...threads },
  { name: '10 GbE (assumed)', alpha: 30e-6, beta: 0.8e-9 },
  { name: '100 Gb RDMA (assumed)', alpha: 2e-6, beta: 0.08e-9 },
];
writeFileSync(path('../../docs/guide/distributed-model.svg'), `${inMode(await draw(modelSpec(networks)), 'light')}\n`);
