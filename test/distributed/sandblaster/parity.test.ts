// SandblasterLBFGS: the same bits on any number of ranks, and those of a plain LBFGS over the tree sum in one process.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { MailedPortions } from '../../../lib/distributed/sandblaster/mailed-portions.js';
import { OwnPortions } from '../../../lib/distributed/sandblaster/own-portions.js';
import type { PortionSum } from '../../../lib/distributed/sandblaster/portion.js';
import { SandblasterLBFGS } from '../../../lib/distributed/sandblaster/sandblaster-lbfgs.js';
import { SharedPortions } from '../../../lib/distributed/sandblaster/shared-portions.js';
import { Turns } from '../../../lib/distributed/sandblaster/turns.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { LBFGS, type LBFGSResult } from '../../../lib/index.js';
import { treeSum } from '../../support/distributed/tree-sum.js';
import { onRanks, worldsOf } from '../../support/distributed/worlds.js';
import { numbers } from '../../support/random.js';

// The warning about few portions has its own test.
beforeAll(() => void vi.spyOn(process, 'emitWarning').mockImplementation(() => {}));
afterAll(() => void vi.restoreAllMocks());

const [inputs, outputs, examples] = [5, 3, 60];
const data = numbers(examples * inputs, 1);
const targets = numbers(examples * outputs, 2);

interface Model {
  readonly weight: { readonly data: Float32Array; readonly shape: readonly number[] };
  readonly bias: Float32Array;
}
interface Gradient {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

const newModel = (): Model => ({
  weight: { data: numbers(inputs * outputs, 3), shape: [inputs, outputs] },
  bias: new Float32Array(outputs),
});

/** Pseudo-Huber regression on the examples of one portion, whose gradients have many sizes, so that their order counts. */
function lossOf(portion: number, portions: number, { weight, bias }: Model, grad: Gradient): number {
  grad.weight.fill(0);
  grad.bias.fill(0);
  let loss = 0;
  for (let i = portion; i < examples; i += portions)
    for (let o = 0; o < outputs; o++) {
      const scale = 4 ** (i % 6);
      let error = bias[o]! - targets[i * outputs + o]!;
      for (let k = 0; k < inputs; k++) error += data[i * inputs + k]! * weight.data[k * outputs + o]!;
      const root = Math.sqrt(1 + error ** 2);
      loss += scale * (root - 1);
      grad.bias[o]! += (scale * error) / root;
      for (let k = 0; k < inputs; k++) grad.weight[k * outputs + o]! += (scale * error * data[i * inputs + k]!) / root;
    }
  return loss;
}

const bits = ({ weight, bias }: Model): string =>
  [weight.data, bias].map((x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex')).join();

interface Run {
  readonly results: readonly LBFGSResult[];
  readonly bits: string;
  readonly state: string;
}

const [steps, options] = [3, { maxIterations: 4, historySize: 3, gradTol: 0, funTol: 0, stepTol: 0 }];

async function onRank(world: World, portions: number): Promise<Run> {
  const model = newModel();
  if (world.rank > 0) model.bias.fill(7); // overwritten by those of rank 0
  const lbfgs = await SandblasterLBFGS.create(world, model, {
    ...options,
    portions,
    f: (portion, x, grad) => lossOf(portion, portions, x, grad as Gradient),
  });
  const results: LBFGSResult[] = [];
  for (let step = 0; step < steps; step++) results.push(await lbfgs.step());
  return { results, bits: bits(model), state: JSON.stringify(lbfgs.stateDict()) };
}

/** A plain LBFGS. The sum is written from the words of the contract. */
function alone(portions: number): Run {
  const model = newModel();
  const grads = { weight: new Float32Array(inputs * outputs), bias: new Float32Array(outputs) };
  const lbfgs = new LBFGS(model, { grads, ...options });
  const closure = (): number => {
    const parts = Array.from({ length: portions }, (_, portion) => {
      const grad = { weight: new Float32Array(inputs * outputs), bias: new Float32Array(outputs) };
      return { loss: lossOf(portion, portions, model, grad), grad: [...grad.weight, ...grad.bias] };
    });
    const sum = treeSum(parts.map(({ grad }) => grad)) as number[];
    grads.weight.set(sum.slice(0, inputs * outputs));
    grads.bias.set(sum.slice(inputs * outputs));
    return (
      treeSum(
        parts.map(({ loss }) => [loss]),
        (x) => x,
      ) as number[]
    )[0] as number;
  };
  const results = Array.from({ length: steps }, () => lbfgs.step(closure));
  return { results, bits: bits(model), state: JSON.stringify(lbfgs.stateDict()) };
}

describe.each([1, 12, 16, 29])('%i portions', (portions) => {
  const truth = alone(portions);

  test('the loss has fallen, and more evaluations than are kept were needed', () => {
    expect(truth.results.at(-1)!.loss).toBeLessThan(truth.results[0]!.loss);
    const evaluations = truth.results.reduce((sum, result) => sum + result.evaluations, 0);
    expect(evaluations).toBeGreaterThan(8);
  });

  test.each([1, 2, 3, 4])('%i ranks have the bits of one process', async (size) => {
    const runs = await onRanks(size, (world) => onRank(world, portions));
    for (const run of runs) expect(run).toEqual(truth);
  });
});

test('another order of the sum has other bits', () => {
  // So the comparison above can fail.
  expect(alone(12).bits).not.toBe(alone(30).bits);
  const grads = Array.from({ length: 12 }, (_, portion) => {
    const grad = { weight: new Float32Array(inputs * outputs), bias: new Float32Array(outputs) };
    lossOf(portion, 12, newModel(), grad);
    return [...grad.weight];
  });
  const inTurn = grads.reduce((sum, grad) => sum.map((x, i) => Math.fround(x + grad[i]!)));
  expect(inTurn).not.toEqual(treeSum(grads));
});

/** How ranks share portions: in shared memory, or by messages. */
const sharers = {
  'in shared memory': (world: World, portions: number, length: number): Promise<PortionSum> =>
    SharedPortions.create(world, portions, length, new Turns()),
  'by messages': async (world: World, portions: number, length: number): Promise<PortionSum> =>
    new MailedPortions(world, OwnWorld.transportOf(world)!.mail!, portions, length, new Turns()),
};

describe('the sum of the portions', () => {
  test.each([1, 2, 3, 4, 5])('has the bits of the tree on %i ranks, by messages, with signs of zeros', async (size) => {
    for (const portions of [1, 2, 3, 5, 8, 11]) {
      const gradOf = (portion: number): number[] => [
        -0,
        0.1 * portion,
        1e8 / (portion + 1),
        portion % 3 === 0 ? -0 : 1e-8,
      ];
      const lossAt = (portion: number): number => 0.1 + portion / 3;
      const all = Array.from({ length: portions }, (_, portion) => portion);
      const sums = await onRanks(size, async (world) => {
        const sum =
          size === 1 ? new OwnPortions(portions, 4, new Turns()) : await sharers['by messages'](world, portions, 4);
        const grad = new Float32Array(4);
        const evaluate = (): Promise<number> =>
          sum.evaluate((portion, out) => {
            out.set(gradOf(portion));
            return lossAt(portion);
          }, grad);
        await evaluate();
        return { loss: await evaluate(), grad: [...grad] };
      });
      const grad = treeSum(all.map((portion) => gradOf(portion).map(Math.fround)));
      const loss = (
        treeSum(
          all.map((portion) => [lossAt(portion)]),
          (x) => x,
        ) as number[]
      )[0];
      for (const sum of sums) expect(sum).toEqual({ loss, grad });
    }
  });
});

describe.each(Object.entries(sharers))('portions that are dealt to whoever is free, %s', (_, create) => {
  const gradOf = (portion: number, evaluation: number): number[] => [
    1 / (portion + 1),
    -(portion ** 3),
    evaluation,
    -0,
  ];

  test.each([2, 3, 4])('the sums of %i ranks that drift apart are those of the tree', async (size) => {
    const [portions, evaluations] = [13, 40];
    const all = Array.from({ length: portions }, (_, portion) => portion);
    const runs = await onRanks(size, async (world) => {
      const sum = await create(world, portions, 4);
      const grad = new Float32Array(4);
      const seen: unknown[] = [];
      let computed = 0;
      for (let e = 0; e < evaluations; e++) {
        // Ranks come late by turns.
        if ((e + world.rank) % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        const loss = await sum.evaluate((portion, out) => {
          computed++;
          out.set(gradOf(portion, e));
          return portion / 3;
        }, grad);
        seen.push([loss, ...grad]);
      }
      return { seen, computed };
    });
    const loss = (
      treeSum(
        all.map((portion) => [portion / 3]),
        (x) => x,
      ) as number[]
    )[0];
    const truth = Array.from({ length: evaluations }, (_, e) => [
      loss,
      ...(treeSum(all.map((portion) => gradOf(portion, e).map(Math.fround))) as number[]),
    ]);
    for (const { seen } of runs) expect(seen).toEqual(truth);
    const computed = runs.reduce((count, run) => count + run.computed, 0);
    expect(computed).toBeGreaterThanOrEqual(portions * evaluations);
  });

  test('a rank that is late costs the others nothing, and takes the sums that it has missed', async () => {
    const [fast, late] = await Promise.all(
      worldsOf(2).map(async (world) => {
        const sum = await create(world, 6, 1);
        let computed = 0;
        const grad = new Float32Array(1);
        const evaluate = (): Promise<number> =>
          sum.evaluate((portion, out) => {
            computed++;
            out[0] = portion;
            return portion;
          }, grad);
        const losses: number[] = [];
        // Eight evaluations are kept. Rank 1 begins only after rank 0 is through them.
        if (world.rank === 1) await new Promise((resolve) => setTimeout(resolve, 200));
        for (let e = 0; e < 8; e++) losses.push(await evaluate());
        return { computed, losses, grad: grad[0] };
      }),
    );
    expect(fast).toEqual({ computed: 48, losses: Array(8).fill(15), grad: 15 });
    expect(late).toEqual({ computed: 0, losses: Array(8).fill(15), grad: 15 });
  });
});
