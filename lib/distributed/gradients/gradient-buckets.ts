import { floatsOf } from '../../check/typed-array.js';

const floatBytes = Float32Array.BYTES_PER_ELEMENT;
/** Floats of a line of the cache. */
const line = 16;

/** Some neighbouring params whose gradients share an array. */
interface Bucket {
  /** Made when a param first has a dense gradient: a large table with sparse ones needs none. */
  array: Float32Array | undefined;
  length: number;
}

interface Place {
  readonly bucket: Bucket;
  readonly begin: number;
  readonly end: number;
  /** Made with the array. */
  view: Float32Array | undefined;
}

/** The memory of the dense gradients of a step, in few arrays, so that many small params travel together. */
export class GradientBuckets {
  readonly #places: readonly Place[];
  readonly #most: number;

  /** @param bytes The most that travels at once. A larger param is cut. */
  constructor(lengths: readonly number[], bytes: number) {
    this.#most = Math.max(line, Math.floor(bytes / floatBytes / line) * line);
    let bucket: Bucket = { array: undefined, length: 0 };
    this.#places = lengths.map((length) => {
      if (bucket.length > 0 && bucket.length + length > this.#most) bucket = { array: undefined, length: 0 };
      const begin = bucket.length;
      bucket.length += Math.ceil(length / line) * line;
      return { bucket, begin, end: begin + length, view: undefined };
    });
  }

  /** The memory of a param's gradient: always the same. */
  of(param: number): Float32Array {
    const place = this.#places[param]!;
    const { bucket, begin, end } = place;
    bucket.array ??= new Float32Array(bucket.length);
    place.view ??= floatsOf(bucket.array, begin, end);
    return place.view;
  }

  /** Arrays over the gradients of these params, in ascending order; neighbours are in one array. */
  runs(params: readonly number[]): Float32Array[] {
    const runs: { readonly bucket: Bucket; readonly begin: number; end: number; last: number }[] = [];
    for (const param of params) {
      const { bucket, begin, end } = this.#places[param]!;
      const run = runs.at(-1);
      if (run?.bucket === bucket && run.last === param - 1) Object.assign(run, { end, last: param });
      else runs.push({ bucket, begin, end, last: param });
    }
    return runs.flatMap(({ bucket, begin, end }) => {
      const pieces: Float32Array[] = [];
      for (let at = begin; at < end; at += this.#most)
        pieces.push(floatsOf(bucket.array as Float32Array, at, Math.min(end, at + this.#most)));
      return pieces;
    });
  }
}
