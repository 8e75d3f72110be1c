import { floatsOf, isFloat32 } from '../check/typed-array.js';
import type { ParamState } from '../core/param-state.js';
import type { ParamStore } from '../core/param-store.js';
import { Control, Fault, Pass } from '../engine/engine.js';
import type { Numbers } from '../engine/kernel.js';
import { measureSums, type Tensor, type Work, walk, walkWithNumbers } from '../engine/reference-walk.js';
import type { World } from './world.js';

const f = Math.fround;

/**
 * Runs the step of a plan whose params share numbers: measures the own params, adds the sums of all ranks in the order of
 * the params, decides, and updates. A native plan cannot wait for other ranks between the two walks, so this is the walk in
 * JavaScript, with the same bits.
 */
export async function stepWithSharedNumbers(
  world: World,
  store: ParamStore,
  grads: readonly (Float32Array | null)[],
): Promise<void> {
  const { params, stepConstants } = store;
  const { control, rows, stride, rowOf, numbers, scopeOf } = stepConstants;
  const gradScale = f(control[Control.gradScale]!);
  const active = params.flatMap((param, i) => {
    const grad = grads[i];
    if (!isFloat32(grad)) return [];
    const row = rows.subarray(rowOf[i]! * stride, (rowOf[i]! + 1) * stride);
    const work: Work = { row, gradScale: f(gradScale * row[Pass.gradScale]!), zeroGrad: false };
    return [{ i, grad, work, tensor: tensorOf(store, param), own: store.declarationOf(param).numbers }];
  });

  const most = Math.max(0, ...params.map((param) => store.declarationOf(param).numbers?.sums ?? 0));
  const sums = new Float64Array(params.length * most);
  for (const { i, grad, work, tensor, own } of active)
    if (own !== undefined && grad.length > 0) sums.set(measureSums(own, tensor, grad, work), i * most);
  if (world.size > 1) await world.allReduce(sums); // one rank has the whole of a param, so the sum is exact

  const scopes = new Map<number, { readonly decide: Numbers['decide']; readonly total: number[] }>();
  for (const { i, own } of active) {
    if (own === undefined) continue;
    const scope = scopes.get(scopeOf[i]!) ?? { decide: own.decide, total: Array<number>(own.sums).fill(0) };
    scopes.set(scopeOf[i]!, scope);
    for (let k = 0; k < own.sums; k++) scope.total[k]! += sums[i * most + k]!;
  }
  for (const [scope, { decide, total }] of scopes) numbers[scope]!.set(decide([...numbers[scope]!], total));
  for (const { i, grad, work, tensor, own } of active) {
    if (own === undefined) walk(tensor, grad, work);
    else walkWithNumbers([...numbers[scopeOf[i]!]!], tensor, grad, work);
  }
  control[Control.fault] = Fault.none;
  control[Control.applied] = 1;
}

function tensorOf(store: ParamStore, param: ParamState): Tensor {
  const { data, state, ema, columns, side } = param;
  const kernel = store.declarationOf(param);
  return {
    kernel,
    param: floatsOf(data),
    state: kernel.state.map((name) => state.get(name)!.view()),
    ema: ema === null ? null : ema.view(),
    columns,
    side,
  };
}
