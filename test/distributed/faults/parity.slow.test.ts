// A job that dies and starts again from its checkpoints, against the same job without a fault.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { job, joined } from '../../support/job.js';
import { root } from '../../support/root.js';

/** 60 steps of data-parallel AdamW, saved every ten steps by rank 0. Rank 1 runs `fault` once, in step 25. */
const script = (fault: string): string => `
  import { existsSync } from 'node:fs';
  import { AdamW, loadCheckpoint, saveCheckpoint } from '${pathToFileURL(join(root, 'dist', 'index.mjs')).href}';
  ${joined}
  const file = process.argv[2] + '/run.safetensors';
  const params = { w: Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i)) };
  const optimizer = new AdamW(params, { lr: 1e-2, clipNorm: 1 });
  if (existsSync(file)) await loadCheckpoint(file, { params, optimizer });
  const first = optimizer.stepCount;
  for (let step = first; step < 60; step++) {
    const g = params.w.map((w, i) => w + Math.sin(step * 7 + i * (world.rank + 1)) * 2 ** (i % 13));
    optimizer.step({ w: await world.allReduce(g, { op: 'mean' }) });
    if (step === 25 && world.rank === 1 && process.env.SCHUSS_RESTART === '0') { ${fault} }
    if ((step + 1) % 10 === 0) {
      if (world.rank === 0) await saveCheckpoint(file, { params, optimizer });
      await world.barrier();
    }
  }
  say([first, digest(params.w)]);`;

async function run(fault: string): Promise<{ first: number; bits: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-restart-'));
  try {
    const { status, said } = await job(3, script(fault), { args: [folder], options: ['--restart', '1'] });
    expect(status).toBe(0);
    const [[first, bits]] = said[0] as [[number, string]];
    expect(said).toEqual(Array.from({ length: 3 }, () => [[first, bits]]));
    return { first, bits };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let whole: { first: number; bits: string };
beforeAll(async () => {
  whole = await run('');
  expect(whole.first).toBe(0);
});

test.each([
  ['an exit', 'process.exit(3);'],
  ['a kill -9', "process.kill(process.pid, 'SIGKILL');"],
  ['an error', "throw new Error('on purpose');"],
])('after %s the restarted job has the bits of the one that ran through', async (_, fault) => {
  expect(await run(fault)).toEqual({ first: 20, bits: whole.bits });
});
