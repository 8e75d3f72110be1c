import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Random } from '../../../bench/common/random.js';

/** The bytes of an IDX file. */
export function idx(shape: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  for (const [i, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * i);
  return Buffer.concat([header, data]);
}

/** Writes IDX files of 4 × 4 images in 4 classes; the brightest row is the class. @returns the path of their folder */
export function imageFolder(path: string, count: number, { labels = count, zipped = true } = {}): string {
  const random = new Random(7, path.replace(/^.*[\\/]/, ''));
  const classes = Uint8Array.from({ length: count }, () => Math.floor(4 * random.uniform()));
  const pixels = Uint8Array.from({ length: 16 * count }, (_, i) => {
    const row = Math.floor((i % 16) / 4);
    return Math.floor(random.uniform() * (row === classes[Math.floor(i / 16)] ? 255 : 160));
  });
  const suffix = zipped ? '.gz' : '';
  const pack = (bytes: Buffer): Buffer => (zipped ? gzipSync(bytes) : bytes);
  mkdirSync(path);
  writeFileSync(join(path, `train-images-idx3-ubyte${suffix}`), pack(idx([count, 4, 4], pixels)));
  writeFileSync(
    join(path, `train-labels-idx1-ubyte${suffix}`),
    pack(idx([labels], classes.subarray(0, labels) as Uint8Array)),
  );
  return path;
}
