import { checkLength, copyInto, floatsOf, lengthOf } from '../../check/typed-array.js';
import { tensorsOf } from '../../core/collect.js';
import type { Tensor } from '../../core/params.js';
import { printed } from '../../core/print.js';
import { Structure } from '../../core/structure.js';
import type { Facts } from '../differences.js';
import { floatsIn } from '../world/numbers.js';
import { partition } from '../world/partition.js';

interface Piece {
  readonly tensor: Tensor;
  readonly begin: number;
  readonly end: number;
}

/** The params of a rank, and the part of each server in them: its `partition` of every param. */
export class Parts {
  readonly tensors: readonly Tensor[];
  readonly structure: Structure;
  readonly #who: string;
  readonly #lengthsOfParams: readonly number[];
  readonly #pieces: readonly (readonly Piece[])[];

  /** @throws TypeError, RangeError for invalid params */
  constructor(who: string, params: unknown, servers: number) {
    this.#who = who;
    this.tensors = tensorsOf(who, 'params', params);
    this.structure = new Structure(who, this.tensors);
    this.#lengthsOfParams = this.tensors.map(({ data }) => lengthOf(data));
    this.#pieces = Array.from({ length: servers }, (_, server) =>
      this.tensors.map((tensor, i) => {
        const [begin, end] = partition(this.#lengthsOfParams[i]!, servers)[server]!;
        return { tensor, begin, end };
      }),
    );
  }

  /** The part of a server in each param. @throws TypeError, RangeError where a param has lost memory */
  of(server: number): Float32Array[] {
    for (const [i, { path, data }] of this.tensors.entries())
      checkLength(this.#who, path, data, this.#lengthsOfParams[i]!);
    return this.#pieces[server]!.map(({ tensor: { data }, begin, end }) => floatsOf(data, begin, end));
  }

  /** The part of a server in an array of a param. */
  slice(server: number, param: number, array: Float32Array): Float32Array {
    const { begin, end } = this.#pieces[server]![param]!;
    return floatsOf(array, begin, end);
  }

  /** Cuts an array that travels into the part of each param. It has nothing for those of `without`, which are null. */
  cut(server: number, array: Float32Array, without?: ReadonlySet<number>): (Float32Array | null)[] {
    let begin = 0;
    return this.#pieces[server]!.map((piece, i) => {
      if (without?.has(i)) return null;
      begin += piece.end - piece.begin;
      return floatsOf(array, begin - (piece.end - piece.begin), begin);
    });
  }

  /** Writes what a server has sent into the params. */
  write(server: number, bytes: Uint8Array): void {
    const parts = this.of(server);
    for (const [i, array] of this.cut(server, floatsIn(bytes)).entries()) copyInto(parts[i]!, array as Float32Array);
  }

  /** What all ranks must have alike. */
  facts(servers: number): Facts {
    return [
      ['servers', String(servers)],
      ['params', String(this.tensors.length)],
      ...this.tensors.map(
        ({ key }, i) => [`params[${i}]`, `${printed(key)} of length ${this.#lengthsOfParams[i]}`] as const,
      ),
    ];
  }
}
