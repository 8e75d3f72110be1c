import { typeError } from '../check/errors.js';
import { byteOffsetOf, lengthOf } from '../check/typed-array.js';
import { Bfloat16Block } from '../engine/bfloat16-state.js';
import type { Block } from '../engine/block.js';
import type { Engine } from '../engine/engine.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Declaration } from './declaration.js';
import type { ParamState } from './param-state.js';
import { isElementwise } from './shard.js';

/** Why a kernel has no state in bfloat16; undefined if it has. */
export function float32Because({ float32State }: Declaration, kernel: KernelDeclaration): string | undefined {
  if (float32State !== undefined) return float32State;
  if (kernel.state.includes('gradAvg')) return 'it takes the difference of two of its arrays';
  return isElementwise(kernel) ? undefined : 'it updates more than one element at a time';
}

/**
 * Returns what creates the blocks of a param, of zeros.
 * @param dtype The option `stateDtype`.
 * @throws TypeError for a kernel that has no state of the dtype
 */
export function blockMaker(
  engine: Engine,
  declaration: Declaration,
  dtype: unknown,
  { data, shard, path }: ParamState,
  kernel: string,
): (length: number, place: number) => Block {
  if (dtype !== 'bfloat16') return (length, place) => engine.createBlock(length, data, place);
  const { name, kernels } = declaration;
  const reason = float32Because(declaration, kernels[kernel]!);
  if (reason !== undefined)
    throw typeError(name, 'stateDtype', `"bfloat16" for ${path}`, `"float32" for ${kernel}`, reason);
  const whole = shard === undefined ? data : shard.whole.data;
  // An empty part has no place: its array has a buffer of its own.
  const isEmpty = lengthOf(data) === 0;
  const firstElement = isEmpty ? 0 : (byteOffsetOf(data) - byteOffsetOf(whole)) / Float32Array.BYTES_PER_ELEMENT;
  return (length, place) =>
    new Bfloat16Block(engine.createBlock(Math.ceil(length / 2), data, place), length, firstElement);
}
