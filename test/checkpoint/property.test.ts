// Random state trees and random files come back as they were.
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadCheckpoint, readSafetensors, saveCheckpoint, writeSafetensors } from '../../lib/index.js';
import { scratch } from '../support/checkpoint.js';
import { all } from '../support/sample.js';

const folder = scratch();
const path = join(folder, 'x.safetensors');

const arrays = fc.oneof(
  fc.float32Array(),
  fc.float64Array(),
  fc.int8Array(),
  fc.uint8Array(),
  fc.uint8ClampedArray(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
);
const keys = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('$', '__proto__', 'constructor', 'state', 'params', '~2', '', '0', '\ud800', 'a.b', 'objects.tree.a'),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(
      fc.double(),
      fc.integer(),
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.constantFrom(null, undefined, -0, Number.NaN, Infinity),
      fc.bigInt(),
      arrays,
    ),
    fc.array(tie('tree'), { maxLength: 5 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 5 }),
  ),
}));

const runs = { numRuns: all ? 300 : 60 };

test('any plain data', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' })), async (state, metadata) => {
      let loaded: unknown = 'nothing';
      const object = { stateDict: () => state, loadStateDict: (dict: unknown) => void (loaded = dict) };
      const run = {
        params: { a: new Float32Array(2), 'objects.tree.a': new Float32Array(1) },
        objects: { tree: object },
      };
      await saveCheckpoint(path, { ...run, metadata });
      const found = await loadCheckpoint(path, run);
      // The last load is of this state; null prototypes and Buffers come back as plain ones.
      expect(loaded).toEqual(plain(state));
      expect(plain(found)).toEqual(plain(metadata));
    }),
    runs,
  );
});

/** Records with Object.prototype, own keys only. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

test('any tensors', async () => {
  const name = fc.string({ unit: 'grapheme' }).filter((text) => text !== '__metadata__');
  const tensor = fc.array(fc.nat(5), { maxLength: 4 }).chain((shape) => {
    const length = shape.reduce((a, b) => a * b, 1);
    return fc.float32Array({ minLength: length, maxLength: length }).map((data) => ({ data, shape }));
  });
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(name, tensor),
      fc.dictionary(name, fc.string({ unit: 'grapheme' })),
      async (tensors, metadata) => {
        await writeSafetensors(path, tensors, { metadata });
        const found = await readSafetensors(path);
        expect(plain(found.tensors)).toEqual(plain(tensors));
        expect(plain(found.metadata)).toEqual(plain(metadata));
        const names = Object.keys(tensors).filter((_, i) => i % 2 === 0);
        expect(Object.keys((await readSafetensors(path, { names })).tensors).sort()).toEqual(names.sort());
      },
    ),
    runs,
  );
});
