import { isSharedArrayBuffer } from 'node:util/types';
import { show, typeError } from '../check/errors.js';
import { checkFunction } from '../check/options.js';
import { bufferOf, byteOffsetOf, copyInto, floatsOf, lengthOf } from '../check/typed-array.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import { collect } from '../core/collect.js';
import { disjoint, type Extent, extentOf, overlapping } from '../core/extents.js';
import { notAnOptimizer } from '../core/internals.js';
import { Optimizer } from '../core/optimizer.js';
import type { Tensor } from '../core/params.js';
import type { GivenTree } from '../core/params-of.js';
import { printed } from '../core/print.js';
import { checkSettled } from '../core/step-queue.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import { checkWorld } from './check-world.js';
import { checkAlike, tensorFacts } from './differences.js';
import { checkSharesMemory, shareFromRoot } from './shared-memory.js';
import type { World } from './world/world.js';

const who = 'hogwild';

/** Params begin at lines of the cache, so that two of them are never in one. */
const lineBytes = 64;

/** What {@link hogwild} returns. */
export interface Hogwild<P, O> {
  /** The params of rank 0, in memory that all ranks share. */
  readonly params: P;
  /** This rank's optimizer of these params, with its own state. */
  readonly optimizer: O;
}

/**
 * Asynchronous training without locks: all ranks update the same params in shared memory. Each rank steps when it has a
 * gradient. The ranks are worker threads of one process, or a world of one.
 *
 * Each rank has its own optimizer, with its own momentum and moments. If two ranks step at the same time, they can overwrite
 * each other's updates of some elements. With sparse gradients this is rare, because a step writes only its rows. Two runs
 * do not give the same bits.
 *
 * Every rank must call it. All ranks get the params of rank 0. If these are in a SharedArrayBuffer, they stay in place;
 * otherwise they are copied once. The params of the other ranks only give names and shapes. Compute gradients at the
 * `params` of the result, and call `world.barrier()` before you read the final params.
 *
 * @param world What `init` returned.
 * @param params A `Float32Array`, `{ data, shape }`, or a tree of them; no param groups.
 * @param makeOptimizer Creates this rank's optimizer of the shared params. It can use param groups.
 * @returns a Promise of `{ params, optimizer }`: the shared params in the structure of `params`, and this rank's optimizer
 * @throws (rejects) TypeError over MPI, whose ranks share no memory; TypeError for a wrong type, param groups, or an
 *   optimizer of other params; RangeError where params share memory, and where ranks differ in names, lengths or
 *   shapes. Then nothing has changed.
 * @example
 * ```ts
 * import { SGD } from 'schuss';
 * import { hogwild, init } from 'schuss/distributed';
 *
 * const world = await init();
 * const { params, optimizer } = await hogwild(world, { w: new Float32Array(100) }, (shared) => new SGD(shared, { lr: 0.1 }));
 * for (let i = world.rank; i < 100; i += world.size)
 *   optimizer.step({ w: { rows: Int32Array.of(i), values: Float32Array.of(params.w[i] - 1) } });
 * await world.barrier();
 * ```
 * @see Niu, Recht, Ré & Wright 2011, https://arxiv.org/abs/1106.5730; PyTorch's `share_memory()`
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export async function hogwild<const P extends object, O extends AnyOptimizer<any, any, any>>(
  world: World,
  params: GivenTree<P>,
  makeOptimizer: (shared: P) => O,
): Promise<Hogwild<P, O>> {
  checkWorld(who, world);
  checkSharesMemory(who, world);
  checkFunction(who, 'makeOptimizer', makeOptimizer, 'a function, (shared) => new SGD(shared, { lr })');
  const [group] = collect(who, params);
  if (group?.given !== params)
    throw typeError(who, 'params', 'param groups', 'a tree of params', 'make the groups in makeOptimizer');
  const { tensors } = group;
  const structure = new Structure(who, tensors);
  const extents = disjoint(who, extentsOf(tensors));
  checkSettled(who, extents);
  const shapes = tensors.map(({ path, shape }) => [`${path}.shape`, printed(shape)] as const);
  await checkAlike(who, world, [...tensorFacts(tensors), ...shapes]);
  const arrays = await shareFromRoot(world, world.rank === 0 ? inSharedMemory(tensors) : []);
  const leaves = arrays.map((data, i) => {
    const { shape } = tensors[i] as Tensor;
    return shape === undefined ? data : Object.freeze({ data, shape });
  });
  const shared = structure.assemble(leaves as Float32Array[]) as P;
  const optimizer = makeOptimizer(shared);
  checkOptimizer(
    optimizer,
    disjoint(
      who,
      arrays.map((data, i) => extentOf(engine(), data, tensors[i]!.path)),
    ),
  );
  return { params: shared, optimizer };
}

function extentsOf(tensors: readonly Tensor[]): Extent[] {
  return tensors.map(({ data, path }) => extentOf(engine(), data, path));
}

/** The params as arrays over shared memory: they themselves where they are, else copies in one new buffer. */
function inSharedMemory(tensors: readonly Tensor[]): Float32Array[] {
  const isShared = ({ data }: Tensor): boolean => isSharedArrayBuffer(bufferOf(data));
  let bytes = 0;
  const offsets = tensors.map((tensor) => {
    const offset = bytes;
    if (!isShared(tensor)) bytes += lineBytes * Math.ceil((4 * lengthOf(tensor.data)) / lineBytes);
    return offset;
  });
  const buffer = new SharedArrayBuffer(bytes);
  return tensors.map((tensor, i) => {
    // A new view: the user's may have properties, or grow with its buffer.
    if (isShared(tensor))
      return new Float32Array(bufferOf(tensor.data), byteOffsetOf(tensor.data), lengthOf(tensor.data));
    const copy = new Float32Array(buffer, offsets[i], lengthOf(tensor.data));
    copyInto(copy, floatsOf(tensor.data));
    return copy;
  });
}

/** Refuses what is no optimizer, and one of params that are not shared. @throws TypeError */
function checkOptimizer(optimizer: unknown, shared: readonly Extent[]): void {
  const expected = 'an optimizer of the shared params';
  let inner = optimizer;
  // A wrapper, such as Lookahead or SAM.
  while (!(inner instanceof Optimizer)) {
    if (typeof inner !== 'object' || inner === null || !('optimizer' in inner))
      throw notAnOptimizer(who, optimizer, 'makeOptimizer', expected);
    inner = inner.optimizer;
  }
  for (const { data, path } of Optimizer.internals(inner).store.params) {
    const { start, end } = extentOf(engine(), data, path);
    if (end > start && overlapping(start, end, shared) === undefined)
      throw typeError(
        who,
        'makeOptimizer',
        `${show(optimizer)} of other params`,
        expected,
        `${path} is not one of them`,
      );
  }
}
