// Types of the optimizers of many ranks: the gradients and the steps are those of the optimizer inside.
import { DataParallel, ShardedOptimizer, type World } from '../../lib/distributed/index.js';
import { Adam, Lookahead, SAM, SGD, Sophia } from '../../lib/index.js';

declare const w: Float32Array<ArrayBuffer>;
declare const world: World;

export async function accepted(): Promise<void> {
  const adam = await DataParallel.create(new Lookahead(new Adam({ w })), world, { microBatches: 8 });
  adam.accumulate({ w }, { weight: 3 });
  const { applied, finished } = await adam.step(null, { gradScale: 0.5 });
  const sophia = await DataParallel.create(new Sophia({ w }), world);
  sophia.accumulate({ w }, { weight: 3, hessian: { w: null } });
  await sophia.step({ w }, { hessian: { w } });
  await (await ShardedOptimizer.create(Sophia, { w }, {}, world)).step({ w }, { hessian: { w } });
  const sam = await DataParallel.create(new SAM(new SGD({ w }, { lr: 1 }), { grads: { w } }), world);
  sam.accumulate({ w }, { weight: 3 });
  const { gradNorm } = await sam.firstStep({ w }, { weight: 3, gradScale: 2 });
  const { nonFiniteRanks } = await sam.secondStep(null);
  const { loss } = await sam.step(() => 1, { weight: 3 });
  await sam.step(null);
  const all: [number | undefined, true | undefined, readonly number[] | undefined, boolean] = [
    (gradNorm ?? 0) + (loss ?? 0) + sam.lr,
    finished,
    nonFiniteRanks,
    applied,
  ];
  const inner: SGD<{ w: Float32Array<ArrayBuffer> }> = sam.unwrap().optimizer;
  console.log(all, inner);
}

export async function refused(): Promise<void> {
  const adam = await DataParallel.create(new Adam({ w }), world);
  // @ts-expect-error another structure
  await adam.step([w]);
  // @ts-expect-error one step
  await adam.firstStep({ w });
  const sophia = await DataParallel.create(new Sophia({ w }), world);
  // @ts-expect-error another structure
  await sophia.step({ w }, { hessian: {} });
  const sam = await DataParallel.create(new SAM(new SGD({ w }, { lr: 1 })), world);
  // @ts-expect-error another structure
  await sam.firstStep([w]);
  // @ts-expect-error the first step takes no loss
  await sam.firstStep({ w }, { loss: 1 });
  // @ts-expect-error a closure, not gradients
  await sam.step({ w });
}
