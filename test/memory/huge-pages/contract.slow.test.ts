// Large arrays of the library ask Linux for huge pages. In a process of its own: what other tests made could be freed meanwhile.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Adagrad, Adam, allocate, backend } from '../../../lib/index.js';

const hasHugePages = existsSync('/sys/kernel/mm/transparent_hugepage/enabled') && existsSync('/proc/self/smaps');

/** Bytes of memory of this process that has asked for huge pages. */
function hugeBytes(): number {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').matchAll(/^Size: +(\d+) kB$[\s\S]*?^VmFlags:(.*)$/gm);
  return [...mappings].reduce((sum, [, size, flags]) => sum + (/\bhg\b/.test(flags!) ? 1024 * Number(size) : 0), 0);
}

/** All that was made: nothing may be freed meanwhile. */
const alive: unknown[] = [];

/** The growth of it during `make`. */
function growth(make: () => unknown): number {
  const before = hugeBytes();
  alive.push(make());
  return hugeBytes() - before;
}

const megabyte = 2 ** 20;
const length = 4 * megabyte; // 16 MB; up to 4 MB of it may lie outside of whole huge pages

describe.skipIf(!hasHugePages || backend().name !== 'native')('huge pages', () => {
  test('of allocate, from 4 MB on', () => {
    expect(growth(() => allocate(length))).toBeGreaterThanOrEqual(12 * megabyte);
    expect(growth(() => allocate(megabyte / 2))).toBe(0);
  });

  test('of the state, and not of the arrays of the user', () => {
    const params = new Float32Array(length);
    expect(growth(() => new Adagrad([params], { lr: 0.1 }))).toBeGreaterThanOrEqual(12 * megabyte);
    expect(growth(() => new Adam([params]))).toBeGreaterThanOrEqual(24 * megabyte);
    expect(growth(() => new Float32Array(length))).toBe(0);
  });
});
