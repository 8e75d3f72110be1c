import { typeError } from '../check/errors.js';
import { byteOffsetOf } from '../check/typed-array.js';
import { Bfloat16Block } from '../engine/bfloat16.js';
import type { Block } from '../engine/block.js';
import type { Engine } from '../engine/engine.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Declaration } from './declaration.js';
import type { ParamState } from './param-state.js';
import { isElementwise } from './shard.js';

/** Why a kernel has no state in bfloat16; undefined if it has. */
export function float32Because({ float32State }: Declaration, kernel: KernelDeclaration): string | undefined {
  if (float32State !== undefined) return float32State;
  return isElementwise(kernel) ? undefined : 'it updates more than one element at a time';
}

/** How new blocks are made. */
export interface BlockMaker {
  readonly engine: Engine;
  readonly declaration: Declaration;
  /** The option `stateDtype`. */
  readonly dtype: unknown;
}

/**
 * A new block of zeros.
 * @param place Its place among the blocks of the param.
 * @throws TypeError for a kernel that has no state of the dtype
 */
export function createStateBlock(
  { engine, declaration, dtype }: BlockMaker,
  { data, shard, path }: ParamState,
  kernel: string,
  length: number,
  place: number,
): Block {
  if (dtype !== 'bfloat16') return engine.createBlock(length, data, place);
  const reason = float32Because(declaration, declaration.kernels[kernel]!);
  if (reason !== undefined)
    throw typeError(declaration.name, 'stateDtype', `"bfloat16" for ${path}`, `"float32" for ${kernel}: ${reason}`);
  const { data: whole } = shard?.whole ?? { data };
  const firstElement = (byteOffsetOf(data) - byteOffsetOf(whole)) / Float32Array.BYTES_PER_ELEMENT;
  return new Bfloat16Block(engine.createBlock(Math.ceil(length / 2), data, place), length, firstElement);
}
