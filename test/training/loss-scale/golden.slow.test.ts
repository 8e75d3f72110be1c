// LossScale beside PyTorch's GradScaler. TORCH_PYTHON names a Python with torch.
import { spawnSync } from 'node:child_process';
import { beforeEach, describe, expect, test } from 'vitest';
import { SGD } from '../../../lib/optimizers/index.js';
import { LossScale } from '../../../lib/training/index.js';
import { random } from '../../support/random.js';

const python = process.env['TORCH_PYTHON'];

const program = `
import json, sys, torch
def run(case):
    o = case["options"]
    scaler = torch.amp.GradScaler("cpu", o["initScale"], o["growthFactor"], o["backoffFactor"], o["growthInterval"])
    params = [torch.ones(2, requires_grad=True) for _ in range(2)]
    optimizers = [torch.optim.SGD([p], lr=0.125) for p in params]
    seen = []
    for steps in case["iterations"]:
        scaler.scale(torch.ones(()))
        for p, optimizer, grad in zip(params, optimizers, steps):
            p.grad = torch.tensor([float(g) for g in grad])
            scaler.step(optimizer)
        scaler.update()
        d = scaler.state_dict()
        seen.append([d["scale"], d["_growth_tracker"], [p.tolist() for p in params]])
    return seen
print(json.dumps([run(case) for case in json.load(sys.stdin)]))
`;

const next = random(5);
const pick = <T>(values: readonly T[]): T => values[Math.floor(values.length * next())]!;

// The scales stay above 1e-38: below, 1/scale makes finite gradients infinite, and PyTorch steps with them.
/** A case: options, and for each iteration the gradients of one or two optimizers, as strings for float(). */
const cases = Array.from({ length: 60 }, () => ({
  options: {
    initScale: pick([65536, 3, 0.7, 3e38, 1e-10]),
    growthFactor: pick([2, 1.1, 1 + next(), 1e20]),
    backoffFactor: pick([0.5, 0.3, next() / 2 + 0.3]),
    growthInterval: pick([1, 2, 3, 5]),
  },
  iterations: Array.from({ length: 40 }, () =>
    Array.from({ length: pick([1, 2]) }, () => [
      String(Math.fround(next() - 0.5)),
      next() < 0.2 ? pick(['nan', 'inf', '-inf']) : String(Math.fround(next() * 1e-3)),
    ]),
  ),
}));

const toNumber = (text: string) => Number(text.replace('inf', 'Infinity'));

describe('PyTorch', { timeout: 180_000 }, () => {
  beforeEach((context) => {
    if (python === undefined) context.skip('SKIPPED: TORCH_PYTHON is not set');
  });

  test('GradScaler has the same scale, tracker and weights after each of 2400 updates', () => {
    const { stdout, stderr, error } = spawnSync(python as string, ['-c', program], {
      input: JSON.stringify(cases),
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    if (error !== undefined) throw error;
    expect(stderr).not.toMatch(/Traceback/);
    const theirs = JSON.parse(stdout) as unknown[][];
    let skipped = 0;
    for (const [c, { options, iterations }] of cases.entries()) {
      const lossScale = new LossScale(options);
      const params = [new Float32Array([1, 1]), new Float32Array([1, 1])];
      const optimizers = params.map((w) => new SGD(w, { lr: 0.125 }));
      for (const [i, steps] of iterations.entries()) {
        for (const [j, grad] of steps.entries()) {
          const { applied } = lossScale.step(optimizers[j]!, Float32Array.from(grad, toNumber));
          if (!applied) skipped++;
        }
        lossScale.update();
        const { scale, growthTracker } = lossScale.stateDict();
        const ours = [scale, growthTracker, params.map((w) => [...w])];
        expect(ours, `case ${c}, iteration ${i}`).toEqual(theirs[c]![i]);
      }
    }
    expect(skipped).toBeGreaterThan(300);
  });
});
