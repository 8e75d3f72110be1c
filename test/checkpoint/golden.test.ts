// Bytes computed by hand from the format's specification, and kept files of every version.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  AdamW,
  inspectCheckpoint,
  loadCheckpoint,
  ReduceOnPlateau,
  readSafetensors,
  saveCheckpoint,
  WeightAverage,
  writeSafetensors,
} from '../../lib/index.js';
import { fileOf, scratch } from '../support/checkpoint.js';

const folder = scratch();

test('a file is header length, header padded with spaces to 8 bytes, and data', async () => {
  const path = join(folder, 'plain.safetensors');
  await writeSafetensors(
    path,
    {
      a: Float32Array.of(1, -2),
      s: { data: Float64Array.of(0.5), shape: [] },
      m: { data: Int8Array.of(1, -1), shape: [2, 1] },
    },
    { metadata: { k: 'v' } },
  );
  // Elements of 8 bytes first, then 4, then 1.
  const header =
    '{"__metadata__":{"k":"v"},' +
    '"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},' +
    '"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},' +
    '"m":{"dtype":"I8","shape":[2,1],"data_offsets":[16,18]}}';
  expect(header.length).toBe(188);
  const data = '000000000000e03f' + '0000803f000000c0' + '01ff';
  expect(readFileSync(path).toString('hex')).toBe(
    `c000000000000000${Buffer.from(`${header}    `).toString('hex')}${data}`,
  );
});

test('no tensors', async () => {
  const path = join(folder, 'empty.safetensors');
  await writeSafetensors(path, {});
  expect([...readFileSync(path)]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d, 32, 32, 32, 32, 32, 32]);
  expect(await readSafetensors(path)).toEqual({ tensors: {}, metadata: {} });
});

test('F32, F64, F16 and BF16 become float32; the data may be unaligned', async () => {
  const path = join(folder, 'dtypes.safetensors');
  const halves = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7c00, 0xfc00, 0x8000, 0x3555];
  const brains = [0x3f80, 0xc000, 0x7f7f, 0x0001, 0x7f80, 0xff80, 0x8000, 0x3eaa];
  const header = JSON.stringify({
    x: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
    half: { dtype: 'F16', shape: [11], data_offsets: [1, 23] },
    brain: { dtype: 'BF16', shape: [2, 4], data_offsets: [23, 39] },
    double: { dtype: 'F64', shape: [2], data_offsets: [39, 55] },
    single: { dtype: 'F32', shape: [1], data_offsets: [55, 59] },
  });
  const data = Buffer.alloc(59);
  for (const [i, h] of halves.entries()) data.writeUInt16LE(h, 1 + 2 * i);
  for (const [i, b] of brains.entries()) data.writeUInt16LE(b, 23 + 2 * i);
  data.writeDoubleLE(1 / 3, 39);
  data.writeDoubleLE(1e300, 47);
  data.writeFloatLE(1e-45, 55);
  writeFileSync(path, fileOf(header, data));
  const { tensors: floats } = await readSafetensors(path, { names: (_, { dtype }) => dtype === 'F32' });
  expect(Object.keys(floats)).toEqual(['single']);
  const { tensors } = await readSafetensors(path, { names: ['single', 'double', 'brain', 'half'] });
  expect(Object.keys(tensors)).toEqual(['single', 'double', 'brain', 'half']);
  // IEEE 754 binary16: largest 65504, smallest normal 2^-14, smallest denormal 2^-24.
  expect([...tensors['half']!.data]).toEqual([
    1,
    -2,
    65504,
    2 ** -24,
    -(2 ** -24),
    1023 * 2 ** -24,
    2 ** -14,
    Infinity,
    -Infinity,
    -0,
    0.333251953125,
  ]);
  // bfloat16 is the upper half of a float32.
  expect([...tensors['brain']!.data]).toEqual([
    1,
    -2,
    (2 - 2 ** -7) * 2 ** 127,
    2 ** -133,
    Infinity,
    -Infinity,
    -0,
    0.33203125,
  ]);
  expect(tensors['brain']!.shape).toEqual([2, 4]);
  expect([...tensors['double']!.data]).toEqual([Math.fround(1 / 3), Infinity]);
  expect(tensors['single']!.data[0]).toBe(2 ** -149);
});

test('a checkpoint is a safetensors file with a digest of itself', async () => {
  const path = join(folder, 'checkpoint.safetensors');
  const params = { fc: { data: Float32Array.of(1, 2), shape: [1, 2] as const } };
  await saveCheckpoint(path, { params, optimizer: new AdamW(params, { lr: 0.5 }), metadata: { run: 'x' } });
  const bytes = readFileSync(path);
  expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
  expect(Object.keys(header)).toEqual(['__metadata__', 'fc', 'optimizer.fc.expAvg', 'optimizer.fc.expAvgSq']);
  expect(header['optimizer.fc.expAvg']).toEqual({ dtype: 'F32', shape: [1, 2], data_offsets: [8, 16] });
  expect(Object.keys(header.__metadata__)).toEqual(['schuss.sha256', 'schuss.checkpoint', 'run']);
  const digest = header.__metadata__['schuss.sha256'];
  const zeroed = Buffer.from(bytes.toString('latin1').replace(digest, '0'.repeat(64)), 'latin1');
  expect(createHash('sha256').update(zeroed).digest('hex')).toBe(digest);
});

/** The parts of test/checkpoint/files/version-1.safetensors. Never change it: a new version gets a new file. */
function versionOne() {
  const params = {
    weight: { data: new Float32Array(6), shape: [2, 3] as const },
    bias: new Float32Array(2),
  };
  const optimizer = new AdamW(params, { lr: 0.1, amsgrad: true, ema: 0.5 });
  const objects = {
    plateau: new ReduceOnPlateau(optimizer, { patience: 3 }),
    average: new WeightAverage(params, { decay: 0.75 }),
  };
  return { params, optimizer, objects };
}

// The values stand in a file of their own: a formula may change, what a file holds may not.
test('version 1', async () => {
  const path = join(__dirname, 'files', 'version-1.safetensors');
  const parts = versionOne();
  expect(await loadCheckpoint(path, parts)).toEqual({ note: 'three steps' });
  const { params, optimizer, objects } = parts;
  const found = {
    params,
    optimizer: optimizer.stateDict(),
    plateau: objects.plateau.stateDict(),
    average: objects.average.stateDict(),
  };
  const plain = JSON.stringify(found, (_, value) => (ArrayBuffer.isView(value) ? [...(value as Float32Array)] : value));
  const kept = JSON.parse(readFileSync(join(__dirname, 'files', 'version-1.json'), 'utf8'));
  // Options that came later have their defaults.
  const later = { rowWise: false, rowSteps: false, cautious: false };
  for (const group of kept.optimizer.paramGroups) Object.assign(group, later);
  expect(JSON.parse(plain)).toEqual(kept);
  expect(await inspectCheckpoint(path)).toMatchObject({
    metadata: { note: 'three steps' },
    optimizer: 'AdamW',
    step: 3,
    tensors: {
      weight: { dtype: 'F32', shape: [2, 3] },
      'optimizer.weight.maxExpAvgSq': { dtype: 'F32', shape: [2, 3] },
      'objects.average.params.bias': { dtype: 'F32', shape: [2] },
    },
  });
});
