// Bit flips, truncations, insertions and exchanged blocks in real files: none is accepted, and nothing changes.
// SCHUSS_FUZZ_CASES=12000 for the full count, SCHUSS_FUZZ_SEED for another seed.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  Adam,
  CheckpointError,
  inspectCheckpoint,
  Lookahead,
  loadCheckpoint,
  ReduceOnPlateau,
  readSafetensors,
  ScheduleFreeAdamW,
  saveCheckpoint,
  WeightAverage,
} from '../../lib/index.js';
import { bits, numbers, random, scratch } from '../support/checkpoint.js';
import { all } from '../support/sample.js';

const cases = Number(process.env['SCHUSS_FUZZ_CASES'] ?? (all ? 1500 : 300));
const seed = Number(process.env['SCHUSS_FUZZ_SEED'] ?? 1);
const folder = scratch();

function single() {
  const params = { data: numbers(300, 1), shape: [20, 15] as const };
  return { params, arrays: [params.data], optimizer: new Adam(params, { ema: 0.9 }), objects: {} };
}
function list() {
  const params = [numbers(7, 1), numbers(1, 2)];
  const optimizer = new Lookahead(new Adam(params), { k: 2 });
  return { params, arrays: params, optimizer, objects: {} };
}
function record() {
  const params = { 'fc.weight': numbers(40, 1), 'fc.bias': numbers(4, 2) };
  const optimizer = new ScheduleFreeAdamW(params, { lr: 0.1 });
  const objects = { plateau: new ReduceOnPlateau(optimizer), average: new WeightAverage(params, { decay: 0.5 }) };
  return { params, arrays: Object.values(params), optimizer, objects };
}

type Damage = (bytes: Buffer, next: (n: number) => number) => Buffer;
const damages: readonly Damage[] = [
  (bytes, next) => flip(bytes, next(8 * bytes.length)),
  (bytes, next) => flip(bytes, next(8 * Math.min(bytes.length, 2000))), // mostly the header
  (bytes, next) => flip(flip(bytes, next(8 * bytes.length)), next(8 * bytes.length)),
  (bytes, next) => bytes.subarray(0, next(bytes.length)),
  (bytes, next) => Buffer.concat([bytes, Buffer.alloc(1 + next(16), next(256))]),
  (bytes, next) => bytes.fill(next(2) * 255, next(bytes.length), undefined),
  (bytes, next) => {
    const [a, b] = [64 * next(bytes.length / 64), 64 * next(bytes.length / 64)];
    const kept = Buffer.from(bytes.subarray(a, a + 64));
    bytes.copy(bytes, a, b, b + 64);
    kept.copy(bytes, b);
    return bytes;
  },
  (bytes, next) => {
    const at = next(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + next(8))]);
  },
];

function flip(bytes: Buffer, bit: number): Buffer {
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  return bytes;
}

test.each([single, list, record].map((build) => [build.name, build] as const))(
  '%s',
  { timeout: 60_000 + 20 * cases },
  async (_, build) => {
    const path = join(folder, `${build.name}.safetensors`);
    const saved = build();
    await saveCheckpoint(path, {
      params: saved.params,
      optimizer: saved.optimizer,
      objects: saved.objects,
      metadata: { note: 'text' },
    });
    const original = readFileSync(path);
    const { params, arrays, optimizer, objects } = build();
    for (const array of arrays) array.fill(5);
    const seen = (): string =>
      JSON.stringify([
        arrays.map(bits),
        optimizer.stateDict(),
        Object.values(objects).map((object) => object.stateDict()),
      ]);
    const before = seen();
    const random_ = random(seed);
    const next = (n: number): number => Math.floor(random_() * n);
    const codes: Record<string, number> = {};
    for (let i = 0; i < cases / 3; i++) {
      const damage = damages[i % damages.length]!;
      const bytes = damage(Buffer.from(original), next);
      if (bytes.equals(original)) continue; // two flips of one bit, or a block exchanged with itself
      writeFileSync(path, bytes);
      const error: unknown = await loadCheckpoint(path, { params, optimizer, objects }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const title = `seed ${seed}, case ${i}`;
      expect(error, title).toBeInstanceOf(CheckpointError);
      expect((error as CheckpointError).message, title).toMatch(/^loadCheckpoint: ".+": .+, expected .+/s);
      const { code } = error as CheckpointError;
      codes[code] = (codes[code] ?? 0) + 1;
      for (const outcome of await Promise.allSettled([readSafetensors(path), inspectCheckpoint(path)]))
        if (outcome.status === 'rejected') expect(outcome.reason, title).toBeInstanceOf(CheckpointError);
    }
    expect(seen()).toBe(before);
    expect(
      Object.keys(codes).every((code) => ['SCHUSS_DAMAGED', 'SCHUSS_FOREIGN'].includes(code)),
      JSON.stringify(codes),
    ).toBe(true);
    if (process.env['SCHUSS_FUZZ_CASES'] !== undefined)
      console.log(`${build.name}: ${JSON.stringify(codes)}, 0 accepted`);
    writeFileSync(path, original);
    await loadCheckpoint(path, { params, optimizer, objects });
    expect(seen()).not.toBe(before);
  },
);
